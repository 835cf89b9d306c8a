// The demo page's calls of the bridge, and its messages when the client refuses or is silent: in clients of the test.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  cardOf,
  field,
  installRecorder,
  interfaces,
  lastCall,
  open,
  press,
  read,
  resultOf,
  withGroupsOpen,
  withoutSandbox,
} from "./demo-helpers.mjs";
import {
  ANDROID_WECHAT,
  DESKTOP,
  browser,
  expectQuiet,
  expectVerdict,
  inPage,
  service,
  useServiceAndBrowser,
} from "./harness.mjs";

useServiceAndBrowser();

/** A desktop's width and every group open. */
const withPage = (options, work) =>
  inPage(browser, { viewport: DESKTOP, ...options }, async (page) => {
    await withGroupsOpen(page);
    await work(page);
  });

describe("parameters", () => {
  test("edited parameters reach the bridge: text, number, choice, multiple choice, list, JSON", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installRecorder(page);
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      const edit = async (name, parameter, value) => {
        await open(page, name);
        await field(page, name, parameter).fill(value);
      };
      await edit("updateAppMessageShareData", "title", '你好 "quoted"');
      await edit("updateAppMessageShareData", "link", `${service.url}/elsewhere?a=1&b=%2F`);
      await edit("updateAppMessageShareData", "desc", "");
      await press(page, "updateAppMessageShareData");
      const card = await lastCall(page, "updateAppMessageShareData");
      assert.deepEqual(card, {
        title: '你好 "quoted"',
        link: `${service.url}/elsewhere?a=1&b=%2F`,
        imgUrl: `${service.url}/static/share.png`,
      });

      await edit("chooseImage", "count", "7");
      await page.locator("#p-chooseImage-sizeType-0").check();
      await page.locator("#p-chooseImage-sourceType-1").uncheck();
      await press(page, "chooseImage");
      assert.deepEqual(await lastCall(page, "chooseImage"), {
        scene: "1|2",
        count: 7,
        sizeType: ["original", "compressed"],
        sourceType: ["album"],
      });

      await open(page, "getLocation");
      await field(page, "getLocation", "type").selectOption({ label: "wgs84" });
      await press(page, "getLocation");
      assert.deepEqual(await lastCall(page, "geoLocation"), { type: "wgs84" });

      await edit("previewImage", "urls", "https://a.example/1.png\n\n  https://a.example/2.png  ");
      await edit("previewImage", "current", "https://a.example/2.png");
      await press(page, "previewImage");
      assert.deepEqual(await lastCall(page, "imagePreview"), {
        current: "https://a.example/2.png",
        urls: ["https://a.example/1.png", "https://a.example/2.png"],
      });

      await edit("invoke", "name", "someNewThing");
      await edit("invoke", "args", '{"deep": {"list": [1, "2"]}}');
      await press(page, "invoke");
      assert.deepEqual(await lastCall(page, "someNewThing"), { deep: { list: [1, "2"] } });

      await edit("openLocation", "latitude", "-33.5");
      await press(page, "openLocation");
      assert.equal((await lastCall(page, "openLocation")).latitude, -33.5);
      await edit("openCard", "code", "42");
      await press(page, "openCard");
      assert.deepEqual(await lastCall(page, "batchViewCard"), {
        card_list: [{ card_id: "pSandboxCoupon0000000000001", code: "42" }],
      });
      expectQuiet(page);
    }));

  test("the code on the card follows every edit, and Enter in a field makes the call", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installRecorder(page);
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      await open(page, "launchMiniProgram");
      await field(page, "launchMiniProgram", "path").fill("pages/x?y=1");
      assert.match(await cardOf(page, "launchMiniProgram").locator(".call").innerText(), /path: "pages\/x\?y=1"/);
      await field(page, "launchMiniProgram", "path").press("Enter");
      await resultOf(page, "launchMiniProgram").and(page.locator('[data-result="ok"]')).waitFor();
      assert.equal((await lastCall(page, "launchMiniProgram")).path, "pages/x.html?y=1", "as jweixin spells it");
    }));

  for (const [name, parameter, value, words] of [
    ["chooseImage", "count", "10", "from 1 to 9"],
    ["chooseImage", "count", "many", "not a number"],
    ["openLocation", "latitude", "", "latitude is needed"],
    ["invoke", "args", "{not json", "not JSON"],
    ["invoke", "args", "5", "must be an object"],
    ["checkJsApi", "jsApiList", "  ", "jsApiList is needed"],
  ]) {
    test(`${name}: ${parameter} = ${JSON.stringify(value)} is not called, and the field says "${words}"`, () =>
      withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
        await installRecorder(page);
        await page.goto(`${service.url}/?lang=en`);
        await expectVerdict(page, "ok");
        await open(page, name);
        const before = await page.evaluate(() => window.bridgeCalls.length);
        const control = field(page, name, parameter);
        await control.fill(value);
        const { outcome, note } = await press(page, name);
        assert.equal(outcome, "blocked");
        assert.match(note, new RegExp(words));
        assert.equal(await control.getAttribute("aria-invalid"), "true");
        const described = (await control.getAttribute("aria-describedby")).split(" ").pop();
        assert.match(await page.locator(`#${described}`).innerText(), new RegExp(words));
        assert.equal(await page.evaluate(() => window.bridgeCalls.length), before, "nothing reached the bridge");
        expectQuiet(page);
      }));
  }

  test("coupons are sent with this server's signature", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installRecorder(page, { replies: { batchAddCard: { card_list: "[]" } } });
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      await press(page, "addCard");
      const [sent] = (await lastCall(page, "batchAddCard")).card_list;
      const ext = JSON.parse(sent.card_ext);
      assert.match(ext.signature, /^[0-9a-f]{40}$/);
      assert.match(ext.timestamp, /^\d{10}$/);
      await press(page, "chooseCard");
      const chosen = await lastCall(page, "chooseCard");
      assert.match(chosen.card_sign, /^[0-9a-f]{40}$/);
      assert.equal(chosen.app_id, "wx0123456789abcdef");
    }));

  for (const [lang, merchant] of [
    ["en", /merchant number[^]*prepay_id/],
    ["zh", /商户号[^]*prepay_id/],
  ]) {
    test(`for a real account, interfaces that need more than a signature name the requirement, in ${lang}`, () =>
      withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
        await withoutSandbox(page);
        await installRecorder(page);
        await page.goto(`${service.url}/?lang=${lang}`);
        await expectVerdict(page, "ok");
        const before = await page.evaluate(() => window.bridgeCalls.length);
        for (const [name, words] of [
          ["chooseWXPay", merchant],
          ["openEnterpriseRedPacket", merchant],
          ["addCard", lang === "en" ? /coupon of this account/ : /本账号的卡券/],
          ["wx-open-launch-weapp", lang === "en" ? /certified service account/ : /已认证的服务号/],
          ["openProductSpecificView", lang === "en" ? /WeChat shop/ : /微信小店/],
          ["openEnterpriseChat", lang === "en" ? /WeCom only/ : /仅限企业微信/],
        ]) {
          const { outcome, fixes } = await press(page, name);
          assert.equal(outcome, "blocked", name);
          assert.match(fixes, words, name);
        }
        assert.equal(await page.evaluate(() => window.bridgeCalls.length), before);
        expectQuiet(page);
      }));
  }
});

