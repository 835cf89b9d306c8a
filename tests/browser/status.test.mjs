// The status page in a browser: it renders, updates without a reload, refreshes on demand, and logs no errors.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { DESKTOP, PHONE, expectQuiet, inPage, outFile, startBrowser } from "./harness.mjs";
import { APIS, startStatus } from "./status-service.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let service;
let browser;

before(async () => {
  browser = await startBrowser();
});
after(async () => {
  if (browser) await browser.close();
});

/** A new service for each test, because the tests add faults. */
async function onPage(options, work) {
  service = await startStatus();
  try {
    await inPage(browser, options, work);
  } finally {
    await service.stop();
  }
}

async function open(page, query = "") {
  await page.goto(`${service.admin}/status${query}`);
  await page.locator('#pulse[data-pulse="live"]').waitFor({ state: "attached" });
}

const state = (page, account, kind) =>
  page.locator(`#account-${account} tr[data-kind="${kind}"]`).getAttribute("data-state");

const openRow = (page, account) => page.locator(`#account-${account} > summary`).click();

async function untilVerdict(page, wanted) {
  await page.locator(`.verdict[data-state="${wanted}"]`).waitFor({ timeout: 30_000 });
}

describe("the status page", () => {
  test("shows every account and credential without console errors", () =>
    onPage({ viewport: DESKTOP }, async (page) => {
      await open(page);
      await untilVerdict(page, "ok");
      // Three accounts, the open platform, and the two that authorised it, which the keeper finds in WeChat's list.
      await page.waitForFunction(() => document.querySelectorAll("summary.row").length === 6);
      assert.match(await page.locator("h1").innerText(), /6 个账号全部正常/);
      assert.equal(await page.locator("tr[data-kind]").count(), 7, "those that were never used have none yet");
      assert.equal(await page.locator(".strip path.ok").count(), 4);
      assert.match(await page.locator(".platform").innerText(), /2 个授权账号/);
      await openRow(page, "demo");
      assert.match(await page.locator("#account-demo tr").nth(1).innerText(), /还有 1 小时 59 分/);
      assert.equal(await page.locator("#q").count(), 0, "six accounts need no search");
      const isCut = (all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.innerText);
      assert.deepEqual(await page.locator(".row-sub").evaluateAll(isCut), [], "platforms are whole");
      await page.locator('.row-title b[title="demo-platform/wx0123456789abcdef"]').waitFor();
      const response = await page.request.get(`${service.admin}/status`);
      assert.match(response.headers()["content-security-policy"], /script-src 'self'; style-src 'self'/);
      expectQuiet(page);
    }));

  test("follows a fault and its end without a reload, and keeps open and focused elements", () =>
    onPage({ viewport: DESKTOP, locale: "en-US" }, async (page) => {
      await open(page);
      await untilVerdict(page, "ok");
      await page.evaluate(() => (window.sameDocument = true));
      await openRow(page, "demo-work");
      await openRow(page, "demo");
      await page.locator("#rows-demo-work-jsapi_ticket summary").click();
      await page.locator("#refresh-demo-access_token").focus();
      await service.fault(APIS.ticket, 40164);
      await service.advance(7_040);
      await untilVerdict(page, "degraded");
      assert.match(await page.locator("h1").innerText(), /^Still served, but refreshes fail$/);
      assert.equal(await page.locator(".incident .errcode").innerText(), "40164");
      assert.equal(await page.locator(".incident .copybox code").innerText(), "127.0.0.1");
      assert.equal(await page.locator(".incident #account-demo").count(), 1, "its row is in the card of the cause");
      assert.match(await page.locator("#spoken").textContent(), /refreshes fail/, "who does not see it is told");
      assert.ok(await page.locator("#rows-demo-work-jsapi_ticket").getAttribute("open").then((open) => open !== null));
      assert.equal(await page.evaluate(() => document.activeElement.id), "refresh-demo-access_token");
      assert.equal(await page.locator("#account-demo .strip path.warn").count(), 1, "the hour is marked");
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await page.locator(".incident .copybox .copy").click();
      await page.getByText("Copied").waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "127.0.0.1");
      await service.clearFaults();
      await service.advance(100);
      await untilVerdict(page, "ok");
      assert.equal(await page.evaluate(() => window.sameDocument), true);
      expectQuiet(page);
    }));

  test("shows when the connection is lost and restored", () =>
    onPage({ viewport: PHONE }, async (page) => {
      await open(page);
      await page.route("**/status.json**", (route) => route.abort());
      await page.locator('#pulse[data-pulse="lost"]').waitFor({ timeout: 20_000 });
      assert.match(await page.locator("#pulse-text").innerText(), /^离线 · /);
      await page.unroute("**/status.json**");
      await page.locator('#pulse[data-pulse="live"]').waitFor({ state: "attached", timeout: 20_000 });
      assert.deepEqual(page.complaints.filter((one) => !/net::ERR_FAILED/.test(one)), []);
    }));

  test("sends no requests while the page is hidden", () =>
    onPage({ viewport: PHONE }, async (page) => {
      await page.clock.install();
      await open(page);
      let asked = 0;
      page.on("request", (request) => (asked += request.url().includes("status.json") ? 1 : 0));
      const hide = (hidden) =>
        page.evaluate((hidden) => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }, hidden);
      await hide(true);
      asked = 0;
      await page.clock.runFor(9_000);
      assert.equal(asked, 0);
      await hide(false);
      await page.waitForRequest((request) => request.url().includes("status.json"));
      expectQuiet(page);
    }));

  test("refreshes on demand: with a wrong key, the right one, and too soon", () =>
    onPage({ viewport: PHONE, locale: "en-US" }, async (page) => {
      await open(page);
      await untilVerdict(page, "ok");
      const posted = [];
      page.on("request", (request) => request.method() === "POST" && posted.push(request));
      await openRow(page, "demo");
      await page.locator("#refresh-demo-access_token").click();
      assert.equal(await page.locator("#ask-key").getAttribute("type"), "password");
      await page.locator("#ask-key").fill("wxk_wrong");
      await page.locator("#ask-send").click();
      await page.getByText("The API key is invalid.").waitFor();
      assert.equal(await page.evaluate(() => JSON.stringify({ ...sessionStorage })), "{}");
      await page.locator("#ask-key").fill(service.key);
      await page.keyboard.press("Enter");
      await page.getByText(/WeChat returned the same value/).waitFor();
      assert.equal(await page.locator("#ask-key").isVisible(), false, "the tab remembers the key");
      await page.locator("#ask-send").click();
      await page.getByText(/try again in \d+ s, at/).waitFor();
      await page.screenshot({ path: outFile("status-refresh-phone-en.png") });
      for (const request of posted) {
        assert.ok(!request.url().includes("wxk_") && !request.postData().includes("wxk_"), "the key is in a header only");
        assert.equal(request.headers()["x-requested-with"], "wx-jssdk");
      }
      assert.equal(posted.length, 3);
      await page.locator("#ask-forget").click();
      assert.equal(await page.evaluate(() => JSON.stringify({ ...sessionStorage })), "{}");
      assert.ok(await page.locator("#ask-key").isVisible());
      await page.keyboard.press("Escape");
      assert.equal(await page.locator("#ask").isVisible(), false);
      assert.ok(!(await page.content()).includes("wxk_"), "the key is nowhere in the page");
      assert.deepEqual(page.complaints.filter((one) => !/status of (401|429)/.test(one)), []);
    }));

  test("a wrong key of a locked-out address is called invalid and is not kept", () =>
    onPage({ viewport: PHONE, locale: "en-US" }, async (page) => {
      await open(page);
      await untilVerdict(page, "ok");
      const body = JSON.stringify({ account: "demo", kind: "access_token" });
      const guess = async (at) => {
        const headers = { "Content-Type": "application/json", "X-Requested-With": "wx-jssdk", "X-Api-Key": `wxk_wrong${at}` };
        return (await fetch(`${service.admin}/status/refresh`, { method: "POST", headers, body })).status;
      };
      for (let at = 0; (await guess(at)) === 401; at++) assert.ok(at < 50, "the address is locked out");
      await openRow(page, "demo");
      await page.locator("#refresh-demo-access_token").click();
      await page.locator("#ask-key").fill("wxk_mistyped");
      await page.locator("#ask-send").click();
      await page.locator('#ask-answer[data-state="degraded"]').waitFor();
      assert.match(await page.locator("#ask-answer").innerText(), /The API key is invalid\.[^]*Use a valid API key/);
      assert.equal(await page.evaluate(() => JSON.stringify({ ...sessionStorage })), "{}");
      await page.locator("#ask-key").fill(service.key);
      await page.locator("#ask-send").click();
      await page.locator('#ask-answer[data-state="ok"]').waitFor();
    }));

  test("a refusal that no key can change keeps no key", () =>
    onPage({ viewport: PHONE, locale: "en-US" }, async (page) => {
      await open(page);
      await untilVerdict(page, "ok");
      const problem = { title: "Cross-site request", code: "cross_site", hint: { en: "Open /status directly.", zh: "请直接打开 /status。" } };
      await page.route("**/status/refresh", (route) => route.fulfill({ status: 403, json: problem }));
      await openRow(page, "demo");
      await page.locator("#refresh-demo-access_token").click();
      await page.locator("#ask-key").fill("wxk_mistyped");
      await page.locator("#ask-send").click();
      await page.locator("#ask-answer", { hasText: "Open /status directly." }).waitFor();
      assert.equal(await page.evaluate(() => JSON.stringify({ ...sessionStorage })), "{}");
    }));

  test("shows a refusal in the language of the page", () =>
    onPage({ viewport: PHONE, locale: "zh-CN" }, async (page) => {
      await open(page);
      await untilVerdict(page, "ok");
      const problem = { title: "The store cannot be reached", code: "store_unavailable", hint: { en: "Look at it.", zh: "请检查存储。" } };
      await page.route("**/status/refresh", (route) =>
        route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify(problem) }),
      );
      await openRow(page, "demo");
      await page.locator("#refresh-demo-access_token").click();
      await page.locator("#ask-key").fill(service.key);
      await page.locator("#ask-send").click();
      await page.locator('#ask-answer[data-state="down"]').waitFor();
      const said = await page.locator("#ask-answer").innerText();
      assert.match(said, /服务器未能刷新（store_unavailable）[^]*请检查存储。/);
      assert.doesNotMatch(said, /store cannot/);
    }));

  test("after the fault is fixed, one press of the button recovers the account", () =>
    onPage({ viewport: DESKTOP, locale: "en-US" }, async (page) => {
      await open(page);
      await untilVerdict(page, "ok");
      await service.fault(APIS.ticket, 40164);
      await service.advance(7_040);
      await untilVerdict(page, "degraded");
      await service.clearFaults();
      await page.locator(".incident .retry").click();
      await page.locator("#ask-key").fill(service.key);
      await page.locator("#ask-send").click();
      await page.locator('#ask-answer[data-state="ok"]').waitFor();
      await page.locator("#ask-close").click();
      await untilVerdict(page, "ok");
      assert.equal(await state(page, "demo", "jsapi_ticket"), "ok");
      expectQuiet(page);
    }));

  test("filters by name and by state without a reload", () =>
    onPage({ viewport: DESKTOP, locale: "en-US" }, async (page) => {
      await open(page, "?q=demo");
      await untilVerdict(page, "ok");
      await page.locator("#q").fill("work");
      await page.waitForFunction(() => document.querySelectorAll("summary.row").length === 1);
      assert.match(page.url(), /\?q=work$/);
      assert.equal(await page.evaluate(() => document.activeElement.id), "q", "typing goes on");
      await page.locator(".seg a", { hasText: "Healthy" }).click();
      assert.match(page.url(), /q=work&state=ok$/);
      await page.locator('#pulse[data-pulse="live"]').waitFor({ state: "attached" });
      await page.locator("#q").fill("nothing");
      await page.getByText("No account matches.").waitFor();
      await page.getByText("Show all").click();
      await page.waitForFunction(() => document.querySelectorAll("summary.row").length === 6);
      expectQuiet(page);
    }));

  for (const lang of ["zh", "en"]) {
    for (const [size, viewport] of [["phone", PHONE], ["desktop", DESKTOP]]) {
      test(`${size}, ${lang}: nothing is wider than the screen, in light and dark, well and at 3 a.m.`, () =>
        onPage({ viewport }, async (page) => {
          const shoot = async (name) => {
            for (const colorScheme of ["light", "dark"]) {
              await page.emulateMedia({ colorScheme });
              const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
              assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
              await page.screenshot({ path: outFile(`status-${name}-${size}-${colorScheme}-${lang}.png`), fullPage: true });
            }
            await page.evaluate(AXE);
            const { violations } = await page.evaluate(() => window.axe.run(document));
            assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes[0].html}`), []);
          };
          await open(page, `?lang=${lang}`);
          await untilVerdict(page, "ok");
          const text = await page.locator("body").innerText();
          if (lang === "en") assert.doesNotMatch(text.replace("中文", ""), /[\u4e00-\u9fff]/);
          await shoot("healthy");
          await service.fault(APIS.token, 40164);
          await service.advance(7_300);
          await untilVerdict(page, "down");
          await shoot("night");
          expectQuiet(page);
        }));
    }
  }

  test("the keyboard reaches every control, and each has a name", () =>
    onPage({ viewport: DESKTOP, locale: "en-US" }, async (page) => {
      await open(page);
      await untilVerdict(page, "ok");
      await openRow(page, "demo-work");
      const reached = new Set();
      for (let presses = 0; presses < 60; presses++) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => {
          const one = document.activeElement;
          const name = one.getAttribute("aria-label") || one.textContent.trim() || document.querySelector(`label[for="${one.id}"]`)?.textContent;
          return { id: one.id, name, ring: getComputedStyle(one).outlineStyle, body: one === document.body };
        });
        if (at.body) break;
        assert.ok(at.name, JSON.stringify(at));
        assert.notEqual(at.ring, "none", at.name);
        reached.add(at.id);
      }
      for (const id of ["refresh-demo-work-access_token", "refresh-demo-work-agent_ticket"]) assert.ok(reached.has(id), id);
    }));
});
