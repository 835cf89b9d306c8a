// The demo page around its interfaces: banner, log, search, keyboard, languages, and accessibility.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import { withGroupsOpen } from "./demo-helpers.mjs";
import {
  ANDROID_WECHAT,
  DESKTOP,
  IOS_WECHAT,
  PHONE,
  browser,
  expectQuiet,
  expectVerdict,
  inPage,
  installBridge,
  service,
  useServiceAndBrowser,
} from "./harness.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

useServiceAndBrowser();

const withPage = (options, work) => inPage(browser, { viewport: DESKTOP, ...options }, work);
/** The same with every group open. */
const withOpenPage = (options, work) =>
  withPage(options, async (page) => {
    await withGroupsOpen(page);
    await work(page);
  });
const text = (page, id) => page.locator(`#${id}`).innerText();
const run = (page, name) => page.locator(`[data-api="${name}"]`);
const outcome = (page, name, wanted) => page.locator(`[data-card="${name}"] .result[data-result="${wanted}"]`).waitFor();
/** In the page: changes the address once, before it is signed. */
const moveOnce = () => {
  const track = () => document.readyState === "interactive" && history.replaceState(null, "", `${location.search}&tracked=1`);
  document.addEventListener("readystatechange", track);
};
const asAnEmptyScript = (route) => route.fulfill({ contentType: "text/javascript", body: "" });

