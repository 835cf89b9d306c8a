// The real @wecom/jssdk, signed by the service: its example, its getters, and its use together with wx-jssdk.js.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { serve } from "../../examples/serve.mjs";
import { CLIENTS, become, callsOf, clientNamed } from "./clients.mjs";
import { expectQuiet, openPage, startBrowser, startService } from "./harness.mjs";
import { EXAMPLES } from "./spa.mjs";

const SDK = readFileSync(new URL("node_modules/@wecom/jssdk/dist/wecom.prod.js", import.meta.url), "utf8");
const CORP = "ww0123456789abcdef";
const OFFICIAL = "wx0123456789abcdef";

let service;
let browser;
let site;
let origin;

before(async () => {
  [service, browser] = await Promise.all([startService(), startBrowser()]);
  site = await serve(`${EXAMPLES}/wecom`, { port: 0, service: service.url });
  origin = `http://127.0.0.1:${site.address().port}`;
});

after(async () => {
  if (browser) await browser.close();
  if (site) {
    site.close();
    site.closeAllConnections();
  }
  if (service) await service.stop();
});

/** A page in this client, with this folder's copy of the package instead of the example's: the same file. */
async function inClient(client, options, work) {
  const { userAgent } = client;
  const page = await openPage(browser, { ...(userAgent && { userAgent }) });
  try {
    await page.route("**/node_modules/@wecom/jssdk/dist/wecom.prod.js", (route) => route.fulfill({ contentType: "text/javascript", body: SDK }));
    page.asked = [];
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (/^\/jssdk\/(agent-)?config$/.test(url.pathname)) page.asked.push([url.pathname.slice(7), url.searchParams.get("url")]);
    });
    await become(page, service, client, options);
    await work(page);
  } finally {
    await page.context().close();
  }
}

/** An empty page that registers on demand, with getters that record their parameters and forward the call. */
async function bare(page, path = "/bare?a=%2F#x", head = "") {
  await page.route(`${origin}/bare*`, (route) =>
    route.fulfill({
      contentType: "text/html; charset=utf-8",
      body: `<!doctype html><link rel="icon" href="data:,"><title>t</title>${head}<script type="module">
        import * as ww from "/node_modules/@wecom/jssdk/dist/wecom.prod.js";
        window.ww = ww;
      </script>`,
    }),
  );
  await page.goto(origin + path);
  await page.waitForFunction(() => window.ww);
}

/** The result of ww.register and its config. */
const register = (page, { corpId, account, agent = false, wrong = false }) =>
  page.evaluate(
    ([corpId, account, agent, wrong]) => {
      const signedBy = (endpoint) => async (url) => {
        const answer = await (await fetch(`/jssdk/${endpoint}?account=${account}&url=${encodeURIComponent(url)}`)).json();
        return wrong ? { ...answer, nonceStr: `${answer.nonceStr}x` } : answer;
      };
      return new Promise((done) => {
        const end = (name) => (result) => done({ name, errMsg: result.errMsg || String(result) });
        window.ww.register({
          corpId,
          agentId: 1000002,
          jsApiList: ["chooseImage", "selectEnterpriseContact"],
          getConfigSignature: signedBy("config"),
          ...(agent && { getAgentConfigSignature: signedBy("agent-config") }),
          onConfigSuccess: agent ? undefined : end("config"),
          onConfigFail: end("config"),
          onAgentConfigSuccess: end("agentConfig"),
          onAgentConfigFail: end("agentConfig"),
        });
      });
    },
    [corpId, account, agent, wrong],
  );

const IN_WECOM = CLIENTS.filter((client) => client.wecom);
const IN_WECHAT = CLIENTS.filter((client) => client.userAgent && !client.wecom);

