// Every interface of the demo page is called: with the real jweixin, in each client that the sandbox simulates.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cardOf, field, installRecorder, interfaces, open, press, pressEach, read, resultOf, withGroupsOpen } from "./demo-helpers.mjs";
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

describe("the list of interfaces", () => {
  test("every interface of jweixin and every open tag is listed", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "ok");
      const functions = await page.evaluate(() => [
        ...Object.keys(window.wx).filter((name) => typeof window.wx[name] === "function"),
        ...Object.keys(window.wx.miniProgram).map((name) => `miniProgram.${name}`),
      ]);
      const shown = await page.locator("[data-card]").evaluateAll((all) => all.map((one) => one.dataset.card));
      assert.equal(new Set(shown).size, shown.length, "each once");
      const missing = functions.filter((name) => !shown.includes(name) && !["config", "ready", "error"].includes(name));
      assert.deepEqual(missing, [], "config, ready and error are the banner's");
      for (const tag of ["weapp", "app"]) assert.ok(shown.includes(`wx-open-launch-${tag}`));
      for (const name of ["wx-open-subscribe", "wx-open-audio", "agentConfig", "openEnterpriseChat"])
        assert.ok(shown.includes(name));
      assert.ok(functions.length > 50 && shown.length >= 68);
    }));

  test("a card has its title, its call as code, a labelled button, its requirements and its replacement", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      for (const entry of await interfaces(page)) {
        await open(page, entry.name);
        const card = cardOf(page, entry.name);
        assert.equal(await card.locator(".card-title").innerText(), entry.title[0]);
        const code = await card.locator(".call").innerText();
        assert.ok(code.includes(entry.name.split(".").pop()), `${entry.name}: ${code}`);
        assert.match(
          await card.locator(".run").getAttribute("aria-label"),
          new RegExp(`^(Call|Listen|Render) ${entry.name.replace(".", "\\.")}$`),
        );
        assert.equal(await card.locator(".needs-text").isVisible(), Boolean(entry.needs), entry.name);
        assert.equal(await card.locator(".tag.needs").count(), entry.needs ? 1 : 0, entry.name);
        if (entry.replacedBy)
          assert.match(await card.locator(".replaced").innerText(), new RegExp(`Deprecated: use ${entry.replacedBy}`));
        const fields = await card.locator(".field").count();
        assert.equal(fields, (entry.fields || []).length, entry.name);
      }
      for (const name of [
        "onMenuShareAppMessage",
        "onMenuShareTimeline",
        "onMenuShareQQ",
        "onMenuShareQZone",
        "onMenuShareWeibo",
      ]) {
        assert.equal(await cardOf(page, name).locator(".tag.old").innerText(), "deprecated");
      }
      expectQuiet(page);
    }));
});

/** The expected result of a call, in a client that the sandbox simulates. */
function expected(client, { name, via, client: only, signs }) {
  const wecom = client === "wecom";
  if (via === "listen" || via === "menu" || via === "rawOn") return "armed";
  if (via === "mini") return client === "mini" ? "ok" : "fail";
  if (via === "tag") return wecom || client === "desktop" ? "fail" : "ok";
  if (only === "wecom" && !wecom) return via === "invoke" || via === "agent" ? "blocked" : "fail";
  if (wecom && /card/.test(signs)) return "blocked";
  const absent =
    /^(updateAppMessage|updateTimeline|openCard|consumeAnd|openBusiness|openAddress|openProduct|openEnterpriseRed|launchMini)/;
  if (wecom && absent.test(name)) return "fail";
  if (/SearchBeacons$/.test(name) && ["desktop", "devtools", "wecom"].includes(client)) return "fail";
  return "ok";
}

