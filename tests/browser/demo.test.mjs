// The demo page in a real browser, with the real jweixin, against the real service.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { withGroupsOpen } from "./demo-helpers.mjs";
import {
  ANDROID_WECHAT,
  IOS_WECHAT,
  browser,
  expectQuiet,
  expectVerdict,
  inPage,
  installBridge,
  service,
  useServiceAndBrowser,
} from "./harness.mjs";

useServiceAndBrowser();

/** Runs one test in a new page. */
const withPage = (options, work) => inPage(browser, options, work);

const text = (page, id) => page.locator(`#${id}`).innerText();

describe("in the sandbox, in an ordinary browser", () => {
  test("the unchanged page reaches config:ok with the real jweixin", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "ok", "config:ok");
      assert.match(await text(page, "sdk"), /1\.6\.0 · res\.wx\.qq\.com/);
      assert.match(await text(page, "client"), /8\.0\.50 · Android（?.*模拟/);
      assert.match(await text(page, "sandbox"), /客户端为模拟/);
      assert.equal(await text(page, "signed-url"), `${service.url}/`);
      assert.deepEqual(page.reports, [], "a sandbox sends no usage report to WeChat");
      expectQuiet(page);
    }));

  test("until config:ok a spinner turns and the buttons are disabled, with the reason", () =>
    withPage({}, async (page) => {
      let release;
      const held = new Promise((resolve) => (release = resolve));
      await page.route("**/sandbox/pre-verify", async (route) => {
        await held;
        await route.continue();
      });
      await page.goto(`${service.url}/`);
      const buttons = page.locator("[data-api]");
      assert.equal(await page.locator("[data-api]:disabled").count(), await buttons.count());
      assert.match(await text(page, "why"), /微信认可签名之后/);
      const shown = () => page.locator("#disc > :visible").evaluateAll((all) => all.map((one) => one.tagName.toLowerCase()));
      assert.deepEqual(await shown(), ["span"], "the spinner");
      assert.equal(await buttons.first().getAttribute("aria-describedby"), "why");
      release();
      await expectVerdict(page, "ok");
      assert.deepEqual(await shown(), ["svg"], "the check mark");
      assert.equal(await page.locator("[data-api]:enabled").count(), await buttons.count());
      assert.equal(await buttons.first().getAttribute("aria-describedby"), null);
    }));

  test("with both script hosts unreachable the sandbox simulates jweixin too, and the page says so", () =>
    withPage({ cdn: [] }, async (page) => {
      await withGroupsOpen(page);
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok", "config:ok");
      assert.match(await text(page, "sdk"), /simulated by the sandbox/);
      assert.match(await text(page, "sandbox-note"), /jweixin could not be loaded/);
      await page.locator('[data-api="checkJsApi"]').click();
      await page.locator('[data-card="checkJsApi"] [data-result="ok"]', { hasText: "47 supported" }).waitFor();
      expectQuiet(page);
    }));

  test("the simulated jweixin reports an error once and does not call ready", () =>
    withPage({ cdn: [] }, async (page) => {
      await page.goto(`${service.url}/?break=signature&client=ios`);
      await expectVerdict(page, "error", "签名无效");
      assert.equal(await text(page, "says"), "config:invalid signature");
      assert.equal(await page.locator("[data-api]:enabled").count(), 0);
    }));

  test("the first script host down: the second one is used", () =>
    withPage({ cdn: ["res2.wx.qq.com"] }, async (page) => {
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "ok", "config:ok");
      assert.match(await text(page, "sdk"), /res2\.wx\.qq\.com/);
      expectQuiet(page);
    }));

  for (const lang of ["zh", "en"]) {
    test(`a broken signature shows cause and fix in ${lang}, and no button is enabled`, () =>
      withPage({}, async (page) => {
        await page.goto(`${service.url}/?lang=${lang}&break=signature`);
        await expectVerdict(page, "error", lang === "en" ? "Invalid signature" : "签名无效");
        assert.equal(await text(page, "says"), "config:invalid signature");
        assert.ok((await text(page, "cause")).length > 10);
        assert.match(await text(page, "fixes"), lang === "en" ? /sent with encodeURIComponent/ : /encodeURIComponent，途中/);
        assert.equal(
          await page.locator("[data-api]:enabled").count(),
          0,
          "ready runs after an error as well, and must not count",
        );
        expectQuiet(page);
        await page.getByRole("link", { name: lang === "en" ? "Restore signature" : "恢复签名" }).click();
        await expectVerdict(page, "ok", "config:ok");
      }));
  }

  test("changing the language or the client keeps the rest of the address", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?q=%E4%BD%A0%2F%2B+x&client=ios#part`);
      await expectVerdict(page, "ok");
      await page.getByRole("link", { name: "English" }).click();
      await page.waitForURL(`${service.url}/?q=%E4%BD%A0%2F%2B+x&client=ios&lang=en#part`);
      await expectVerdict(page, "ok", "config:ok");
      assert.match(await text(page, "client"), /iOS/);
      await page.getByRole("link", { name: "Android" }).click();
      await page.waitForURL(`${service.url}/?q=%E4%BD%A0%2F%2B+x&lang=en&client=android#part`);
      await expectVerdict(page, "ok", "config:ok");
    }));

  test("the simulated client is as strict as a real one", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "ok");
      const invoke = (name, params) =>
        page.evaluate(([n, p]) => new Promise((done) => window.WeixinJSBridge.invoke(n, p, done)), [name, params]);
      assert.equal((await invoke("agentConfig", {})).err_msg, "agentConfig:fail_function not exist", "is WeCom's alone");
      assert.equal(
        (await invoke("getLocalImgData", { localId: "weixin://resourceid/nobody" })).err_msg,
        "getLocalImgData:fail_invalid localId",
      );
      await page.evaluate(async () => {
        const config = await (await fetch(`/jssdk/config?url=${encodeURIComponent(location.href)}`)).json();
        const accepted = new Promise((done) => {
          window.wx.checkJsApi({ jsApiList: [], complete: done });
        });
        window.wx.config({ ...config, jsApiList: ["getNetworkType"] });
        return accepted;
      });
      await page.waitForFunction(
        () =>
          new Promise((done) =>
            window.WeixinJSBridge.invoke("startRecord", {}, (res) => done(/permission denied/.test(res.err_msg))),
          ),
      );
      await invoke("preVerifyJSAPI", {
        verifyAppId: "wxnobody",
        verifySignature: "0".repeat(40),
        verifyTimestamp: "1",
        verifyNonceStr: "n",
      });
      assert.match(
        (await invoke("getNetworkType", {})).err_msg,
        /offline verifying/,
        "a failed config takes the permissions back",
      );
    }));

  /** Runs wx.config with these lists for the page's address, and returns the client's answer. */
  const configure = (page, lists) =>
    page.evaluate(async (given) => {
      const config = await (await fetch(`/jssdk/config?url=${encodeURIComponent(location.href)}`)).json();
      return new Promise((done) => {
        const { invoke } = window.WeixinJSBridge;
        window.WeixinJSBridge.invoke = (name, params, callback) =>
          invoke(name, params, (res) => {
            window.WeixinJSBridge.invoke = invoke;
            const says = res.err_msg; // jweixin deletes it
            callback(res);
            done(says);
          });
        window.wx.config({ ...config, jsApiList: [], openTagList: undefined, ...given });
      });
    }, lists);

  for (const [name, options] of [
    ["jweixin", {}],
    ["the simulated jweixin", { cdn: [] }],
  ]) {
    test(`a config without jsApiList fails with ${name}, an empty one passes`, () =>
      withPage(options, async (page) => {
        await page.goto(`${service.url}/`);
        await expectVerdict(page, "ok");
        assert.equal(await configure(page, { jsApiList: undefined }), "preVerifyJSAPI:fail");
        assert.equal(await configure(page, { jsApiList: [] }), "preVerifyJSAPI:ok");
      }));
  }

  test("the simulated client renders an open tag only while config permits it", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "ok");
      const face = page.locator("wx-open-launch-app button");
      const settled = () => page.evaluate(() => new Promise((done) => setTimeout(done, 150)));
      await configure(page, {});
      await page.evaluate(() => {
        window.readies = 0;
        const tag = document.createElement("wx-open-launch-app");
        tag.addEventListener("ready", () => window.readies++);
        document.body.append(tag);
      });
      await settled();
      assert.deepEqual([await face.count(), await page.evaluate(() => window.readies)], [0, 0], "not in openTagList");
      await configure(page, { openTagList: ["wx-open-audio"] });
      await settled();
      assert.equal(await face.count(), 0, "another tag is in openTagList");
      await configure(page, { openTagList: ["wx-open-launch-app"] });
      await page.waitForFunction(() => window.readies === 1);
      await page.evaluate(() => history.replaceState(null, "", "#part"));
      assert.equal(await face.count(), 1, "a fragment is no other address");
      await page.evaluate(() => history.pushState(null, "", "/route"));
      assert.equal(await face.count(), 0, "the permission ends with the route");
      await configure(page, { openTagList: ["wx-open-launch-app"] });
      await page.waitForFunction(() => window.readies === 2);
      assert.match(await configure(page, { openTagList: ["wx-open-launch-app"], nonceStr: "other" }), /invalid signature/);
      assert.equal(await face.count(), 0, "a refused config permits nothing");
    }));

  test("the simulated client delivers only the events that jsApiList names", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "ok");
      const events = ["menu:share:timeline", "menu:share:appmessage", "onVoicePlayEnd", "onBeaconsInRange"];
      const heard = () =>
        page.evaluate((names) => {
          const came = [];
          for (const name of names) window.WeixinJSBridge.on(name, () => came.push(name));
          for (const name of names) window.sandboxClient.emit(name, {});
          return came;
        }, events);
      await configure(page, { jsApiList: ["chooseImage"] });
      assert.deepEqual(await heard(), []);
      await configure(page, { jsApiList: ["onMenuShareTimeline", "onVoicePlayEnd"] });
      assert.deepEqual(await heard(), ["menu:share:timeline", "onVoicePlayEnd"]);
      await configure(page, { jsApiList: ["onMenuShareTimeline"], nonceStr: "other" });
      assert.deepEqual(await heard(), [], "a refused config permits nothing");
    }));

  for (const client of ["desktop", "wecom"]) {
    test(`the simulated ${client} client says that it has no open tags`, () =>
      withPage({}, async (page) => {
        await page.addInitScript(() => {
          window.refusals = [];
          document.addEventListener("WeixinOpenTagsError", ({ detail }) => window.refusals.push(detail.errMsg));
        });
        await page.goto(`${service.url}/?client=${client}`);
        await expectVerdict(page, "ok");
        await page.waitForFunction(() => window.refusals.length);
        assert.deepEqual(await page.evaluate(() => window.refusals), ["not support"]);
      }));
  }
});

