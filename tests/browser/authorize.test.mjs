// An owner authorises an open platform in the browser, and the demo page then signs on behalf of the account.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import { DESKTOP, PHONE, browser, expectQuiet, expectVerdict, inPage, service, useServiceAndBrowser } from "./harness.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const OWNER = "wxabcdef0123456789";

async function expectWellFormed(page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${wide} px too wide`);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes[0].html}`), []);
}

/** The page forbids scripts, so axe needs an exception to run there. */
const OPTIONS = { bypassCSP: true };

describe("the authorisation page", () => {
  useServiceAndBrowser();

  for (const [locale, viewport, texts] of [
    ["zh-CN", PHONE, ["授权你的公众号或小程序", "授权成功"]],
    ["en-US", DESKTOP, ["Authorise your account", "Authorised"]],
  ]) {
    test(`${locale}: after the owner's click the demo page signs for the account`, () =>
      inPage(browser, { ...OPTIONS, viewport, locale }, async (page) => {
        const open = () => page.goto(`${service.url}/authorize/demo-platform`);
        await open();
        assert.equal(await page.locator("h1").innerText(), texts[0]);
        await expectWellFormed(page);
        const press = async () => {
          const answered = page.waitForResponse((response) => response.request().method() === "POST");
          await page.locator(".ways button").click();
          return (await answered).status();
        };
        // WeChat's first ticket arrives a moment after the start.
        while ((await press()) !== 200) {
          await page.waitForTimeout(200);
          await open();
        }
        // The answer is known before its page replaces the one before.
        await page.locator(".ways a").first().waitFor();
        assert.equal(await page.locator("h1").innerText(), texts[0]);
        await expectWellFormed(page);
        await page.locator(".ways a").first().click();
        await page.locator("form, li, section").filter({ hasText: OWNER }).locator("button").last().click();
        await page.waitForURL(/\/authorize\/demo-platform\/done/);
        assert.equal(await page.locator("h1").innerText(), texts[1]);
        assert.match(await page.locator("code").innerText(), new RegExp(`demo-platform/${OWNER}`));
        await expectWellFormed(page);
        await page.goto(`${service.url}/?account=demo-platform/${OWNER}`);
        await expectVerdict(page, "ok", "config:ok");
        expectQuiet(page);
      }));
  }
});