describe("every button when pressed", () => {
  const clients = [
    ["android", "en", {}],
    ["ios", "zh", {}],
    ["desktop", "zh", {}],
    ["devtools", "en", {}],
    ["mini", "zh", {}],
    ["wecom", "en", {}],
    ["android", "en", { cdn: [] }],
    ["ios", "zh", { cdn: [] }],
  ];
  for (const [client, lang, options] of clients) {
    const sdk = options.cdn ? "the stand-in" : "the real jweixin";
    test(`shows a result or an explanation: ${client} with ${sdk}, ${lang}`, () =>
      withPage(options, async (page) => {
        await page.goto(`${service.url}/?client=${client}&lang=${lang}`);
        await expectVerdict(page, "ok", "config:ok");
        const came = {};
        const wanted = {};
        const entries = await interfaces(page);
        const results = await pressEach(page, entries.map((entry) => entry.name));
        for (const entry of entries) {
          wanted[entry.name] = expected(client, entry);
          const { outcome, note, fixes, answer } = results[entry.name];
          came[entry.name] = outcome;
          assert.ok(note, `${entry.name} says something`);
          if (outcome === "ok") assert.doesNotThrow(() => JSON.parse(answer), `${entry.name}: ${answer}`);
          if (outcome === "fail") assert.ok(fixes, `${entry.name} says what to do`);
          if (outcome === "fail" && entry.via === "tag") assert.match(fixes, lang === "en" ? /service account/ : /服务号/);
        }
        assert.deepEqual(came, wanted);
        const logged = Number(await page.locator("#log-count").innerText());
        assert.equal(logged, Object.keys(wanted).length + 3, "each once, beside config, the first checkJsApi and the page's own card");
        expectQuiet(page);
      }));
  }

  test("the marks before the names are the result of checkJsApi", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?client=wecom&lang=en`);
      await expectVerdict(page, "ok");
      await page.locator('#support:has-text("supported")').waitFor();
      const mark = (name) => cardOf(page, name).locator(".support").getAttribute("data-support");
      assert.equal(await mark("chooseImage"), "true");
      assert.equal(await mark("updateAppMessageShareData"), "false");
      assert.equal(await mark("wx-open-audio"), null, "cannot be asked");
      const known = await page.locator('.api .support[data-support="true"]').count();
      assert.match(await page.locator("#support").innerText(), new RegExp(`^${known} of \\d+ supported`));
      assert.equal(await cardOf(page, "chooseImage").locator(".support .unseen").innerText(), "supported by this client");
    }));

  test("cancelling is not a failure", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      for (const name of ["chooseImage", "scanQRCode", "chooseWXPay", "openAddress", "addCard"]) {
        const { outcome, note } = await press(page, name, { agree: false });
        assert.deepEqual([outcome, note], ["cancel", "Cancelled by the user."], name);
      }
      expectQuiet(page);
    }));

  test("the result of one call is used by the next one: images, sounds, a place", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?client=ios`);
      await expectVerdict(page, "ok");
      const blocked = await press(page, "uploadImage");
      assert.equal(blocked.outcome, "blocked");
      assert.match(blocked.note, /请先调用 chooseImage/);
      await press(page, "chooseImage");
      await page.waitForFunction(
        () => [...document.querySelectorAll(".shots img")].filter((one) => one.naturalWidth === 240).length === 3,
      );
      assert.match(await page.locator(".shots img").first().getAttribute("src"), /^data:image\/jpeg;base64,\/9j/);
      assert.match(await field(page, "uploadImage", "localId").inputValue(), /^wxLocalResource:/);
      assert.equal((await press(page, "uploadImage")).outcome, "ok");
      assert.match(await field(page, "downloadImage", "serverId").inputValue(), /^sandbox-media/);
      assert.equal((await press(page, "downloadImage")).outcome, "ok");
      await press(page, "getLocation");
      await open(page, "openLocation");
      assert.equal(await field(page, "openLocation", "latitude").inputValue(), "23.099994");
      await press(page, "startRecord");
      assert.equal((await press(page, "stopRecord")).outcome, "ok");
      assert.equal((await press(page, "playVoice")).outcome, "ok");
      await open(page, "playVoice");
      await field(page, "playVoice", "localId").fill("weixin://nobody");
      const unknown = await press(page, "playVoice");
      assert.equal(unknown.outcome, "fail");
      assert.match(unknown.note, /不认识该 localId/);
      expectQuiet(page);
    }));
});