describe("in a WeChat client of the test", () => {
  for (const [name, userAgent, checksLanding] of [
    ["Android", ANDROID_WECHAT, false],
    ["iOS", IOS_WECHAT, true],
  ]) {
    test(`the signature is the one that ${name} computes`, () =>
      withPage({ userAgent }, async (page) => {
        await installBridge(page, service, { checksLanding });
        await page.goto(`${service.url}/`);
        await expectVerdict(page, "ok", "config:ok");
        assert.equal(page.verified.sent, page.verified.expected);
        assert.match(page.verified.sent, /^[0-9a-f]{40}$/);
        assert.match(await text(page, "client"), new RegExp(`微信 8\\.0\\.50.* · ${name}$`), "not called simulated");
        expectQuiet(page);
      }));
  }

  test("a signature changed on the way is refused, and the page names cause and fix", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installBridge(page, service);
      await page.route("**/jssdk/config?**", async (route) => {
        const answer = await (await route.fetch()).json();
        await route.fulfill({ json: { ...answer, nonceStr: `${answer.nonceStr}x` } });
      });
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "error", "Invalid signature");
      assert.notEqual(page.verified.sent, page.verified.expected);
      assert.match(await text(page, "fixes"), /nonceStr and timestamp must reach wx\.config exactly as signed/);
      assert.equal(await page.locator("[data-step=verify]").getAttribute("data-done"), "fail");
    }));

  for (const [errMsg, title] of [
    ["config:require subscribe", "Follow the test account first"],
    ["config:fail", "The config is incomplete"],
    ["config:something new", "WeChat refused"],
  ]) {
    test(`"${errMsg}" is understood as: ${title}`, () =>
      withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
        await page.addInitScript((says) => {
          window.WeixinJSBridge = { invoke: (name, params, callback) => callback({ errMsg: says }), on() {} };
        }, errMsg);
        await page.goto(`${service.url}/?lang=en`);
        await expectVerdict(page, "error", title);
        assert.equal(await text(page, "says"), errMsg);
      }));
  }

  test("a browser that only claims to be WeChat is recognised, on a desktop system at once", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await page.clock.install();
      await page.goto(`${service.url}/?lang=en`);
      await page.locator('[data-step="verify"][data-done="now"]').waitFor();
      await page.clock.fastForward(5_100);
      await expectVerdict(page, "error", "This browser is not WeChat");
      assert.match(await text(page, "cause"), /there is no WeixinJSBridge/);
      assert.match(await text(page, "fixes"), /reset the user agent/);
      await page.addInitScript(() => Object.defineProperty(navigator, "platform", { get: () => "Win32" }));
      await page.clock.pauseAt(Date.now() + 60_000);
      await page.reload();
      await page.locator('[data-step="verify"][data-done="now"]').waitFor();
      await page.clock.runFor(500);
      await expectVerdict(page, "error", "This browser is not WeChat");
    }));

  test("an answer after the timeout still counts", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await page.addInitScript(() => {
        window.WeixinJSBridge = {
          invoke: (name, params, callback) => setTimeout(() => callback({ err_msg: `${name}:ok` }), 30_000),
          on() {},
        };
      });
      await page.clock.install();
      await page.goto(`${service.url}/?lang=en`);
      await page.locator('[data-step="verify"][data-done="now"]').waitFor();
      await page.clock.fastForward(10_500);
      await expectVerdict(page, "error", "The client does not answer");
      await page.clock.fastForward(30_000);
      await page.locator('#state[data-state="ok"]').waitFor();
      assert.equal(await page.locator("#advice").isVisible(), false);
      assert.equal(await page.locator("#next-step").isVisible(), true);
    }));

  test("a refusal after the timeout is still a refusal", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await page.addInitScript(() => {
        const refusal = { err_msg: "preVerifyJSAPI:fail_invalid signature" };
        window.WeixinJSBridge = { invoke: (name, params, callback) => setTimeout(() => callback(refusal), 30_000), on() {} };
      });
      await page.clock.install();
      await page.goto(`${service.url}/?lang=en`);
      await page.locator('[data-step="verify"][data-done="now"]').waitFor();
      await page.clock.fastForward(10_500);
      await expectVerdict(page, "error", "The client does not answer");
      await page.clock.fastForward(30_000);
      await page.locator("#state-title", { hasText: "Invalid signature" }).waitFor();
      await page.clock.fastForward(1000);
      await expectVerdict(page, "error", "Invalid signature");
    }));
});