describe("a client that refuses or is silent", () => {
  for (const [errMsg, lang, note, fixes] of [
    ["permission denied", "en", /account lacks this interface/, /console/],
    ["fail_the permission value is offline verifying", "zh", /config 尚未通过/, /手机上再试/],
    ["function not exist", "en", /does not have the interface/, /Update WeChat/],
    ["fail_something new", "zh", /客户端拒绝了/, /对照检查参数/],
    ["access denied", "en", /account lacks this interface/, /verified accounts/],
  ]) {
    test(`"${errMsg}" is explained in ${lang}`, () =>
      withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
        await installRecorder(page, { replies: { scanQRCode: { err_msg: `scanQRCode:${errMsg}` } } });
        await page.goto(`${service.url}/?lang=${lang}`);
        await expectVerdict(page, "ok");
        const came = await press(page, "scanQRCode");
        assert.equal(came.outcome, "fail");
        assert.match(came.note, note);
        assert.match(came.fixes, fixes);
        assert.equal(await resultOf(page, "scanQRCode").locator(".ask-doctor").isVisible(), /offline/.test(errMsg));
      }));
  }

  test("a call without an answer ends with an explanation, and a late answer still counts", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installRecorder(page, { silent: true });
      await page.clock.install();
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      await cardOf(page, "getNetworkType").locator(".run").click();
      assert.equal((await read(page, "getNetworkType")).outcome, "pending");
      await page.clock.fastForward(8_100);
      const silent = await read(page, "getNetworkType");
      assert.equal(silent.outcome, "timeout");
      assert.match(silent.note, /not answered for 8 s/);
      await page.evaluate(() => window.lastCallback({ err_msg: "network_type:wifi" }));
      assert.deepEqual((({ outcome, note }) => [outcome, note])(await read(page, "getNetworkType")), ["ok", "wifi"]);

      await cardOf(page, "chooseImage").locator(".run").click();
      await page.clock.fastForward(15_100);
      assert.equal((await read(page, "chooseImage")).outcome, "slow", "the user may be choosing");
      await page.clock.fastForward(80_000);
      assert.equal((await read(page, "chooseImage")).outcome, "timeout");
    }));

  test("no button hangs if the client never answers", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installRecorder(page, { silent: true });
      await page.clock.install();
      await page.goto(`${service.url}/?lang=zh`);
      await expectVerdict(page, "ok");
      for (const button of await page.locator("[data-api]").all()) await button.click();
      await page.waitForFunction(() => window.bridgeCalls.some((one) => one.name === "chooseCard"), { polling: 50 });
      await page.clock.fastForward(100_000);
      const outcomes = await page.locator(".result").evaluateAll((all) => all.map((one) => one.dataset.result));
      assert.equal(outcomes.length, await page.locator("[data-api]").count());
      assert.deepEqual([...new Set(outcomes)].sort(), ["armed", "blocked", "ok", "timeout"]);
      assert.ok(outcomes.filter((one) => one === "timeout").length > 30);
      const silent = await page.locator('.result[data-result="timeout"] .note').allInnerTexts();
      assert.ok(
        silent.every((note) => /没有回应|小程序|企业微信/.test(note)),
        silent.join("\n"),
      );
      expectQuiet(page);
    }));

  test("agentConfig: refused, WeCom's words are explained; accepted, it opens the app's interfaces", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?client=wecom&lang=en`);
      await expectVerdict(page, "ok");
      const early = await press(page, "getContext");
      assert.equal(early.outcome, "fail");
      assert.match(early.note, /agentConfig first/);
      await page.route("**/jssdk/agent-config?**", async (route) => {
        const answer = await (await route.fetch()).json();
        await route.fulfill({ json: { ...answer, nonceStr: `${answer.nonceStr}x` } });
      });
      const refused = await press(page, "agentConfig");
      assert.equal(refused.outcome, "fail");
      assert.match(refused.answer, /invalid signature/);
      assert.match(refused.fixes, /type=agent_config/);
      assert.equal(await resultOf(page, "agentConfig").locator(".ask-doctor").isVisible(), true);
      await page.unroute("**/jssdk/agent-config?**");
      assert.equal((await press(page, "agentConfig")).outcome, "ok");
      assert.equal((await press(page, "getContext")).outcome, "ok");
      assert.equal(await page.locator("#account").innerText(), "demo-work");
    }));
});