describe("listeners and tags", () => {
  test("a listener shows that it waits, and its result when the event occurs", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      assert.equal((await press(page, "onVoicePlayEnd")).outcome, "armed");
      assert.equal((await press(page, "onSearchBeacons")).outcome, "armed");
      await press(page, "startRecord");
      await press(page, "stopRecord");
      await press(page, "playVoice");
      await resultOf(page, "onVoicePlayEnd").and(page.locator('[data-result="ok"]')).waitFor();
      await press(page, "startSearchBeacons");
      await resultOf(page, "onSearchBeacons").and(page.locator('[data-result="ok"]')).waitFor();
      assert.equal((await read(page, "onSearchBeacons")).note, "1 found");
      expectQuiet(page);
    }));

  test("the simulated menu shares the card that was set, and calls the old listeners", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      const sheet = page.locator("dialog.phone-sheet");
      const share = async (label) => {
        await page.locator("#phone-menu").click();
        await sheet.getByRole("button", { name: label }).click();
        await sheet.filter({ hasText: "this is what they see" }).waitFor();
      };
      await share("Send to a chat");
      assert.match(await sheet.innerText(), /wx-jssdk: the signature works/, "the page shares itself");
      await sheet.locator(".quiet").click();
      await open(page, "updateAppMessageShareData");
      await field(page, "updateAppMessageShareData", "title").fill("Look at that");
      await press(page, "updateAppMessageShareData");
      await share("Send to a chat");
      assert.match(await sheet.innerText(), /Look at that/);
      await sheet.locator(".quiet").click();

      await press(page, "onMenuShareTimeline");
      await share("Share to Moments");
      await sheet.locator(".primary").click();
      await resultOf(page, "onMenuShareTimeline").and(page.locator('[data-result="ok"]')).waitFor();
      await share("Share to Moments");
      await sheet.locator(".quiet").click();
      await resultOf(page, "onMenuShareTimeline").and(page.locator('[data-result="cancel"]')).waitFor();

      await press(page, "hideMenuItems");
      await page.locator("#phone-menu").click();
      assert.equal(await sheet.getByRole("button", { name: "Share to Moments" }).count(), 0);
      await sheet.getByRole("button", { name: "Close" }).click();
      await press(page, "hideOptionMenu");
      assert.equal(await page.locator("#phone-menu").isVisible(), false);
      await press(page, "showOptionMenu");
      assert.equal(await page.locator("#phone-menu").isVisible(), true);
      expectQuiet(page);
    }));

  test("in WeCom, the simulated menu shares the page's card to WeChat too", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en&client=wecom`);
      await expectVerdict(page, "ok");
      const sheet = page.locator("dialog.phone-sheet");
      await page.locator("#phone-menu").click();
      await sheet.getByRole("button", { name: "Send to WeChat" }).click();
      await sheet.filter({ hasText: "this is what they see" }).waitFor();
      assert.match(await sheet.innerText(), /wx-jssdk: the signature works/);
      expectQuiet(page);
    }));

  test("an open tag is rendered by the client, and its events are received", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      await open(page, "wx-open-launch-weapp");
      await field(page, "wx-open-launch-weapp", "username").fill("gh_1234567890ab");
      await press(page, "wx-open-launch-weapp");
      const tag = page.locator("wx-open-launch-weapp");
      assert.equal(await tag.getAttribute("username"), "gh_1234567890ab");
      await tag.getByRole("button").click();
      await page.locator("dialog .primary").click();
      await cardOf(page, "wx-open-launch-weapp").locator("pre", { hasText: "wx-open-launch-weapp:launch" }).last().waitFor();
      await press(page, "wx-open-subscribe");
      await page.locator("wx-open-subscribe").getByRole("button").click();
      await page.locator("dialog .quiet").click();
      await resultOf(page, "wx-open-subscribe").and(page.locator('[data-result="fail"]')).waitFor();
      expectQuiet(page);
    }));

  test("a client's refusal of open tags is shown, even if it was sent before the first listener", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installRecorder(page);
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      await page.evaluate(() =>
        document.dispatchEvent(new CustomEvent("WeixinOpenTagsError", { detail: { errMsg: "system too old" } })),
      );
      const { outcome, answer, fixes } = await press(page, "wx-open-audio");
      assert.equal(outcome, "fail");
      assert.match(answer, /wx-open-audio:system too old/);
      assert.match(fixes, /certified service account/);
    }));
});
