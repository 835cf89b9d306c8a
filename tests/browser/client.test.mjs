// The client script wx-jssdk.js in a real browser, with the real jweixin, against the real service: signatures are verified
// by a WeChat client of the test's own, over the address the page really has.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { DEVTOOLS, WECOM_ANDROID as WECOM, WECOM_IOS, callsOf, installClient } from "./clients.mjs";
import { ANDROID_WECHAT, IOS_WECHAT, browser, expectQuiet, inPage, service, useServiceAndBrowser } from "./harness.mjs";

const root = join(import.meta.dirname, "..", "..");
const SCRIPT = join(root, "static", "client", "wx-jssdk.js");

useServiceAndBrowser();

const CLASSIC = '<script src="/jssdk/wx-jssdk.js"></script>';

/** A page under /t/ with this head and these headers, in this client. Requests to the endpoint are in `page.asked`. */
function withPage({ userAgent = ANDROID_WECHAT, head = CLASSIC, headers = {}, client = {}, ...options }, work) {
  return inPage(browser, { ...(userAgent && { userAgent }), ...options }, async (page) => {
    page.asked = [];
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (/\/(agent-)?config$/.test(url.pathname)) page.asked.push(url.searchParams.get("url"));
    });
    await page.route(
      (url) => url.pathname.startsWith("/t/"),
      (route) =>
        route.fulfill({
          contentType: "text/html; charset=utf-8",
          headers,
          body: `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>t</title>${head}`,
        }),
    );
    if (client) await installClient(page, service, client);
    page.open = (path = "/t/page") => page.goto(service.url + path);
    await work(page);
  });
}

/** The result of one call of the script: "ok" and the value, or the error's fields. */
const outcome = (page, name, ...args) =>
  page.evaluate(
    async ([called, given]) => {
      try {
        const value = await window.wxJssdk[called](...given);
        return { code: "ok", isWx: value === window.wx, value: typeof value === "object" && value.errMsg ? value : undefined };
      } catch (error) {
        return { ...error, typed: error instanceof window.wxJssdk.WxJssdkError, message: error.message };
      }
    },
    [name, args],
  );

/** The outcome is this typed error, with cause and fix in both languages. */
function expectError(came, code) {
  assert.equal(came.code, code, JSON.stringify(came));
  assert.equal(came.typed, true);
  for (const words of [came.cause, came.fix]) {
    assert.ok(words.en.length > 3, JSON.stringify(came));
    assert.match(words.zh, /[一-鿿]/, JSON.stringify(came));
  }
}

test("an error's message is in the page's language, with cause and fix", () =>
  withPage({ userAgent: null, client: null, locale: "zh-CN" }, async (page) => {
    await page.open();
    for (const [lang, one] of [["", "zh"], ["en", "en"], ["zh-Hant", "zh"]]) {
      await page.evaluate((tag) => { document.documentElement.lang = tag; }, lang);
      const { code, message, cause, fix } = await outcome(page, "ready", { apis: ["chooseImage"] });
      assert.equal(message, `${code}: ${cause[one]} ${fix[one]}`, lang);
    }
  }));

test("an error's message has a full stop between the client's text and the fix", () =>
  withPage({ client: { replies: { chooseImage: "permission denied" } } }, async (page) => {
    await page.open();
    for (const [lang, one, stop] of [["en", "en", "."], ["zh", "zh", "。"]]) {
      await page.evaluate((tag) => { document.documentElement.lang = tag; }, lang);
      const { message, cause, fix } = await outcome(page, "call", "chooseImage");
      const why = cause[one].slice(0, -1);
      assert.equal(message, `permission_denied: ${why} (chooseImage:permission denied)${stop} ${fix[one]}`);
    }
  }));

async function expectReady(page, options = { apis: ["chooseImage"] }) {
  const came = await outcome(page, "ready", options);
  assert.equal(came.code, "ok", JSON.stringify(came));
  assert.equal(came.isWx, true);
}

describe("the first load", () => {
  const clients = [
    ["Android", ANDROID_WECHAT, "current"],
    ["iOS", IOS_WECHAT, "landing"],
    ["the devtools", DEVTOOLS, "current"],
    ["WeCom", WECOM, "current"],
    ["WeCom on iOS", WECOM_IOS, "current"],
  ];
  for (const [name, userAgent, checks] of clients) {
    test(`${name} accepts the signature of an address with Chinese, %2F, + and a #hash`, () =>
      withPage({ userAgent, client: { checks } }, async (page) => {
        await page.open("/t/你好?q=你好&p=a%2Fb%2fc&plus=1+1&from=singlemessage&&empty=#/路由?x=1");
        await expectReady(page);
        const url = `${service.url}/t/%E4%BD%A0%E5%A5%BD?q=%E4%BD%A0%E5%A5%BD&p=a%2Fb%2fc&plus=1+1&from=singlemessage&&empty=`;
        assert.deepEqual(page.verified, [{ url, good: true }]);
        expectQuiet(page);
      }));

    test(`${name} accepts the signature after a route was pushed and replaced before ready`, () =>
      withPage({ userAgent, client: { checks } }, async (page) => {
        await page.open("/t/landing?a=1");
        await page.evaluate(() => {
          history.pushState(null, "", "/t/route");
          history.replaceState(null, "", "/t/other?b=2");
        });
        await expectReady(page);
        assert.equal(page.asked.length, 1, "the right address at once");
        const path = checks === "landing" ? "/t/landing?a=1" : "/t/other?b=2";
        assert.deepEqual(page.verified, [{ url: service.url + path, good: true }]);
      }));
  }

  test("a script that is loaded after a replaceState still knows the landing page", () =>
    withPage({ userAgent: IOS_WECHAT, client: { checks: "landing" }, head: "" }, async (page) => {
      await page.open("/t/landing?a=1#x");
      await page.evaluate(() => history.replaceState(null, "", "/t/route"));
      await page.addScriptTag({ url: "/jssdk/wx-jssdk.js" });
      await expectReady(page);
      assert.deepEqual(page.asked, [`${service.url}/t/landing?a=1`]);
    }));

  test("without a record of the browser, the script's first line records the landing page", () =>
    withPage({ userAgent: IOS_WECHAT, client: { checks: "landing" } }, async (page) => {
      await page.addInitScript(() => (performance.getEntriesByType = undefined));
      await page.open("/t/landing");
      await page.evaluate(() => history.pushState(null, "", "/t/route"));
      await expectReady(page);
      assert.deepEqual(page.asked, [`${service.url}/t/landing`]);
    }));

  test("a module import records the landing page too", () =>
    withPage({ head: '<script type="module">import "/jssdk/wx-jssdk.js"; window.imported = true;</script>' }, async (page) => {
      await page.open();
      await page.waitForFunction(() => window.imported);
      await expectReady(page);
      expectQuiet(page);
    }));

  test("the sandbox's own client accepts the signature too", () =>
    withPage({ userAgent: null, client: null, head: `<script src="/static/wechat-client.js"></script>${CLASSIC}` }, async (page) => {
      await page.open("/t/page?client=ios");
      await expectReady(page);
      expectQuiet(page);
    }));

  test("the five-line example works as it is", () =>
    withPage({ head: readFileSync(join(root, "examples", "plain", "index.html"), "utf8") }, async (page) => {
      await page.open("/t/");
      await page.locator("#state", { hasText: "config:ok" }).waitFor();
      assert.equal((await callsOf(page, "updateTimelineShareData")).length, 1);
      expectQuiet(page);
    }));
});