describe("the example", () => {
  for (const client of IN_WECOM) {
    test(`in ${client.name} agentConfig succeeds, and only its signature is requested`, () =>
      inClient(client, {}, async (page) => {
        await page.goto(`${origin}/?q=你好&p=a%2Fb&plus=1+1#/x`);
        await page.locator("#agentConfig", { hasText: "agentConfig:ok" }).waitFor();
        const url = `${origin}/?q=%E4%BD%A0%E5%A5%BD&p=a%2Fb&plus=1+1`;
        assert.deepEqual(page.asked, [["agent-config", url]]);
        assert.deepEqual(page.verified, [{ url, good: true }]);
        expectQuiet(page);
      }));
  }

  for (const client of IN_WECHAT) {
    test(`in ${client.name} config succeeds`, () =>
      inClient(client, {}, async (page) => {
        await page.goto(`${origin}/?a=%2F#x`);
        await page.locator("#config", { hasText: "preVerifyJSAPI:ok" }).waitFor();
        assert.deepEqual(page.verified, [{ url: `${origin}/?a=%2F`, good: true }]);
        expectQuiet(page);
      }));
  }

  test("in an ordinary browser the sandbox simulates WeChat", () =>
    inClient(clientNamed("a browser in which the sandbox plays Android"), {}, async (page) => {
      await page.goto(`${origin}/`);
      await page.locator("#config", { hasText: ":ok" }).waitFor();
      expectQuiet(page);
    }));

  test("in an ordinary browser the sandbox simulates WeCom, which asks for agentConfig alone", () =>
    inClient(clientNamed("a browser in which the sandbox plays Android"), {}, async (page) => {
      await page.goto(`${origin}/?client=wecom`);
      await page.locator("#agentConfig", { hasText: "agentConfig:ok" }).waitFor();
      assert.deepEqual(page.asked, [["agent-config", `${origin}/?client=wecom`]]);
      expectQuiet(page);
    }));

  test("outside WeChat it says where to open the page", () =>
    inClient(clientNamed("a desktop browser"), {}, async (page) => {
      await page.goto(`${origin}/`);
      await page.locator("#config", { hasText: "请在企业微信或微信中打开" }).waitFor();
      assert.deepEqual(page.asked, []);
      expectQuiet(page);
    }));

  test("a refusal of the endpoint is shown with its hint", () =>
    inClient(clientNamed("WeCom on iOS"), {}, async (page) => {
      await page.route("**/jssdk/agent-config?**", async (route) =>
        route.fulfill({ response: await route.fetch({ url: route.request().url().replace("demo-work", "demo") }) }),
      );
      await page.goto(`${origin}/`);
      await page.locator("#agentConfig", { hasText: "unsupported_credential" }).waitFor();
    }));
});

describe("the getters", () => {
  for (const name of ["iOS WeChat", "Android WeChat"]) {
    test(`in ${name} getConfigSignature gets the address at the time the SDK was loaded`, () =>
      inClient(clientNamed(name), {}, async (page) => {
        await bare(page);
        await page.evaluate(() => history.pushState(null, "", "/bare/route"));
        const came = await register(page, { corpId: OFFICIAL, account: "demo" });
        assert.deepEqual(page.asked, [["config", `${origin}/bare?a=%2F`]]);
        // iOS verifies this address. That Android does too is only this SDK's claim: the test client verifies the current one.
        const good = name === "iOS WeChat";
        assert.equal(page.verified[0].good, good);
        assert.equal(came.errMsg, good ? "preVerifyJSAPI:ok" : "preVerifyJSAPI:invalid signature");
      }));
  }

  for (const client of CLIENTS.filter((one) => one.desktop)) {
    test(`in ${client.name} getConfigSignature gets the current address`, () =>
      inClient(client, {}, async (page) => {
        await bare(page);
        await page.evaluate(() => history.pushState(null, "", "/bare/route"));
        assert.equal((await register(page, { corpId: OFFICIAL, account: "demo" })).errMsg, "preVerifyJSAPI:ok");
        assert.deepEqual(page.asked, [["config", `${origin}/bare/route`]]);
        assert.deepEqual(page.verified, [{ url: `${origin}/bare/route`, good: true }]);
      }));
  }

  for (const client of IN_WECOM) {
    for (const agent of [true, false]) {
      const getter = agent ? "getAgentConfigSignature" : "getConfigSignature";
      test(`in ${client.name} ${getter} gets the current address, and is called again after a route change`, () =>
        inClient(client, {}, async (page) => {
          await bare(page);
          await page.evaluate(() => history.pushState(null, "", "/bare/route"));
          const came = await register(page, { corpId: CORP, account: "demo-work", agent });
          assert.equal(came.errMsg, agent ? "agentConfig:ok" : "preVerifyJSAPI:ok");
          await page.evaluate(() => history.pushState(null, "", "/bare/next"));
          await page.evaluate(() => window.ww.chooseImage({}));
          const addresses = ["route", "next"].map((path) => `${origin}/bare/${path}`);
          assert.deepEqual(page.asked, addresses.map((url) => [agent ? "agent-config" : "config", url]));
          assert.deepEqual(page.verified, addresses.map((url) => ({ url, good: true })));
        }));
    }
  }

  test("in a WeCom before 3.0.24 config comes first, then agentConfig", () => {
    const client = clientNamed("WeCom on Android");
    const userAgent = client.userAgent.replace("wxwork/4.1.30", "wxwork/3.0.20");
    return inClient({ ...client, userAgent }, {}, async (page) => {
      await bare(page);
      assert.equal((await register(page, { corpId: CORP, account: "demo-work", agent: true })).errMsg, "agentConfig:ok");
      assert.deepEqual(page.asked.map(([endpoint]) => endpoint).sort(), ["agent-config", "config"]);
      assert.deepEqual(page.verified.map(({ good }) => good), [true, true]);
      assert.equal((await callsOf(page, "preVerifyJSAPI")).length, 1);
    });
  });

  test("a refused signature calls onConfigFail, and the SDK also throws it", () =>
    inClient(clientNamed("Android WeChat"), {}, async (page) => {
      await bare(page);
      const came = await register(page, { corpId: OFFICIAL, account: "demo", wrong: true });
      assert.equal(came.errMsg, "preVerifyJSAPI:invalid signature");
      await page.evaluate(() => new Promise((soon) => setTimeout(soon)));
      assert.equal(page.complaints.length, 1);
    }));

  test("a late bridge is waited for", () =>
    inClient(clientNamed("WeCom on Windows"), { late: true }, async (page) => {
      await bare(page);
      const came = register(page, { corpId: CORP, account: "demo-work", agent: true });
      await page.evaluate(() => window.bridgeComes());
      assert.equal((await came).errMsg, "agentConfig:ok");
    }));
});