describe("the banner", () => {
  for (const [client, label] of [
    ["android", "WeChat 8.0.50 · Android (simulated)"],
    ["ios", "WeChat 8.0.50 · iOS (simulated)"],
    ["desktop", "WeChat 8.0.50 · desktop (simulated)"],
    ["devtools", "WeChat devtools 1.06.2409140 (simulated)"],
    ["mini", "WeChat 8.0.50 · in a mini program (simulated)"],
    ["wecom", "WeCom 4.1.30 · Android (simulated)"],
    ["nonsense", "WeChat 8.0.50 · Android (simulated)"],
  ]) {
    test(`names the client: ${client}`, () =>
      withPage({}, async (page) => {
        await page.goto(`${service.url}/?lang=en&client=${client}`);
        await expectVerdict(page, "ok", "config:ok");
        assert.equal(await text(page, "client"), label);
        assert.equal(await text(page, "account"), client === "wecom" ? "demo-work" : "the server's default");
        assert.match(await text(page, "app-id"), client === "wecom" ? /^ww/ : /^wx/);
        assert.match(await text(page, "state-text"), client === "wecom" ? /^WeCom accepted/ : /^WeChat accepted/);
        expectQuiet(page);
      }));
  }

  test("inside WeChat, the QR code is shown only on request", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      assert.equal(await page.locator("#qr").getAttribute("src"), null);
      await page.getByText("Open on a phone").click();
      await page.waitForFunction(() => document.getElementById("qr").naturalWidth > 100);
    }));

  test("a QR code that is refused is explained", () =>
    withPage({}, async (page) => {
      await page.route("**/static/wechat-client.js", asAnEmptyScript);
      const problem = { code: "page_not_allowed", hint: { en: "Open it elsewhere.", zh: "请在别处打开。" } };
      await page.route("**/qr.svg?**", (route) => route.fulfill({ status: 403, json: problem }));
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "outside");
      await page.locator("#outside-note", { hasText: "不在该账号的 JS接口安全域名（企业微信：可信域名）内" }).waitFor();
      assert.ok(await page.locator("#outside ol").isHidden(), "there is nothing to scan");
      assert.ok(await page.locator("#page-address").isHidden());
    }));

  test("a QR code that cannot be drawn is not blamed on the safe domain", () =>
    withPage({}, async (page) => {
      await page.route("**/static/wechat-client.js", asAnEmptyScript);
      const shown = async (words) => {
        await page.locator("#outside-note", { hasText: words }).waitFor();
        assert.doesNotMatch(await page.locator("#outside-note").innerText(), /安全域名/);
        assert.ok(await page.locator("#page-address").isVisible());
      };
      await page.goto(`${service.url}/?x=${"x".repeat(1100)}`);
      await expectVerdict(page, "outside");
      await shown("过长的参数");
      await page.route("**/qr.svg?**", (route) => route.fulfill({ status: 200, contentType: "image/svg+xml", body: "nothing" }));
      await page.goto(`${service.url}/`);
      await shown("请稍后再试");
    }));

  test("a web view without replaceChildren gets its verdict", () =>
    withPage({}, async (page) => {
      await page.addInitScript(() => delete Element.prototype.replaceChildren);
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "ok", "config:ok");
      assert.ok(await page.locator(".api").count());
      assert.deepEqual(page.complaints, []);
    }));

  test("a fault of the page's own script is its verdict", () =>
    withPage({}, async (page) => {
      await page.addInitScript(() => {
        const make = document.createElement;
        document.createElement = (name) => (name === "wbr" ? undefined.wbr : make.call(document, name));
      });
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "error", "页面自身出错");
    }));

  test("a browser without modules is called too old", () =>
    withPage({}, async (page) => {
      await page.route(
        (url) => /^\/(doctor)?$/.test(url.pathname),
        async (route) => {
          const body = await (await route.fetch()).text();
          await route.fulfill({ contentType: "text/html; charset=utf-8", body: body.replace(' type="module"', ' type="later"').replace(" nomodule", "") });
        },
      );
      for (const path of ["/", "/doctor"]) {
        await page.goto(service.url + path);
        await page.locator("#too-old", { hasText: "浏览器版本过低" }).waitFor();
      }
      await page.goto(`${service.url}/`);
      assert.ok(await page.locator("#state").isHidden());
    }));

  test("a changed address is compared with the signed one, and the difference is marked", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installBridge(page, service);
      await page.goto(`${service.url}/?lang=en&step=one#part`);
      await expectVerdict(page, "ok");
      assert.equal(await page.locator("#same-url").getAttribute("data-same"), "true");
      assert.match(await text(page, "same-url"), /same as this page, up to #/);
      await page.evaluate(() => history.pushState({}, "", "?lang=en&step=two"));
      await page.locator('#same-url[data-same="false"]').waitFor();
      assert.match(await text(page, "same-url"), /WeChat would refuse it/);
      assert.equal(await page.locator("#signed-url mark").innerText(), "one");
      assert.equal(await page.locator("#current-url mark").innerText(), "two");
      await page.evaluate(() => history.back());
      await page.locator('#same-url[data-same="true"]').waitFor();
      assert.equal(await page.locator("mark").count(), 0);
    }));

  test("on iOS a changed address is not a fault, because the landing address was signed", () =>
    withPage({ userAgent: IOS_WECHAT }, async (page) => {
      await installBridge(page, service, { checksLanding: true });
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      await page.evaluate(() => history.pushState({}, "", "/?lang=en&more=1"));
      await page.locator("#same-url", { hasText: "iOS checks the address of the first load" }).waitFor();
      assert.equal(await page.locator("#same-url").getAttribute("data-same"), "true");
    }));

  test("a refused signature links to the doctor, with the signed values only in the fragment", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en&break=signature&q=%2B`);
      await expectVerdict(page, "error", "Invalid signature");
      const link = page.locator("#to-doctor");
      assert.equal(await link.innerText(), "Find the cause");
      const address = new URL(await link.getAttribute("href"), page.url());
      assert.equal(address.pathname + address.search, "/doctor?lang=en");
      const told = new URLSearchParams(address.hash.slice(1));
      assert.equal(told.get("url"), page.url());
      assert.equal(told.get("landing"), page.url());
      assert.equal(told.get("errMsg"), "config:invalid signature");
      assert.equal(told.get("appId"), "wx0123456789abcdef");
      assert.match(told.get("signature"), /^[0-9a-f]{40}$/);
      assert.match(told.get("timestamp"), /^\d{10}$/);
      assert.ok(told.get("nonceStr"));
      assert.equal(await page.locator("header nav a[href^='doctor']").count(), 1);
      expectQuiet(page);
    }));

  test("if both addresses are refused, the page shows the one that the client checks", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installBridge(page, service);
      await page.addInitScript(moveOnce);
      await page.goto(`${service.url}/?lang=en&break=signature`);
      await expectVerdict(page, "error", "Invalid signature");
      assert.equal(await text(page, "signed-url"), page.url());
      assert.match(page.url(), /tracked=1/);
      assert.doesNotMatch(await text(page, "fixes"), /differs from the current one/);
      const told = new URL(await page.locator("#to-doctor").getAttribute("href"), page.url()).hash.slice(1);
      assert.equal(new URLSearchParams(told).get("url"), page.url());
      assert.equal(JSON.parse(await page.locator("#answer").textContent()).url, page.url());
    }));

  test("if the other address is not signed, no step stays in progress", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installBridge(page, service);
      await page.addInitScript(moveOnce);
      await page.route(/\/jssdk\/config\?(?!.*tracked)/, (route) =>
        route.fulfill({ status: 403, json: { code: "page_not_allowed", detail: "D" } }),
      );
      await page.goto(`${service.url}/?lang=en&break=signature`);
      await expectVerdict(page, "error", "Invalid signature");
      assert.equal(await page.locator("[data-step=sign]").getAttribute("data-done"), "ok");
      assert.equal(await page.locator("[data-step=verify]").getAttribute("data-done"), "fail");
    }));

  test("an endpoint without a signature links to the doctor without values", () =>
    withPage({}, async (page) => {
      await page.route("**/jssdk/config?**", (route) => route.abort("connectionrefused"));
      await page.goto(`${service.url}/?lang=zh`);
      await expectVerdict(page, "error", "签名接口没有响应");
      assert.match(await text(page, "says"), /\/jssdk\/config/);
      assert.equal(await page.locator("#to-doctor").getAttribute("href"), "doctor?lang=zh");
      assert.equal(await page.locator("[data-api]:enabled").count(), 0);
    }));

  test("?account= names the account to the endpoint", () =>
    withPage({ userAgent: ANDROID_WECHAT }, async (page) => {
      await installBridge(page, service);
      const asked = [];
      page.on("request", (request) => /\/jssdk\/config/.test(request.url()) && asked.push(new URL(request.url()).searchParams));
      await page.goto(`${service.url}/?account=demo-mini`);
      await expectVerdict(page, "error");
      assert.equal(asked[0].get("account"), "demo-mini");
      assert.match(await text(page, "says"), /unsupported_credential/);
    }));
});

describe("the log", () => {
  test("has every call with its time, parameters and answer, newest first", () =>
    withOpenPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      await page.locator("#log-count:text('3')").waitFor();
      await run(page, "getLocation").click();
      await outcome(page, "getLocation", "ok");
      await run(page, "uploadImage").click();
      await outcome(page, "uploadImage", "blocked");
      assert.deepEqual(await page.locator(".log-name").allInnerTexts(), [
        "uploadImage",
        "getLocation",
        "wxJssdk.share",
        "checkJsApi",
        "wx.config",
      ]);
      assert.deepEqual(await page.locator(".log-outcome").allInnerTexts(), ["not called", "ok", "ok", "ok", "ok"]);
      const entry = page.locator(".log-entry").nth(1);
      assert.match(await entry.locator(".log-time").innerText(), /^\d\d:\d\d:\d\d$/);
      await entry.locator("summary").click();
      const details = await entry.locator("pre").innerText();
      assert.match(details, /→ \{ "type": "gcj02" \}/);
      assert.match(details, /← ok \(\d+ ms\) \{ "latitude": "23\.099994"/);
      expectQuiet(page);
    }));

  test("one button copies it as text, with the page, the result of the signature and the client", () =>
    withOpenPage({ permissions: ["clipboard-read", "clipboard-write"] }, async (page) => {
      await page.goto(`${service.url}/?lang=en&client=ios`);
      await expectVerdict(page, "ok");
      await run(page, "getNetworkType").click();
      await outcome(page, "getNetworkType", "ok");
      await page.locator("#log-copy").click();
      await page.locator("#log-note", { hasText: "Copied: 4 calls." }).waitFor();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      const lines = copied.split("\n");
      assert.match(lines[0], /^wx-jssdk · \d{4}-\d\d-\d\dT/);
      assert.ok(copied.includes(`signed:  ${service.url}/?lang=en&client=ios`));
      assert.ok(copied.includes("config:  config:ok") && copied.includes("WeChat 8.0.50 · iOS (simulated)"));
      const order = ["wx.config", "checkJsApi", "getNetworkType"].map((name) =>
        lines.findIndex((line) => line.endsWith(` ${name}`)),
      );
      assert.ok(order[0] > 0 && order[0] < order[1] && order[1] < order[2], "oldest first");
      assert.match(copied, /← ok \(\d+ ms\) \{ "errMsg": "getNetworkType:ok", "networkType": "wifi" \}/);
    }));

  test("where copying is not allowed, the text can be selected", () =>
    withPage({}, async (page) => {
      await page.addInitScript(() => {
        Object.defineProperty(navigator, "clipboard", { value: undefined });
        document.execCommand = () => false;
      });
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      await page.locator("#log-copy").click();
      await page.locator("#log-note", { hasText: "does not allow pages to copy" }).waitFor();
      assert.match(await page.locator("#log-text").inputValue(), /wx\.config/);
    }));

  test("is emptied with one button, and picture data is shortened", () =>
    withOpenPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=zh`);
      await expectVerdict(page, "ok");
      await run(page, "chooseImage").click();
      await page.locator("dialog .primary").click();
      await outcome(page, "chooseImage", "ok");
      await run(page, "getLocalImgData").click();
      await outcome(page, "getLocalImgData", "ok");
      assert.ok((await page.locator(".log-entry pre").first().textContent()).length < 500);
      await page.locator("#log-clear").click();
      assert.equal(await page.locator(".log-entry").count(), 0);
      assert.equal(await text(page, "log-count"), "0");
      assert.equal(await page.locator("#log-empty").isVisible(), true);
      assert.equal(await page.locator("#log-copy").isDisabled(), true);
    }));

  test("a refused config is in it, with the client's words", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en&break=signature`);
      await expectVerdict(page, "error");
      assert.deepEqual(await page.locator(".log-name").allInnerTexts(), ["wx.config"]);
      assert.match(await page.locator(".log-entry pre").first().textContent(), /← fail .*config:invalid signature/);
    }));
});

describe("finding an interface", () => {
  test("by its name or by a word of either language, in every group", () =>
    withPage({ viewport: PHONE }, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      const visible = () => page.locator(".api:visible").evaluateAll((all) => all.map((one) => one.dataset.card));
      assert.equal(await page.locator("#group-pay").getAttribute("open"), null, "folded");
      await page.locator("#search").fill("WXPAY");
      assert.deepEqual(await visible(), ["chooseWXPay"], "its group unfolds");
      assert.equal(await text(page, "found"), "1 found");
      await page.locator("#search").fill("红包");
      assert.deepEqual(await visible(), ["openEnterpriseRedPacket"]);
      await page.locator("#search").fill("share qq");
      assert.ok((await visible()).includes("onMenuShareQQ"));
      await page.locator("#search").fill("no such thing");
      assert.deepEqual(await visible(), []);
      assert.equal(await page.locator("#nothing").isVisible(), true);
      await page.locator("#search").press("Escape");
      assert.equal(await page.locator("#nothing").isVisible(), false);
      assert.equal(await text(page, "found"), "");
      assert.ok((await page.locator(".group:visible").count()) >= 17);
      assert.equal(await page.locator(".group[open]").count(), 0, "what the search unfolded is folded again");
    }));

  test("by client support, by missing requirements, and by calls already made", () =>
    withOpenPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en&client=wecom`);
      await expectVerdict(page, "ok");
      await page.locator('#support:has-text("supported")').waitFor();
      const visible = () => page.locator(".api:visible").evaluateAll((all) => all.map((one) => one.dataset.card));
      await page.locator("#show").selectOption("unknown");
      assert.ok((await visible()).includes("updateAppMessageShareData") && !(await visible()).includes("chooseImage"));
      await page.locator("#show").selectOption("known");
      assert.ok((await visible()).includes("chooseImage") && !(await visible()).includes("updateAppMessageShareData"));
      await page.locator("#show").selectOption("plain");
      assert.ok((await visible()).includes("scanQRCode") && !(await visible()).includes("chooseWXPay"));
      await run(page, "getNetworkType").click();
      await outcome(page, "getNetworkType", "ok");
      await page.locator("#show").selectOption("used");
      assert.deepEqual(await visible(), ["getNetworkType"]);
    }));
});

