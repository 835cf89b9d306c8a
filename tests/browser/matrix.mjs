// Clients against all situations of a page. Each cell of the table is a named test; a cell that does not apply says why it is
// left out. One site has the whole table; the others have the cells that depend on their own code.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CLIENTS, become, clientNamed, sharedCard } from "./clients.mjs";
import { expectQuiet, openPage, startBrowser, startService } from "./harness.mjs";

const NO_CLIENT = { outside: "there is no client that verifies anything: see the first cell" };
const NOT_PLAYED = { ...NO_CLIENT, sandbox: "the sandbox's client is there from the start and refuses in one way: see demo.test.mjs" };

/**
 * The cases: `run` gets the page, the client and the site; `without` names the kinds of clients that are left out, and why.
 * Addresses are paths below the site; `at` makes them full ones.
 */
const CASES = {
  "the first load": {
    async run({ page, client, at, open, settled, site }) {
      await open("/");
      if (client.outside) return expectOutside(page, await settled());
      expectOk(await settled());
      await expectSigned(page, [at("/")], site);
      expectQuiet(page);
    },
  },
  "a #hash": {
    without: NO_CLIENT,
    async run({ page, at, open, settled, site }) {
      await open("/#/路由?x=1");
      expectOk(await settled());
      await expectSigned(page, [at("/")], site);
      expectQuiet(page);
    },
  },
  "Chinese, %2F and + in path and query": {
    without: NO_CLIENT,
    async run({ page, at, open, settled, site }) {
      const query = "?q=你好&p=a%2Fb%2fc&plus=1+1&from=singlemessage&&empty=";
      await open(`/${query}`);
      expectOk(await settled());
      await expectSigned(page, [at(`/${query.replace("你好", "%E4%BD%A0%E5%A5%BD")}`)], site);
      expectQuiet(page);
    },
  },
  "routes pushed, and the way back": {
    without: NO_CLIENT,
    async run({ page, client, at, open, settled, site }) {
      await open("/");
      expectOk(await settled());
      if (!site.routes) return reloadsAfterPush({ page, at, settled, site });
      const passed = [at("/")];
      const arrive = async (title, path) => {
        await page.locator("#card strong", { hasText: title }).waitFor();
        await page.locator('#wechat[data-status="ok"]').waitFor();
        assert.equal(await page.evaluate(() => location.href), new URL(path, page.url()).href);
        if (client.checks === "current") passed.push(new URL(path, page.url()).href);
        await seen(page, passed.length);
        if (!client.sandbox) assert.deepEqual(await sharedCard(page, client), { title, link: new URL(path, page.url()).href });
      };
      await page.locator('a[href="/walks/tea"]').click();
      await arrive("Tea hills · 茶山", "/walks/tea");
      await page.locator("#next").click();
      await arrive("Old town · 老城", "/walks/%E8%80%81%E5%9F%8E");
      await page.goBack();
      await arrive("Tea hills · 茶山", "/walks/tea");
      assert.deepEqual(page.verified, passed.map((url) => ({ url, good: true })));
      expectQuiet(page);
    },
  },
  "replaceState before the config": {
    without: NO_CLIENT,
    async run({ page, client, at, open, settled, site }) {
      // As an analytics script does: after the classic scripts of the head, before any module.
      await page.addInitScript(() => {
        document.addEventListener("readystatechange", () => {
          if (document.readyState !== "interactive" || /tracked/.test(location.search)) return;
          history.replaceState(null, "", `?${[location.search.slice(1), "tracked=1"].filter(Boolean).join("&")}`);
        });
      });
      await open("/");
      expectOk(await settled());
      const current = at("/?tracked=1");
      assert.equal(page.url(), current);
      await expectSigned(page, [client.checks === "landing" ? at("/") : current], site);
      expectQuiet(page);
    },
  },
  "a late bridge": {
    without: NOT_PLAYED,
    options: { late: true },
    async run({ page, at, open, settled, status, site }) {
      await open("/");
      await page.waitForFunction(() => window.wx && window.wx.invoke); // wx.config was called without a bridge
      assert.equal(await status(), "loading");
      await page.evaluate(() => window.bridgeComes());
      expectOk(await settled());
      await expectSigned(page, [at("/")], site);
      expectQuiet(page);
    },
  },
  "jweixin's first host down": {
    without: NO_CLIENT,
    page: { cdn: ["res2.wx.qq.com"] },
    async run({ page, at, open, settled, site }) {
      await open("/");
      expectOk(await settled());
      await expectSigned(page, [at("/")], site);
      expectQuiet(page);
    },
  },
  "the endpoint down, then up": {
    without: NO_CLIENT,
    async run({ page, at, open, settled, site }) {
      await page.route("**/jssdk/config?**", (route) => route.abort("connectionrefused"));
      await open("/");
      const { status, words } = await settled();
      assert.equal(status, "error", words);
      assert.match(words, /jssdk\/config|签名接口|endpoint/i);
      assert.deepEqual(page.verified, []);
      await page.unroute("**/jssdk/config?**");
      await site.again(page);
      expectOk(await settled("error"));
      await expectSigned(page, [at("/")], site);
    },
  },
  "a refused signature": {
    without: NO_CLIENT,
    async run({ page, at, open, settled }) {
      await page.route("**/jssdk/config?**", async (route) => {
        const answer = await (await route.fetch()).json();
        await route.fulfill({ json: { ...answer, nonceStr: `${answer.nonceStr}x` } });
      });
      await open("/");
      const { status, words } = await settled();
      assert.equal(status, "error", words);
      assert.match(words, /invalid[ _]signature/i);
      await seen(page, 1);
      assert.deepEqual(page.verified, [{ url: at("/"), good: false }], "asked once: there is no other address to try");
    },
  },
  "a refused domain": {
    without: NOT_PLAYED,
    options: { refuseDomain: true },
    async run({ page, open, settled }) {
      await open("/");
      const { status, words } = await settled();
      assert.equal(status, "error", words);
      assert.match(words, /invalid[ _]url[ _]domain/i);
      assert.equal(page.asked.length, 1, "a refusal is not asked for twice");
    },
  },
  "a domain that the service refuses": {
    without: NO_CLIENT,
    async run({ page, open, settled }) {
      // The service itself answers, as it would to this page on a foreign host.
      await page.route("**/jssdk/config?**", async (route) => {
        const asked = new URL(route.request().url());
        asked.searchParams.set("url", "https://foreign.example/");
        await route.fulfill({ response: await route.fetch({ url: asked.href }) });
      });
      await open("/");
      const { status, words } = await settled();
      assert.equal(status, "error", words);
      assert.match(words, /page_not_allowed/);
      assert.deepEqual(page.verified, [], "no signature, no config");
      assert.equal(page.asked.length, 1);
    },
  },
};