describe("when it cannot work", () => {
  test("outside WeChat the page says so at once and shows its QR code", () =>
    withPage({}, async (page) => {
      await page.route("**/static/wechat-client.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
      let asked = 0;
      await page.route("**/jssdk/config?**", (route) => {
        asked += 1;
        return route.continue();
      });
      await page.goto(`${service.url}/?x=%2F`);
      await expectVerdict(page, "outside", "请在微信中打开本页");
      await page.waitForFunction(() => document.getElementById("qr").naturalWidth > 100);
      assert.match(
        await page.locator("#qr").getAttribute("src"),
        /qr\.svg\?url=http%3A%2F%2F127\.0\.0\.1%3A\d+%2F%3Fx%3D%252F$/,
      );
      assert.match(await text(page, "outside"), /扫一扫/);
      assert.match(await text(page, "outside-note"), /本机/);
      assert.equal(await page.locator("#signed-url").isVisible(), false, "nothing was signed");
      assert.equal(asked, 0, "no signature is wasted");
      assert.equal(await page.locator("[data-api]:enabled").count(), 0);
      assert.ok((await page.locator("[data-card]").count()) >= 68, "the interfaces can still be read");
      expectQuiet(page);
    }));

  test("the endpoint's own error is shown with its hint", () =>
    withPage({}, async (page) => {
      const problem = {
        type: "about:blank",
        title: "Bad Gateway",
        status: 502,
        code: "account_misconfigured",
        errcode: 40164,
        detail: "WeChat refuses this server's IP.",
        hint: { en: "Add the IP to the allow-list.", zh: "把该 IP 加入白名单。" },
      };
      await page.route("**/jssdk/config?**", (route) =>
        route.fulfill({
          status: 502,
          contentType: "application/problem+json",
          headers: { "Retry-After": "60" },
          body: JSON.stringify(problem),
        }),
      );
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "error", "The server refused to sign");
      assert.equal(await text(page, "says"), "HTTP 502 · account_misconfigured · errcode 40164");
      assert.equal(await text(page, "cause"), "WeChat refuses this server's IP.");
      assert.match(await text(page, "fixes"), /Add the IP to the allow-list\.[^]*Try again in 60 s/);
      await page.goto(`${service.url}/?lang=zh`);
      await expectVerdict(page, "error", "服务器拒绝签名");
      assert.equal(await text(page, "cause"), "服务器给出的错误码是 account_misconfigured，处理办法见下。");
      assert.match(await text(page, "fixes"), /把该 IP 加入白名单/);
    }));

  test("an answer that is a proxy's HTML or lacks a field is recognised", () =>
    withPage({}, async (page) => {
      await page.route("**/jssdk/config?**", (route) =>
        route.fulfill({ status: 504, contentType: "text/html", body: "<h1>504 Gateway Time-out</h1>" }),
      );
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "error", "The endpoint returned no signature");
      assert.match(await text(page, "says"), /HTTP 504: <h1>504 Gateway/, "shown as text, not as HTML");
      await page.unroute("**/jssdk/config?**");
      await page.route("**/jssdk/config?**", (route) => route.fulfill({ json: { appId: "wx1", noncestr: "n" } }));
      await page.reload();
      await expectVerdict(page, "error", "The endpoint returned no signature");
      assert.equal(await text(page, "says"), "HTTP 200 without timestamp, nonceStr, signature");
    }));

  test("inside a real WeChat the sandbox simulates nothing", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await page.addInitScript(() => {
        window.WeixinJSBridge = {
          invoke: (name, params, callback) => callback({ err_msg: `${name}:fail_invalid signature` }),
          on() {},
        };
      });
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "error", "Invalid signature");
      assert.match(await text(page, "sandbox-note"), /a real WeChat refuses the sandbox's fictitious account/);
      assert.match(await text(page, "fixes"), /account is fictitious/);
    }));
});