describe("where the endpoint is", () => {
  for (const [kind, tag] of [
    ["a classic script", '<script src="/deep/er/wx-jssdk.js?v=2"></script>'],
    ["a module", '<script type="module" src="/deep/er/wx-jssdk.js?v=2"></script>'],
  ]) {
    test(`${kind} finds the endpoint at its own path, under any prefix`, () =>
      withPage({ head: tag }, async (page) => {
        let asked = 0;
        await page.route("**/deep/er/**", async (route) => {
          if (route.request().url().includes("/config")) asked += 1;
          await route.fulfill({ response: await route.fetch({ url: route.request().url().replace("/deep/er/", "/jssdk/") }) });
        });
        await page.open();
        await page.waitForFunction(() => window.wxJssdk);
        await expectReady(page);
        assert.equal(asked, 1);
      }));

    test(`${kind} from another host works across origins`, () =>
      withPage({ head: tag.replace("/deep/er/", "http://api.example/jssdk/") }, async (page) => {
        await page.route("http://api.example/**", async (route) => {
          const url = route.request().url().replace("http://api.example", service.url);
          const headers = { ...(await route.request().allHeaders()), origin: service.url };
          await route.fulfill({ response: await route.fetch({ url, headers }) });
        });
        await page.open();
        await page.waitForFunction(() => window.wxJssdk);
        await expectReady(page);
        assert.equal(page.verified[0].good, true);
        expectQuiet(page);
      }));
  }

  for (const endpoint of ["/jssdk", "/jssdk/", "/jssdk/config"]) {
    test(`the option endpoint may be ${endpoint}`, () =>
      withPage({ head: `<script>${readFileSync(SCRIPT, "utf8")}</script>` }, async (page) => {
        await page.open();
        await expectReady(page, { endpoint });
      }));
  }

  test("two copies of the script share one instance", () =>
    withPage({ head: CLASSIC + CLASSIC.replace(".js", ".js?2") }, async (page) => {
      await page.open();
      await expectReady(page);
      expectQuiet(page);
    }));
});

describe("a refusal", () => {
  /** The endpoint's nonce is changed in transit, so the client must refuse. */
  const breakNonce = (page) =>
    page.route("**/jssdk/config?**", async (route) => {
      const answer = await (await route.fetch()).json();
      await route.fulfill({ json: { ...answer, nonceStr: `${answer.nonceStr}x` } });
    });

  for (const [name, userAgent] of [
    ["today's WeChat", ANDROID_WECHAT],
    ["version 10, which jweixin takes for older than 6.0.2", ANDROID_WECHAT.replace("8.0.50.2701", "10.0.1")],
  ]) {
    test(`of the signature rejects once and is never ready, in ${name}`, () =>
      withPage({ userAgent }, async (page) => {
        await breakNonce(page);
        await page.open();
        const came = await outcome(page, "ready", {});
        expectError(came, "invalid_signature");
        assert.match(came.errMsg, /invalid signature/);
        assert.equal(came.signedUrl, `${service.url}/t/page`);
        assert.equal(page.asked.length, 1, "there is no other address to try");
        expectError(await outcome(page, "call", "getNetworkType"), "invalid_signature");
      }));
  }

  for (const [name, userAgent, checks, right] of [
    ["an iPhone that checks the current address", IOS_WECHAT, "current", "/t/route"],
    ["an Android that checks the landing page", ANDROID_WECHAT, "landing", "/t/landing"],
  ]) {
    test(`by ${name} is resolved by the other address, which is remembered`, () =>
      withPage({ userAgent, client: { checks } }, async (page) => {
        await page.open("/t/landing");
        await page.evaluate(() => history.pushState(null, "", "/t/route"));
        await expectReady(page);
        assert.deepEqual(page.verified.map((one) => one.good), [false, true]);
        assert.equal(page.asked[1], service.url + right);
        assert.equal((await outcome(page, "reconfigure")).code, "ok");
        assert.deepEqual(page.verified.map((one) => one.good), [false, true, true]);
      }));
  }

  test("selects the right address even if the page navigates during the retry", () =>
    withPage({ userAgent: IOS_WECHAT, client: { checks: "current" } }, async (page) => {
      await page.open("/t/landing");
      await page.evaluate(() => {
        history.pushState(null, "", "/t/route");
        const verify = window.testVerify;
        let answers = 0;
        window.testVerify = async (asked) => {
          const says = await verify(asked);
          if (++answers === 2) history.pushState(null, "", "/t/moved");
          return says;
        };
      });
      await expectReady(page, { autoReconfigure: true });
      assert.equal((await outcome(page, "call", "getNetworkType")).code, "ok");
      await page.evaluate(() => history.pushState(null, "", "/t/next"));
      assert.equal((await outcome(page, "call", "getNetworkType")).code, "ok");
      const paths = ["landing", "route", "moved", "next"];
      assert.deepEqual(page.asked, paths.map((path) => `${service.url}/t/${path}`));
      assert.deepEqual(page.verified.map((one) => one.good), [false, true, true, true]);
    }));

  test("of both addresses is final after one retry", () =>
    withPage({}, async (page) => {
      await breakNonce(page);
      await page.open("/t/landing");
      await page.evaluate(() => history.pushState(null, "", "/t/route"));
      const came = await outcome(page, "ready", {});
      expectError(came, "invalid_signature");
      assert.deepEqual([came.signedUrl, came.currentUrl], Array(2).fill(`${service.url}/t/route`), "not those of the retry");
      assert.deepEqual(page.asked, ["route", "landing"].map((path) => `${service.url}/t/${path}`));
    }));

  test("stays the error if the other address is not signed", () =>
    withPage({}, async (page) => {
      await breakNonce(page);
      await page.route("**/jssdk/config?url=*landing", (route) =>
        route.fulfill({ status: 403, json: { code: "page_not_allowed", detail: "D" } }),
      );
      await page.open("/t/landing");
      await page.evaluate(() => history.pushState(null, "", "/t/route"));
      expectError(await outcome(page, "ready", {}), "invalid_signature");
      assert.equal(page.asked.length, 2);
    }));

  for (const [says, code, fix] of [
    ["fail,Error: 系统错误，错误码：63002,invalid signature [2019-12-04 15:50:27][]", "invalid_signature"],
    ["fail,Error: invalid url domain", "domain_not_bound"],
    ["require subscribe", "config_failed"],
    ["fail_the permission value is offline verifying", "offline_verifying"],
    ["fail,Error: AppID 不合法", "config_failed"],
    ["fail", "config_field_missing"],
    ["fail，Invalid　URL domain", "domain_not_bound"],
    ["fail_not match any reliable domain.", "trusted_domain_mismatch", /exactly this host.*网页授权及JS-SDK/],
    ["fail_invalid signature", "invalid_signature", /error\.signedUrl.*the account/],
    ["something new", "config_failed"],
  ]) {
    test(`"${says}" is ${code}`, () =>
      withPage({ client: { replies: { preVerifyJSAPI: says } } }, async (page) => {
        await page.open();
        const came = await outcome(page, "ready", {});
        expectError(came, code);
        assert.match(came.fix.en, fix || /./);
        assert.ok(came.errMsg.length > 10, came.errMsg);
      }));
  }

  test("of a second config is not hidden by the ready of the first", () =>
    withPage({}, async (page) => {
      await page.open();
      await expectReady(page);
      await breakNonce(page);
      expectError(await outcome(page, "reconfigure"), "invalid_signature");
      await page.unroute("**/jssdk/config?**");
      assert.equal((await outcome(page, "reconfigure")).code, "ok", "and a third one mends it");
      assert.equal(await page.evaluate(() => window.bridgeIsItself()), true, "nothing stays in the client's bridge");
    }));

  /** The page's own config with an invalid signature; done when the client has answered, before any listener exists. */
  const configureWrongly = (page) =>
    page.evaluate(async () => {
      const answer = await (await fetch(`/jssdk/config?url=${encodeURIComponent(location.href)}`)).json();
      window.wx.config({ ...answer, signature: "0".repeat(40) });
      window.refused = new Promise((done) => window.wx.ready(done));
    });
  const withJweixin = `<script src="https://res.wx.qq.com/open/js/jweixin-1.6.0.js"></script>${CLASSIC}`;

  for (const frozen of [false, true]) {
    test(`of the page's own earlier config is ignored${frozen ? ", even with a frozen bridge" : ""}`, () =>
      withPage({ client: { frozen }, head: withJweixin }, async (page) => {
        await page.open();
        await configureWrongly(page);
        await page.evaluate(() => window.refused);
        assert.equal((await outcome(page, "ready", {})).code, "ok");
        assert.deepEqual(page.verified.map((one) => one.good), [false, true]);
        if (frozen) return; // a frozen bridge gives no notification
        await breakNonce(page);
        expectError(await outcome(page, "reconfigure"), "invalid_signature");
      }));
  }

  test("of the page's own later config still reaches the page's own wx.error", () =>
    withPage({ head: withJweixin }, async (page) => {
      await page.open();
      await page.evaluate(() => window.wx.error((res) => (window.own = res.errMsg)));
      await expectReady(page);
      await configureWrongly(page);
      await page.waitForFunction(() => window.own);
      assert.match(await page.evaluate(() => window.own), /invalid signature/);
    }));

  test("of the page's own concurrent config is ignored", () =>
    withPage({ client: { held: true }, head: withJweixin }, async (page) => {
      await page.open();
      const ready = expectReady(page);
      await page.waitForFunction(() => window.clientAnswers);
      await page.evaluate(() => {
        window.answersOurs = window.clientAnswers;
        window.clientAnswers = null;
      });
      await configureWrongly(page);
      await page.waitForFunction(() => window.clientAnswers);
      await page.evaluate(async () => {
        window.clientAnswers();
        await window.refused;
        window.answersOurs();
      });
      await ready;
      assert.deepEqual(page.verified.map((one) => one.good), [false, true]);
    }));

  for (const frozen of [true, "silently"]) {
    for (const refused of [false, true]) {
      test(`by a ${frozen === true ? "" : "silently "}frozen bridge is ${refused ? "still detected" : "not invented"}`, () =>
        withPage({ client: { frozen } }, async (page) => {
          if (refused) await breakNonce(page);
          await page.open();
          assert.equal((await outcome(page, "ready", {})).code, refused ? "invalid_signature" : "ok");
          assert.equal((await outcome(page, "reconfigure")).code, refused ? "invalid_signature" : "ok");
        }));
    }
  }
});