/** The address of a route that was pushed is signed when the page is loaded there. */
async function reloadsAfterPush({ page, at, settled, site }) {
  const there = `${at("/")}${at("/").includes("?") ? "&" : "?"}route=2`;
  await page.evaluate((address) => history.pushState(null, "", address), there);
  await page.reload();
  expectOk(await settled());
  await expectSigned(page, [at("/"), there], site);
  expectQuiet(page);
}

function expectOk({ status, words }) {
  assert.equal(status, "ok", words);
}

function expectOutside(page, { status, words }) {
  assert.equal(status, "outside", words);
  assert.deepEqual(page.asked, [], "no signature is wasted");
  expectQuiet(page);
}

/** The sandbox's answer is read from the network, and may be read later than by the page. */
async function seen(page, count) {
  const deadline = Date.now() + 10_000;
  while (page.verified.length < count && Date.now() < deadline) await page.evaluate(() => new Promise(requestAnimationFrame));
}

/** Asserts that the client verified these addresses, each with a valid signature. */
async function expectSigned(page, addresses, site) {
  await seen(page, addresses.length);
  assert.deepEqual(page.verified, addresses.map((url) => ({ url, good: true })), site.name);
}

/** Some cells wait for the script's timeouts, so others run meanwhile. */
const AT_ONCE = 2;

/** The cases in which clients differ; the twin of another client runs only these. */
const ADDRESS_CASES = ["the first load", "routes pushed, and the way back"];

/** The cases that depend on a site's code and not on wx-jssdk.js: first config, route changes, retries. */
const SITE_CASES = ["the first load", "routes pushed, and the way back", "replaceState before the config", "the endpoint down, then up"];

/** One client for each address that a client may verify, WeCom for its share interfaces, and an ordinary browser. */
const SITE_CLIENTS = ["iOS WeChat", "Android WeChat", "WeCom on iOS", "a desktop browser"].map(clientNamed);

/** Every client in every case. */
export const wholeMatrix = (site) => matrix(site, CLIENTS, (client) => (client.twin ? ADDRESS_CASES : Object.keys(CASES)));

/** The cells that depend on the site's own code, and `more` cases. */
export const siteMatrix = (site, more = []) => matrix(site, SITE_CLIENTS, () => [...SITE_CASES, ...more]);

/**
 * The table for one site: `start(service)` gives its origin and the way to end it, `status` the attribute in which the page says
 * "loading", "ok", "error" or "outside", `words` the element that says why, `again(page)` what the user does after a failure.
 */
function matrix(site, clients, casesOf) {
  let service;
  let browser;
  let running;

  before(async () => {
    [service, browser] = await Promise.all([startService(), startBrowser()]);
    running = await site.start(service);
  });
  after(async () => {
    if (running) await running.stop();
    if (browser) await browser.close();
    if (service) await service.stop();
  });

  for (const client of clients) {
    describe(`${site.name} in ${client.name}`, { concurrency: AT_ONCE }, () => {
      for (const name of casesOf(client)) {
        const { run, without = {}, options, page: wish } = CASES[name];
        const kind = ["outside", "sandbox"].find((one) => client[one]);
        if (without[kind]) continue;
        test(name, () => inClient({ service, browser, running, site, client, options, wish }, run));
      }
    });
  }
}

async function inClient({ service, browser, running, site, client, options, wish }, run) {
  const { userAgent } = client;
  const page = await openPage(browser, { ...(userAgent && { userAgent }), ...wish });
  try {
    page.asked = [];
    page.on("request", (request) => /\/jssdk\/config\?/.test(request.url()) && page.asked.push(request.url()));
    await become(page, service, client, options);
    const at = (path) => running.origin + forSandbox(client, path);
    const status = () => page.locator(`[${site.status}]`).first().getAttribute(site.status);
    const settled = async (...passing) => {
      const not = ["loading", ...passing].map((one) => `:not([${site.status}="${one}"])`).join("");
      await page.locator(`[${site.status}]${not}`).first().waitFor();
      return { status: await status(), words: await page.locator(site.words).innerText() };
    };
    await run({ page, client, site, at, status, settled, open: (path) => page.goto(at(path)) });
  } finally {
    await page.context().close();
  }
}

/** The sandbox simulates the client that the query names. */
function forSandbox({ sandbox }, path) {
  if (!sandbox) return path;
  const [, query, hash = ""] = path.match(/^\/(?:\?([^#]*))?(#.*)?$/);
  return `/?${[`client=${sandbox}`, query].filter(Boolean).join("&")}${hash}`;
}