describe("keyboard and screen reader", () => {
  test("by keyboard alone: skip, search, unfold, edit, call, agree, copy", () =>
    withPage({ permissions: ["clipboard-read", "clipboard-write"] }, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      const focused = () =>
        page.evaluate(
          () => document.activeElement.id || document.activeElement.dataset.api || document.activeElement.className,
        );
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "skip");
      assert.ok((await page.locator(".skip").boundingBox()).x >= 0, "the skip link shows itself");
      await page.keyboard.press("Enter");
      assert.equal(await focused(), "interfaces");
      await page.keyboard.press("/");
      assert.equal(await focused(), "search");
      await page.keyboard.type("chooseImage");
      await page.keyboard.press("Tab"); // what is shown
      await page.keyboard.press("Tab"); // the group
      await page.keyboard.press("Tab"); // the card
      assert.equal(await focused(), "card-toggle");
      await page.keyboard.press("Space");
      assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-expanded")), "true");
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "chooseImage");
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "p-chooseImage-count");
      await page.keyboard.press("Control+A");
      await page.keyboard.type("2");
      await page.keyboard.press("Enter");
      await page.locator("dialog.phone-sheet").waitFor();
      await page.keyboard.press("Enter"); // the focus is on the sheet's button
      await outcome(page, "chooseImage", "ok");
      assert.match(await page.locator("#live").textContent(), /^chooseImage\. ok\. 2 chosen/, "and it is said aloud");
      assert.equal(await focused(), "p-chooseImage-count", "the focus is where it was");
      await page.locator("#log-copy").focus();
      await page.keyboard.press("Space");
      await page.locator("#log-note", { hasText: "Copied" }).waitFor();
      assert.equal(await focused(), "log-copy");
      expectQuiet(page);
    }));

  test("groups and snippets work by keyboard, and the plain snippet works unchanged", () =>
    withPage({}, async (page) => {
      await page.goto(`${service.url}/?lang=en`);
      await expectVerdict(page, "ok");
      const pay = page.locator("#group-pay");
      assert.match(await pay.locator(".group-names").innerText(), /chooseWXPay/);
      await pay.locator("summary").focus();
      await page.keyboard.press("Enter");
      assert.equal(await pay.locator(".api:visible").count(), await pay.locator(".api").count());
      const snippet = await page.locator("#next-step pre").first().innerText();
      await page.locator("#snippet-plain").focus();
      await page.keyboard.press("ArrowRight");
      const shown = await page.locator("#next-step pre:visible").innerText();
      assert.match(shown, /from "vue"/);
      assert.ok(shown.includes(`${service.url}/jssdk/wx-jssdk.js`), shown);
      await page.route("**/t/", (route) => route.fulfill({ contentType: "text/html", body: `<!doctype html><title>t</title>${snippet}` }));
      await page.goto(`${service.url}/t/`);
      assert.equal(await page.evaluate(() => window.wxJssdk.ready().then((wx) => wx === window.wx)), true);
    }));

  for (const [name, query, prepare] of [
    ["as it is", "", async () => {}],
    [
      "unfolded and used",
      "",
      async (page) => {
        await page.evaluate(() => document.querySelectorAll(".card-toggle").forEach((one) => one.click()));
        await page.locator("#p-chooseImage-count").fill("99");
        for (const api of ["chooseImage", "getLocation", "agentConfig", "onVoicePlayEnd", "wx-open-audio"])
          await run(page, api).click();
        await outcome(page, "wx-open-audio", "ok");
        await page.evaluate(() => document.querySelectorAll(".log-entry details").forEach((one) => (one.open = true)));
      },
    ],
    [
      "with the phone's sheet over it",
      "",
      async (page) => {
        await run(page, "scanQRCode").click();
        await page.locator("dialog.phone-sheet").waitFor();
      },
    ],
    ["refused", "&break=signature", async () => {}],
  ]) {
    for (const [lang, colorScheme, viewport] of [
      ["zh", "light", PHONE],
      ["en", "dark", DESKTOP],
    ]) {
      test(`axe finds nothing: ${name}, ${lang}, ${colorScheme}, ${viewport.width} px`, () =>
        withOpenPage({ viewport, colorScheme, bypassCSP: true }, async (page) => {
          await page.goto(`${service.url}/?lang=${lang}${query}`);
          await expectVerdict(page, query ? "error" : "ok");
          await page.evaluate(() => document.querySelectorAll("details.group").forEach((one) => (one.open = true)));
          await prepare(page);
          await page.evaluate(AXE);
          const found = await page.evaluate(async () => {
            const { violations } = await window.axe.run(document, {
              runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
            });
            return violations.map(
              ({ id, help, nodes }) =>
                `${id}: ${help}: ${nodes
                  .slice(0, 3)
                  .map((one) => one.target + " " + one.failureSummary.slice(0, 200))
                  .join(" | ")}`,
            );
          });
          assert.deepEqual(found, []);
        }));
    }
  }

  for (const lang of ["zh", "en"]) {
    test(`no word of the other language is left over in ${lang}`, () =>
      withOpenPage({}, async (page) => {
        await page.goto(`${service.url}/?lang=${lang}`);
        await expectVerdict(page, "ok");
        await page.evaluate(() => document.querySelectorAll(".card-toggle").forEach((one) => one.click()));
        const own =
          ".card-title, .about, .needs-text, .tag, .group-title, .run, .replaced, .field-hint, h1, h2, h3, #support, #state-text, .steps > li > span, dt, .more summary, .lead, .diff-key";
        const texts = await page
          .locator(own)
          .evaluateAll((all) => all.filter((one) => one.checkVisibility()).map((one) => one.innerText.trim()));
        assert.ok(texts.length > 200);
        const han = /[\u4e00-\u9fff]/;
        // In English, the Chinese console's term may follow in brackets.
        const bare = texts.map((one) => one.replace(/\([\u4e00-\u9fff]+\)/g, "")).filter(Boolean);
        const foreign = bare.filter((one) => (lang === "en" ? han.test(one) : !han.test(one)));
        // Names that are the same in both.
        assert.deepEqual(
          foreign.filter((one) => !/^(config:ok|checkJsApi|wx\.config)/.test(one)),
          [],
        );
      }));
  }

  for (const width of [320, 390, 768, 1100, 1280]) {
    test(`nothing is wider than ${width} px, with everything unfolded and used`, () =>
      withOpenPage({ viewport: { width, height: 900 } }, async (page) => {
        await page.goto(`${service.url}/?lang=en&q=${"long".repeat(40)}`);
        await expectVerdict(page, "ok");
        await page.evaluate(() => {
          document.querySelectorAll("details").forEach((one) => (one.open = true));
          document.querySelectorAll(".card-toggle").forEach((one) => one.click());
        });
        for (const api of ["getLocation", "updateAppMessageShareData", "checkJsApi"]) {
          await run(page, api).click();
          await outcome(page, api, "ok");
        }
        const wide = await page.evaluate(() =>
          [...document.querySelectorAll("body *")]
            .filter(
              (one) =>
                one.checkVisibility() &&
                !one.closest("#sandbox-nav, .unseen, .skip, pre") &&
                one.getBoundingClientRect().right > innerWidth + 1,
            )
            .map((one) => one.outerHTML.slice(0, 80)),
        );
        assert.deepEqual(wide, []);
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
      }));
  }
});