describe("onStep", () => {
  test("gets each step with its data, and may change the parameters of wx.config", () =>
    withPage({}, async (page) => {
      await page.open();
      const steps = await page.evaluate(async () => {
        const seen = [];
        const onStep = (event) => {
          seen.push(event);
          if (event.step === "config") event.config.debug = false;
        };
        await window.wxJssdk.ready({ onStep, apis: ["chooseImage"], debug: true });
        return seen;
      });
      // Signing and loading run side by side.
      assert.deepEqual(steps.map(({ step }) => step).sort(), ["config", "load", "loaded", "sign", "signed"]);
      const [{ config }, load, loaded, sign, signed] = steps.sort((a, b) => (a.step < b.step ? -1 : 1));
      assert.match(load.address, /res\.wx\.qq\.com.*jweixin/);
      assert.equal(loaded.address, load.address);
      assert.equal(sign.url, `${service.url}/t/page`);
      assert.equal(signed.answer.signature, config.signature);
      assert.deepEqual([config.jsApiList, config.debug], [["chooseImage"], false]);
    }));

  test("gets the retry with the second address and the error of the first", () =>
    withPage({ userAgent: IOS_WECHAT, client: { checks: "current" } }, async (page) => {
      await page.open("/t/landing");
      const steps = await page.evaluate(async () => {
        const seen = [];
        history.pushState(null, "", "/t/route");
        await window.wxJssdk.ready({ onStep: ({ step, error }) => seen.push(error ? `${step} ${error.code} ${error.answer.err_msg}` : step) });
        return seen.slice(-4);
      });
      assert.deepEqual(steps, ["retry invalid_signature preVerifyJSAPI:fail_invalid signature", "sign", "signed", "config"]);
    }));
});