describe("together with wx-jssdk.js on one page", () => {
  const OURS = '<script src="/jssdk/wx-jssdk.js"></script>';

  for (const client of CLIENTS.filter((one) => one.userAgent)) {
    test(`both work in ${client.name}`, () =>
      inClient(client, {}, async (page) => {
        await bare(page, "/bare?a=%2F", OURS);
        const [corpId, account] = client.wecom ? [CORP, "demo-work"] : [OFFICIAL, "demo"];
        const [theirs, ours] = await Promise.all([
          register(page, { corpId, account, agent: Boolean(client.wecom) }),
          page.evaluate((account) => window.wxJssdk.ready({ account, apis: ["chooseImage"] }).then(() => "ok"), account),
        ]);
        assert.deepEqual([theirs.errMsg.split(":")[1], ours], ["ok", "ok"]);
        assert.equal((await page.evaluate(() => window.wxJssdk.call("chooseImage"))).errMsg, "chooseImage:ok");
        assert.equal((await page.evaluate(() => window.ww.chooseImage({}))).errMsg, "chooseImage:ok");
        assert.equal(await page.evaluate(() => window.bridgeIsItself()), true);
        expectQuiet(page);
      }));
  }

  test("a refusal of @wecom/jssdk is not taken for one of wx-jssdk.js", () =>
    inClient(clientNamed("Android WeChat"), { held: true }, async (page) => {
      await bare(page, "/bare", OURS);
      // The config of wx-jssdk.js waits; that of @wecom/jssdk, with a wrong signature, is answered first.
      await page.evaluate(() => {
        window.answers = [];
        const { invoke } = window.WeixinJSBridge;
        window.WeixinJSBridge.invoke = (name, params, callback) => {
          if (name !== "preVerifyJSAPI") return invoke(name, params, callback);
          window.answers.push(() => invoke(name, params, callback));
        };
        window.ours = "waits";
        window.wxJssdk.ready({ apis: [] }).then(
          () => (window.ours = "ok"),
          (error) => (window.ours = error.code),
        );
      });
      await page.waitForFunction(() => window.answers.length === 1);
      const theirs = register(page, { corpId: OFFICIAL, account: "demo", wrong: true });
      await page.waitForFunction(() => window.answers.length === 2);
      await page.evaluate(() => window.answers[1]());
      assert.match((await theirs).errMsg, /invalid signature/);
      assert.equal(await page.evaluate(() => window.ours), "waits");
      await page.evaluate(() => window.answers[0]());
      await page.waitForFunction(() => window.ours !== "waits");
      assert.equal(await page.evaluate(() => window.ours), "ok");
      assert.equal((await callsOf(page, "preVerifyJSAPI")).length, 2);
    }));
});