describe("a single-page application", () => {
  test("a second config is ready when the client confirms it, not at once", () =>
    withPage({ client: { held: true } }, async (page) => {
      await page.open();
      const answer = async () => {
        await page.waitForFunction(() => window.clientAnswers);
        await page.evaluate(() => {
          window.clientAnswers();
          window.clientAnswers = null;
        });
      };
      const first = expectReady(page);
      await answer();
      await first;
      await page.evaluate(() => {
        history.pushState(null, "", "/t/route");
        window.again = "waits";
        window.wxJssdk.reconfigure().then(() => (window.again = "ready"));
      });
      await page.waitForFunction(() => window.clientAnswers);
      await page.evaluate(() => new Promise((soon) => setTimeout(soon, 50)));
      assert.equal(await page.evaluate(() => window.again), "waits");
      await answer();
      await page.waitForFunction(() => window.again === "ready");
      assert.equal(page.verified[1].url, `${service.url}/t/route`);
    }));

  test("autoReconfigure signs each route once, and share waits for it", () =>
    withPage({}, async (page) => {
      await page.open("/t/one");
      await expectReady(page, { autoReconfigure: true });
      await page.evaluate(async () => {
        history.pushState(null, "", "/t/passing");
        history.replaceState(null, "", "/t/two#top");
        await window.wxJssdk.share({ title: "two" });
        history.pushState(null, "", "/t/two#bottom");
        await window.wxJssdk.share({ title: "two" });
        history.back();
        await new Promise((soon) => window.addEventListener("popstate", soon, { once: true }));
        history.back();
        await new Promise((soon) => window.addEventListener("popstate", soon, { once: true }));
        await window.wxJssdk.share({ title: "one" });
      });
      assert.deepEqual(page.verified, ["one", "two", "one"].map((path) => ({ url: `${service.url}/t/${path}`, good: true })));
      const links = (await callsOf(page, "updateTimelineShareData")).map(([, card]) => card.link);
      assert.deepEqual(links, ["two#top", "two#bottom", "one"].map((path) => `${service.url}/t/${path}`));
      expectQuiet(page);
    }));

  test("interfaces that two parts of a page ask for add up", () =>
    withPage({}, async (page) => {
      await page.open();
      await page.evaluate(() =>
        Promise.all([["scanQRCode"], ["getNetworkType"]].map((apis) => window.wxJssdk.ready({ apis }))),
      );
      const [[, sent]] = (await callsOf(page, "preVerifyJSAPI")).slice(-1);
      assert.deepEqual(sent.verifyJsApiList, ["scanQRCode", "getNetworkType"]);
    }));

  test("the account's list stays for the part of a page that asked for no interfaces", () =>
    withPage({}, async (page) => {
      await page.open();
      await page.evaluate(() => Promise.all([window.wxJssdk.ready(), window.wxJssdk.ready({ apis: ["scanQRCode"] })]));
      const [[, sent]] = (await callsOf(page, "preVerifyJSAPI")).slice(-1);
      assert.equal(sent.verifyJsApiList[0], "scanQRCode");
      assert.ok(sent.verifyJsApiList.includes("updateAppMessageShareData"), sent.verifyJsApiList.join());
    }));

  test("outside WeChat a route change asks for nothing and warns of nothing", () =>
    withPage({ userAgent: null, client: null }, async (page) => {
      await page.open("/t/one");
      assert.equal((await outcome(page, "ready", { autoReconfigure: true })).code, "not_in_wechat");
      await page.evaluate(async () => {
        history.pushState(null, "", "/t/two");
        history.replaceState(null, "", "/t/two");
        await new Promise((soon) => setTimeout(soon));
      });
      assert.deepEqual(page.asked, []);
      expectQuiet(page);
    }));

  test("a route change that bypasses the watched functions is signed at the next call", () =>
    withPage({}, async (page) => {
      await page.open("/t/one");
      await expectReady(page, { autoReconfigure: true });
      await page.evaluate(() => History.prototype.pushState.call(history, null, "", "/t/two"));
      assert.equal((await outcome(page, "share", { title: "two" })).code, "ok");
      assert.deepEqual(page.verified, ["one", "two"].map((path) => ({ url: `${service.url}/t/${path}`, good: true })));
    }));

  test("a router that handles popstate before the script still waits for its signature", () => {
    const router = '<script>addEventListener("popstate", () => (window.shared = wxJssdk.share({ title: "back" })));</script>';
    return withPage({ head: router + CLASSIC }, async (page) => {
      await page.open("/t/one");
      await expectReady(page, { autoReconfigure: true });
      await page.evaluate(() => history.pushState(null, "", "/t/two"));
      assert.equal((await outcome(page, "ready")).code, "ok");
      await page.evaluate(() => history.back());
      await page.waitForFunction(() => window.shared);
      await page.evaluate(() => window.shared);
      const names = await page.evaluate(() => window.bridgeCalls.map(([name]) => name));
      assert.deepEqual(page.verified.map(({ url }) => url), ["one", "two", "one"].map((path) => `${service.url}/t/${path}`));
      assert.ok(names.lastIndexOf("preVerifyJSAPI") < names.indexOf("updateTimelineShareData"), names.join());
    });
  });

  test("autoReconfigure leaves an iPhone alone: its landing page stays the same", () =>
    withPage({ userAgent: IOS_WECHAT, client: { checks: "landing" } }, async (page) => {
      await page.open();
      await expectReady(page, { autoReconfigure: true });
      await page.evaluate(() => history.pushState(null, "", "/t/route"));
      assert.equal((await outcome(page, "call", "getNetworkType")).code, "ok");
      assert.equal(page.asked.length, 1);
    }));

  for (const [whose, asked] of [
    ["the page's", { openTags: ["wx-open-launch-weapp"] }],
    ["the account's", {}],
  ]) {
    test(`autoReconfigure keeps ${whose} open tags on an iPhone: their permission is the route's`, () =>
      withPage({ userAgent: IOS_WECHAT, client: { checks: "landing" } }, async (page) => {
        if (!asked.openTags) await page.route("**/jssdk/config?**", withTagList);
        await page.open("/t/landing");
        await expectReady(page, { autoReconfigure: true, ...asked });
        await page.evaluate(() => history.pushState(null, "", "/t/route"));
        assert.equal((await outcome(page, "call", "getNetworkType")).code, "ok");
        assert.equal((await outcome(page, "call", "getNetworkType")).code, "ok");
        const lists = (await callsOf(page, "preVerifyJSAPI")).map(([, sent]) => sent.verifyOpenTagList);
        assert.deepEqual(lists, [["wx-open-launch-weapp"], ["wx-open-launch-weapp"]]);
        const landing = { url: `${service.url}/t/landing`, good: true };
        assert.deepEqual(page.verified, [landing, landing]);
      }));
  }

  const withTagList = async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, openTagList: ["wx-open-launch-weapp"] } });
  };

  test("a route pushed while an iPhone's signature is being fetched keeps its open tags", () =>
    withPage({ userAgent: IOS_WECHAT, client: { checks: "landing" } }, async (page) => {
      await page.route("**/jssdk/config?**", async (route) => {
        await page.evaluate(() => history.replaceState(null, "", "/t/route"));
        await withTagList(route);
      });
      await page.open("/t/landing");
      await expectReady(page, { autoReconfigure: true });
      assert.equal((await outcome(page, "call", "getNetworkType")).code, "ok");
      assert.equal((await callsOf(page, "preVerifyJSAPI")).length, 2);
    }));

  test("a route pushed while a signature is being fetched is signed too", () =>
    withPage({}, async (page) => {
      let release;
      const held = new Promise((resolve) => (release = resolve));
      await page.route("**/jssdk/config?**", async (route) => {
        await held;
        await route.continue();
      });
      await page.open("/t/one");
      const ready = expectReady(page);
      await page.waitForRequest("**/jssdk/config?**").catch(() => {});
      await page.evaluate(() => history.pushState(null, "", "/t/two"));
      release();
      await ready;
      assert.deepEqual(page.verified.at(-1), { url: `${service.url}/t/two`, good: true });
    }));

  for (const [what, apis, configs] of [
    ["is configured once", null, 1],
    ["is configured again for interfaces that were asked for meanwhile", ["scanQRCode"], 2],
  ]) {
    test(`a route replaced during the first signing ${what}`, () =>
      withPage({}, async (page) => {
        let release;
        const held = new Promise((resolve) => (release = resolve));
        const wanted = new Promise((asked) =>
          page.route("**/jssdk/config?**", async (route) => {
            asked();
            await held;
            await route.continue();
          }),
        );
        await page.open("/t/?code=x");
        const ready = expectReady(page, { apis: ["chooseImage"], autoReconfigure: true });
        await wanted;
        await page.evaluate((more) => {
          history.replaceState(null, "", "/t/home");
          if (more) window.wxJssdk.ready({ apis: more });
        }, apis);
        release();
        await ready;
        assert.equal((await outcome(page, "call", "getNetworkType")).code, "ok");
        assert.deepEqual(page.verified, Array(configs).fill({ url: `${service.url}/t/home`, good: true }));
        assert.equal(page.asked.length, 1 + configs);
        const [[, sent]] = (await callsOf(page, "preVerifyJSAPI")).slice(-1);
        assert.deepEqual(sent.verifyJsApiList, ["chooseImage", ...(apis || [])]);
      }));
  }
});

describe("a URL that changes while it is being signed", () => {
  /** Moves the page to the next of these routes during each request of this path. */
  const moveDuring = (page, path, routes) =>
    page.route(`**/jssdk/${path}?**`, async (route) => {
      const next = routes.shift();
      if (next) await page.evaluate((to) => history.replaceState(null, "", to), next);
      await route.continue();
    });

  test("is signed again, however often it changes, before the first config", () =>
    withPage({}, async (page) => {
      await page.open("/t/?code=x");
      await moveDuring(page, "config", ["/t/home", "/t/home?tab=1"]);
      await expectReady(page, { autoReconfigure: true });
      assert.deepEqual(page.verified[0], { url: `${service.url}/t/home?tab=1`, good: true });
      assert.ok(page.verified.every((one) => one.good));
    }));

  test("is signed again before share sets the card", () =>
    withPage({}, async (page) => {
      await page.open("/t/one");
      await expectReady(page, { autoReconfigure: true });
      await moveDuring(page, "config", ["/t/b", "/t/c"]);
      await page.evaluate(() => history.pushState(null, "", "/t/a"));
      assert.equal((await outcome(page, "share", { title: "c" })).code, "ok");
      assert.ok(page.verified.every((one) => one.good));
    }));

  test("is signed again before agentConfig", () =>
    withPage({ userAgent: WECOM }, async (page) => {
      await page.open("/t/?code=x");
      await expectReady(page, { account: "demo-work" });
      await moveDuring(page, "agent-config", ["/t/home", "/t/home?tab=1"]);
      assert.equal((await outcome(page, "agentReady", { apis: ["selectExternalContact"] })).code, "ok");
      assert.deepEqual(page.verified[1], { url: `${service.url}/t/home?tab=1`, good: true });
    }));

  /** More routes than the script may request. */
  const manyRoutes = () => Array.from({ length: 20 }, (_, at) => `/t/${at}`);

  test("during every request ends with the client's error, not in a loop", () =>
    withPage({}, async (page) => {
      await page.open();
      await moveDuring(page, "config", manyRoutes());
      expectError(await outcome(page, "ready", {}), "invalid_signature");
      assert.equal(page.asked.length, 4, "three rounds and the retry");
    }));

  test("during every request of agentReady ends with the client's error too", () =>
    withPage({ userAgent: WECOM }, async (page) => {
      await page.open();
      await expectReady(page, { account: "demo-work" });
      await moveDuring(page, "agent-config", manyRoutes());
      expectError(await outcome(page, "agentReady", { apis: ["selectExternalContact"] }), "invalid_signature");
      assert.equal(page.asked.length, 4, "the config and three rounds");
    }));
});

describe("outside WeChat", () => {
  test("every promise rejects at once without a request", () =>
    withPage({ userAgent: null, client: null }, async (page) => {
      await page.open();
      for (const [name, ...args] of [["ready", {}], ["reconfigure"], ["call", "getLocation"], ["share", { title: "t" }], ["agentReady"]]) {
        expectError(await outcome(page, name, ...args), "not_in_wechat");
      }
      assert.deepEqual(page.asked, []);
      expectQuiet(page);
    }));

  test("an unhandled failure is reported by the browser", () =>
    withPage({ userAgent: null, client: null }, async (page) => {
      await page.open();
      await page.evaluate(() => void window.wxJssdk.ready({}));
      await page.waitForEvent("pageerror", { timeout: 3000 }).catch(() => {});
      assert.match(page.complaints.join(), /not_in_wechat/);
    }));

  test("on a server the file does nothing", async () => {
    await import(SCRIPT);
    assert.equal(globalThis.wxJssdk, undefined);
  });
});

describe("a slow or silent client", () => {
  for (const refused of [false, true]) {
    test(`a late bridge is waited for${refused ? ", and its refusal is detected" : ""}`, () =>
      withPage({ client: { late: true, replies: refused ? { preVerifyJSAPI: "fail_invalid url domain" } : {} } }, async (page) => {
        await page.open();
        const came = outcome(page, "ready", {});
        await page.waitForFunction(() => window.wx && window.wx.invoke); // wx.config was called, and there is no bridge
        await page.evaluate(() => window.bridgeComes());
        assert.equal((await came).code, refused ? "domain_not_bound" : "ok");
      }));
  }

  test("a config without an answer times out after ten seconds", () =>
    withPage({ client: { replies: { preVerifyJSAPI: null } } }, async (page) => {
      await page.clock.install();
      await page.open();
      const came = outcome(page, "ready", {});
      await page.waitForFunction(() => window.bridgeCalls.length);
      await page.clock.fastForward(10_500);
      expectError(await came, "timeout");
    }));

  test("with timeout 0 a late answer of config counts", () =>
    withPage({ client: { held: true } }, async (page) => {
      await page.clock.install();
      await page.open();
      const came = outcome(page, "ready", { timeout: 0 });
      await page.waitForFunction(() => window.clientAnswers);
      await page.clock.fastForward(60_000);
      await page.evaluate(() => window.clientAnswers());
      assert.equal((await came).code, "ok");
    }));

  test("a call without an answer times out, unless it waits for the user or in a queue", () =>
    withPage({ client: { replies: { checkJsApi: null, chooseImage: null, getLocalImgData: null } } }, async (page) => {
      await page.clock.install();
      await page.open();
      await expectReady(page);
      await page.evaluate(() => {
        window.gaveUp = [];
        for (const name of ["chooseImage", "getLocalImgData"]) window.wxJssdk.call(name).catch(() => window.gaveUp.push(name));
      });
      const came = outcome(page, "call", "checkJsApi", { jsApiList: ["chooseImage"] });
      await page.waitForFunction(() => window.bridgeCalls.some(([name]) => name === "checkJsApi"));
      await page.clock.fastForward(10_500);
      expectError(await came, "timeout");
      assert.deepEqual(await page.evaluate(() => window.gaveUp), []);
      const impatient = outcome(page, "call", "chooseImage", {}, { timeout: 100 });
      await page.waitForFunction(() => window.bridgeCalls.filter(([name]) => name === "chooseImage").length === 2);
      await page.clock.fastForward(200);
      expectError(await impatient, "timeout");
    }));
});

describe("calls", () => {
  test("the caller's lists stay as they were, though jweixin changes what it is given", () =>
    withPage({}, async (page) => {
      await page.open();
      const lists = await page.evaluate(async () => {
        const options = { apis: ["getLocation", "chooseWXPay"], openTags: ["wx-open-launch-weapp"] };
        await window.wxJssdk.ready(options);
        return options;
      });
      assert.deepEqual(lists, { apis: ["getLocation", "chooseWXPay"], openTags: ["wx-open-launch-weapp"] });
      const [[, sent]] = await callsOf(page, "preVerifyJSAPI");
      assert.deepEqual(sent.verifyJsApiList, ["geoLocation", "getBrandWCPayRequest"]);
      assert.deepEqual(sent.verifyOpenTagList, ["wx-open-launch-weapp"]);
    }));

  test("the lists of a call stay as they were too", () =>
    withPage({}, async (page) => {
      await page.open();
      await expectReady(page);
      const list = await page.evaluate(async () => {
        const jsApiList = ["getLocation", "chooseWXPay"];
        await window.wxJssdk.call("checkJsApi", { jsApiList });
        return jsApiList;
      });
      assert.deepEqual(list, ["getLocation", "chooseWXPay"]);
      assert.deepEqual((await callsOf(page, "checkJsApi"))[0][1].jsApiList, ["geoLocation", "getBrandWCPayRequest"]);
    }));

  test("apis may be one name", () =>
    withPage({ userAgent: WECOM }, async (page) => {
      await page.open();
      await expectReady(page, { account: "demo-work", apis: "chooseImage" });
      assert.equal((await outcome(page, "agentReady", { apis: "selectExternalContact" })).code, "ok");
      assert.equal((await callsOf(page, "preVerifyJSAPI"))[0][1].verifyJsApiList[0], "chooseImage");
      assert.deepEqual((await callsOf(page, "agentConfig"))[0][1].jsApiList, ["selectExternalContact"]);
    }));

  test("without apis the account's own list is asked for", () =>
    withPage({}, async (page) => {
      await page.open();
      await expectReady(page, {});
      const [[, sent]] = await callsOf(page, "preVerifyJSAPI");
      assert.ok(sent.verifyJsApiList.includes("chooseImage"), sent.verifyJsApiList);
    }));

  test("a call without ready() configures by itself, and a second one does not", () =>
    withPage({}, async (page) => {
      await page.open();
      const came = await outcome(page, "call", "getNetworkType");
      assert.equal(came.value.networkType, "wifi");
      assert.equal((await outcome(page, "call", "getNetworkType")).code, "ok");
      assert.equal(page.asked.length, 1);
    }));

  test("share sets both cards", () =>
    withPage({}, async (page) => {
      await page.open("/t/page?a=1#x");
      const card = { title: "T", desc: "D", link: `${service.url}/l`, imgUrl: `${service.url}/i.png` };
      assert.equal((await outcome(page, "share", card)).code, "ok");
      const [[, friends]] = await callsOf(page, "updateAppMessageShareData");
      const [[, timeline]] = await callsOf(page, "updateTimelineShareData");
      const { title, link, imgUrl } = card;
      assert.deepEqual([friends.title, friends.desc, friends.link, friends.imgUrl], ["T", "D", link, imgUrl]);
      assert.deepEqual([timeline.title, timeline.link, timeline.imgUrl], [title, link, imgUrl]);
    }));

  for (const [says, code] of [
    ["cancel", "cancelled_by_user"],
    ["fail cancel", "cancelled_by_user"],
    ["permission denied", "permission_denied"],
    ["fail_no permission to execute", "permission_denied"],
    ["fail_the permission value is offline verifying", "offline_verifying"],
    ["function not exist", "function_not_exist"],
    ["fail_function_not_exist", "function_not_exist"],
    ["fail_no camera", "api_failed"],
  ]) {
    test(`"${says}" of a call is ${code}`, () =>
      withPage({ client: { replies: { chooseImage: says, updateAppMessageShareData: says } } }, async (page) => {
        await page.open();
        await expectReady(page);
        const came = await outcome(page, "call", "chooseImage", {});
        expectError(came, code);
        assert.equal(came.api, "chooseImage");
        expectError(await outcome(page, "share", { title: "t" }), code);
      }));
  }

  test("an interface that only the client has is called by its bridge", () =>
    withPage({}, async (page) => {
      await page.open();
      const came = await outcome(page, "call", "requestMerchantTransfer", { mchId: "1" });
      assert.equal(came.value.errMsg, "requestMerchantTransfer:ok");
      assert.equal((await callsOf(page, "requestMerchantTransfer"))[0][1].mchId, "1");
    }));

  test("share works with an older jweixin of the page, which lacks its two functions", () => {
    const old = `<script>
      for (const name in wx) if (/ShareData$/.test(name)) delete wx[name];
      const { config } = wx;
      wx.config = (asked) => { config(asked); if (!asked.beta) delete wx.invoke; };
    </script>`;
    const jweixin = '<script src="https://res.wx.qq.com/open/js/jweixin-1.6.0.js"></script>';
    return withPage({ head: jweixin + old + CLASSIC }, async (page) => {
      await page.open();
      assert.equal(await page.evaluate(() => typeof window.wx.updateTimelineShareData), "undefined");
      assert.equal((await outcome(page, "share", { title: "T" })).code, "ok");
      assert.equal((await callsOf(page, "updateAppMessageShareData"))[0][1].title, "T");
      assert.equal((await callsOf(page, "updateTimelineShareData"))[0][1].title, "T");
    });
  });

  test("an interface that neither jweixin nor the client has names both", () =>
    withPage({ client: { replies: { makeCoffee: "function_not_exist" } } }, async (page) => {
      await page.open();
      const came = await outcome(page, "call", "makeCoffee");
      expectError(came, "function_not_exist");
      assert.match(came.cause.en, /This client, or the page's jweixin/);
      assert.match(came.fix.en, /load jweixin 1\.6\.0, update WeChat/);
    }));
});

describe("loading jweixin", () => {
  /** Holds the first host's answer until `release`; `wanted`: it was asked. */
  const holdFirstHost = (page) => {
    const gate = {};
    const held = new Promise((resolve) => (gate.release = resolve));
    gate.wanted = new Promise((asked) =>
      page.route("https://res.wx.qq.com/**", async (route) => {
        asked();
        await held;
        await route.fallback();
      }),
    );
    return gate;
  };

  for (const kind of ["a property that may be redefined", "a global variable, as of RequireJS"]) {
    const declare = kind.startsWith("a property") ? "window.define =" : "var define =";
    test(`with an AMD loader whose define is ${kind}`, () => {
      const loader = `<script>window.defined = []; ${declare} function () { defined.push([].slice.call(arguments)); }; define.amd = { jQuery: true };</script>`;
      return withPage({ head: loader + CLASSIC }, async (page) => {
        await page.open();
        const mine = page.evaluate(() => window.define);
        await expectReady(page);
        assert.deepEqual(await page.evaluate(() => window.defined), [], "the loader hears nothing of a nameless module");
        await page.evaluate(() => window.define("mine", [], 1));
        assert.deepEqual(await page.evaluate(() => [window.defined, window.define.amd.jQuery]), [[["mine", [], 1]], true]);
        await mine;
        expectQuiet(page);
      });
    });
  }

  test("a module that is defined while jweixin loads reaches the loader", () =>
    withPage(
      { head: `<script>window.defined = []; var define = function (name) { defined.push(name); }; define.amd = {};</script>${CLASSIC}` },
      async (page) => {
        const first = holdFirstHost(page);
        await page.open();
        const ready = expectReady(page);
        await first.wanted;
        await page.addScriptTag({ content: 'define("between")' });
        first.release();
        await ready;
        assert.deepEqual(await page.evaluate(() => window.defined), ["between"]);
      },
    ));

  test("the first host down: the second one is used", () =>
    withPage({ cdn: ["res2.wx.qq.com"] }, async (page) => {
      await page.open();
      await expectReady(page);
      expectQuiet(page);
    }));

  test("a first host that hangs costs five seconds and no more", () =>
    withPage({}, async (page) => {
      await page.clock.install();
      const wanted = new Promise((asked) => page.route("https://res.wx.qq.com/**", () => asked()));
      await page.goto(`${service.url}/t/page`);
      const ready = expectReady(page);
      await wanted;
      await page.clock.fastForward(5100);
      await ready;
    }));

  test("a first host that answers after the second has failed is still used", () =>
    withPage({ cdn: ["res.wx.qq.com"] }, async (page) => {
      await page.clock.install();
      const first = holdFirstHost(page);
      await page.open();
      const ready = expectReady(page);
      await first.wanted;
      const failed = page.waitForEvent("requestfailed");
      await page.clock.fastForward(5100);
      await failed;
      await page.evaluate(() => {}); // the page has heard of it
      first.release();
      await ready;
    }));

  test("a first host that answers late is kept from an AMD loader too", () => {
    const loader = "<script>window.defined = []; var define = function () { defined.push(arguments.length); }; define.amd = {};</script>";
    return withPage({ head: loader + CLASSIC }, async (page) => {
      await page.clock.install();
      const first = holdFirstHost(page);
      await page.open();
      const ready = expectReady(page);
      await first.wanted;
      await page.clock.fastForward(5100);
      await ready;
      await page.evaluate(() => {
        window.late = new Promise((done) => document.querySelector('script[src*="//res.wx"]').addEventListener("load", done));
      });
      first.release();
      await page.evaluate(() => window.late.then(() => {}));
      assert.deepEqual(await page.evaluate(() => window.defined), []);
    });
  });

  test("both hosts down is reported, and the next call retries", () =>
    withPage({ cdn: [] }, async (page) => {
      await page.open();
      expectError(await outcome(page, "ready", {}), "sdk_not_loaded");
      await page.route("https://res2.wx.qq.com/**", (route) =>
        route.fulfill({
          contentType: "application/javascript",
          body: readFileSync(join(import.meta.dirname, "node_modules/weixin-js-sdk/index.original.js"), "utf8"),
        }),
      );
      await expectReady(page);
    }));

  test("a page with trusted types that loads no jweixin itself is told so", () =>
    withPage({ headers: { "Content-Security-Policy": "require-trusted-types-for 'script'" } }, async (page) => {
      await page.open();
      const came = await outcome(page, "ready", {});
      expectError(came, "sdk_not_loaded");
      assert.match(came.fix.en, /CSP.*trusted types/);
    }));

  test("a page that has already loaded jweixin keeps its copy", () =>
    withPage({ cdn: ["res2.wx.qq.com"], head: `<script src="https://res2.wx.qq.com/open/js/jweixin-1.6.0.js"></script>${CLASSIC}` }, async (page) => {
      let loads = 0;
      page.on("request", (request) => (loads += request.url().includes("jweixin") ? 1 : 0));
      await page.open();
      await expectReady(page);
      assert.equal(loads, 1);
    }));
});

describe("the endpoint", () => {
  const problem = (status, code, more = {}) => ({
    status,
    contentType: "application/problem+json",
    headers: more,
    body: JSON.stringify({ status, code, title: "T", detail: `D of ${code}`, hint: { en: `H of ${code}`, zh: `提示 ${code}` } }),
  });

  test("down, then up: a 503 is asked again after its Retry-After, without the page noticing", () =>
    withPage({}, async (page) => {
      let answers = 0;
      const times = [];
      await page.route("**/jssdk/config?**", (route) => {
        times.push(Date.now());
        answers += 1;
        if (answers === 1) return route.abort("connectionrefused");
        return answers === 2 ? route.fulfill(problem(503, "upstream_unavailable", { "Retry-After": "1" })) : route.continue();
      });
      await page.open();
      await expectReady(page);
      assert.equal(answers, 3);
      assert.ok(times[2] - times[1] >= 950, "as long as it was told to wait");
    }));

  test("down for good: three attempts, and the endpoint's own code and hint", () =>
    withPage({}, async (page) => {
      let answers = 0;
      await page.route("**/jssdk/config?**", (route) => {
        answers += 1;
        return route.fulfill(problem(503, "upstream_unavailable"));
      });
      await page.open();
      const came = await outcome(page, "ready", {});
      expectError(came, "upstream_unavailable");
      assert.equal(answers, 3);
      assert.deepEqual([came.status, came.fix], [503, { en: "H of upstream_unavailable", zh: "提示 upstream_unavailable" }]);
      assert.equal(came.cause.en, "D of upstream_unavailable");
      await page.unroute("**/jssdk/config?**");
      await expectReady(page);
    }));

  for (const [name, answer, code] of [
    ["a quota that opens at midnight", problem(503, "upstream_quota", { "Retry-After": "3600" }), "upstream_quota"],
    ["an account that needs a person", problem(502, "account_misconfigured"), "account_misconfigured"],
    ["an unknown account", problem(404, "unknown_account"), "unknown_account"],
    ["an answer without a signature", { status: 200, json: { appId: "wx1" } }, "endpoint_unreachable"],
    ["a page of a single-page application", { status: 200, contentType: "text/html", body: "<h1>app</h1>" }, "endpoint_unreachable"],
    ["a gateway's own JSON", { status: 500, json: { code: 500, msg: "busy" } }, "endpoint_unreachable"],
    ["a gateway's own JSON with a named code", { status: 403, json: { code: "AccessDenied", message: "no" } }, "endpoint_unreachable"],
    ["a path that leads nowhere", { status: 404, contentType: "text/html", body: "nginx" }, "endpoint_unreachable"],
  ]) {
    test(`${name} is not retried: ${code}`, () =>
      withPage({}, async (page) => {
        let answers = 0;
        await page.route("**/jssdk/config?**", (route) => {
          answers += 1;
          return route.fulfill(answer);
        });
        await page.open();
        const came = await outcome(page, "ready", {});
        expectError(came, code);
        assert.equal(answers, 1);
        assert.equal(came.status, answer.status);
        assert.match(came.address, /\/jssdk\/config\?url=http%3A/);
      }));
  }

  test("down behind a gateway that answers with JSON of its own is asked again", () =>
    withPage({}, async (page) => {
      let answers = 0;
      await page.route("**/jssdk/config?**", (route) => {
        answers += 1;
        return answers === 1 ? route.fulfill({ status: 502, json: { code: 502, message: "no upstream" } }) : route.continue();
      });
      await page.open();
      await expectReady(page);
      assert.equal(answers, 2);
    }));

  test("unreachable: endpoint_unreachable", () =>
    withPage({}, async (page) => {
      await page.route("**/jssdk/config?**", (route) => route.abort("connectionrefused"));
      await page.open();
      const came = await outcome(page, "ready", {});
      expectError(came, "endpoint_unreachable");
      assert.equal(came.status, 0);
    }));

  test("a hanging endpoint times out after fifteen seconds", () =>
    withPage({}, async (page) => {
      await page.clock.install();
      const wanted = new Promise((asked) => page.route("**/jssdk/config?**", () => asked()));
      await page.open();
      const came = outcome(page, "ready", {});
      await wanted;
      await page.clock.fastForward(15_500);
      const error = await came;
      expectError(error, "endpoint_unreachable");
      assert.equal(error.errMsg, "timeout");
    }));

  test("an answer whose body stalls times out too", () =>
    withPage({}, async (page) => {
      await page.clock.install();
      await page.addInitScript(() => {
        window.fetch = async () => {
          window.fetched = true;
          return new Response(new ReadableStream({}));
        };
      });
      await page.open();
      const came = outcome(page, "ready", {});
      await page.waitForFunction(() => window.fetched);
      await page.clock.fastForward(15_500);
      const error = await came;
      expectError(error, "endpoint_unreachable");
      assert.deepEqual([error.status, error.errMsg], [200, "timeout"]);
    }));

  test("the real one refuses a page on a foreign domain: page_not_allowed, with its hint", () =>
    withPage({}, async (page) => {
      await page.route("http://foreign.example/jssdk/**", async (route) =>
        route.fulfill({ response: await route.fetch({ url: route.request().url().replace("http://foreign.example", service.url) }) }),
      );
      await page.goto("http://foreign.example/t/page");
      const came = await outcome(page, "ready", {});
      expectError(came, "page_not_allowed");
      assert.equal(came.status, 403);
      assert.match(came.fix.en, /js_safe_domains/);
    }));

  test("the real one knows no such account: unknown_account, with its hint", () =>
    withPage({}, async (page) => {
      await page.open();
      const came = await outcome(page, "ready", { account: "nobody & co" });
      expectError(came, "unknown_account");
      assert.match(came.cause.en, /nobody & co/);
    }));
});

describe("WeCom", () => {
  const account = "demo-work";

  test("agentReady signs with the app's own ticket, after config", () =>
    withPage({ userAgent: WECOM }, async (page) => {
      await page.open("/t/page?a=%2F#x");
      const came = await outcome(page, "agentReady", { apis: ["selectExternalContact"], account });
      assert.equal(came.code, "ok", JSON.stringify(came));
      assert.deepEqual(page.verified.map((one) => one.good), [true, true]);
      const [[, sent]] = await callsOf(page, "agentConfig");
      assert.deepEqual(sent.jsApiList, ["selectExternalContact"]);
      assert.deepEqual([sent.agentid, typeof sent.timestamp], ["1000002", "string"]);
      assert.equal((await outcome(page, "call", "selectExternalContact", { filterType: 0 })).code, "ok");
      expectQuiet(page);
    }));

  test("a refused agentConfig is reported, and the previous config stays valid", () =>
    withPage({ userAgent: WECOM, client: { replies: { agentConfig: "fail_invalid signature" } } }, async (page) => {
      await page.open();
      await expectReady(page, { account });
      const came = await outcome(page, "agentReady");
      expectError(came, "invalid_signature");
      assert.equal(came.signedUrl, `${service.url}/t/page`);
      assert.equal((await outcome(page, "call", "getNetworkType")).code, "ok");
    }));

  for (const [says, code, fix] of [
    ["fail_not match any reliable domain. more info at https://open.work.weixin.qq.com/devtool/query?e=80001", "trusted_domain_mismatch", /exactly this host/],
    ["fail_invalid signature more info at https://open.work.weixin.qq.com/devtool/query?e=40093", "invalid_signature", /error\.signedUrl/],
  ]) {
    test(`"${says}" of agentConfig is ${code}`, () =>
      withPage({ userAgent: WECOM, client: { replies: { agentConfig: says } } }, async (page) => {
        await page.open();
        const came = await outcome(page, "agentReady", { account });
        expectError(came, code);
        assert.match(came.fix.en, fix);
      }));
  }

  for (const [name, says, code, advice] of [
    ["preVerifyJSAPI", "fail,invalid url domain", "domain_not_bound", /trusted domain.*网页授权及JS-SDK/],
    ["preVerifyJSAPI", "fail_invalid corpid", "config_failed", /WeCom refused.*CorpID/],
    ["preVerifyJSAPI", "fail,Error: AppID 不合法", "config_failed", /WeCom refused.*CorpID/],
    ["preVerifyJSAPI", "require subscribe", "config_failed", /WeCom refused/],
    ["agentConfig", "invalid url domain", "domain_not_bound", /trusted domain.*网页授权及JS-SDK/],
    ["agentConfig", "permission denied", "permission_denied", /WeCom app.*WeCom admin console/],
    ["agentConfig", "function not exist", "function_not_exist", /update WeCom/],
    ["agentConfig", "fail_invalid agentid", "config_failed", /AgentId.*visible range/],
    ["agentConfig", "fail", "config_failed", /AgentId.*visible range/],
    ["selectExternalContact", "fail_the permission value is offline verifying", "offline_verifying", /agentReady\(\)/],
    ["sendChatMessage", "fail_no permission", "permission_denied", /WeCom admin console/],
    ["chooseImage", "permission denied", "permission_denied", /WeCom admin console/],
  ]) {
    test(`"${name}:${says}" is ${code}, with WeCom's advice`, () =>
      withPage({ userAgent: WECOM, client: { replies: { [name]: says } } }, async (page) => {
        await page.open();
        let came = await outcome(page, name === "preVerifyJSAPI" ? "ready" : "agentReady", { account, apis: ["selectExternalContact"] });
        if (came.code === "ok") came = await outcome(page, "call", name);
        expectError(came, code);
        assert.match(`${came.cause.en} ${came.fix.en}`, advice);
        const texts = [came.cause, came.fix].flatMap(({ en, zh }) => [en, zh]).join();
        assert.doesNotMatch(texts, /WeChat|(?<!企业)微信|接口权限与额度|JS接口安全域名/);
      }));
  }

  test("for an account without an agent the endpoint's error is reported", () =>
    withPage({ userAgent: WECOM }, async (page) => {
      await page.open();
      expectError(await outcome(page, "agentReady", { account: "demo" }), "unsupported_credential");
    }));

  test("in WeChat agentReady rejects", () =>
    withPage({}, async (page) => {
      await page.open();
      expectError(await outcome(page, "agentReady", { account }), "not_in_wechat");
    }));

  test("share sets the card of WeCom's three buttons, whatever apis lists", () =>
    withPage({ userAgent: WECOM_IOS }, async (page) => {
      await page.open();
      await expectReady(page, { account, apis: ["getNetworkType"] });
      const [[, sent]] = await callsOf(page, "preVerifyJSAPI");
      const events = ["menu:share:appmessage", "menu:share:timeline", "menu:share:wechat"];
      assert.deepEqual(sent.verifyJsApiList, ["getNetworkType", ...events]);
      const link = `${service.url}/l`;
      assert.equal((await outcome(page, "share", { title: "T", desc: "D", link })).code, "ok");
      assert.deepEqual(await page.evaluate(() => window.listened), events);
      await page.evaluate((taps) => taps.forEach(window.userShares), events);
      for (const name of ["sendAppMessage", "shareTimeline", "shareWechat"]) {
        const [[, card]] = await callsOf(page, name);
        assert.deepEqual([card.title, card.link, card.img_url], ["T", link, ""], name);
      }
      assert.equal((await callsOf(page, "shareWechat"))[0][1].desc, "D");
    }));
});

test("the script is at most 8 KB on the wire", () => {
  const size = gzipSync(readFileSync(SCRIPT)).length;
  assert.ok(size <= 8 * 1024, `${size} bytes gzipped`);
});
