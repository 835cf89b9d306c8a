// The API description page: reading, search, copy buttons and the mark in the contents.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import { PHONE, browser, expectQuiet, inPage, outFile, service, useServiceAndBrowser } from "./harness.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDE = { width: 1440, height: 900 };

useServiceAndBrowser();

const atDocs = (options, path, work) =>
  inPage(browser, options, async (page) => {
    await page.goto(`${service.admin}/${path}`);
    await work(page);
    expectQuiet(page);
  });

const isMarked = (page, id) => page.locator(`.docs-list a[href="#${id}"][aria-current="true"]`).waitFor();

describe("the API description", () => {
  for (const [name, path, lang, colorScheme, viewport] of [
    ["operations", "docs?lang=zh", "zh", "light", PHONE],
    ["operations", "docs?lang=en", "en", "dark", WIDE],
    ["errors", "docs?page=errors&lang=en", "en", "light", PHONE],
    ["errors", "docs?page=errors&lang=zh", "zh", "dark", { width: 768, height: 900 }],
  ]) {
    test(`${name}, ${lang}, ${colorScheme}, ${viewport.width} px: axe finds nothing, nothing is too wide`, () =>
      atDocs({ viewport, colorScheme, bypassCSP: true }, path, async (page) => {
        await page.screenshot({ path: outFile(`docs-${name}-${viewport.width}-${colorScheme}-${lang}.png`) });
        const wide = () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok((await wide()) <= 0);
        await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
        assert.ok((await wide()) <= 0, "with everything open");
        // One of each kind: axe takes half a minute for everything.
        const kept = ["authentication", "agentConfig", "rejectCredential", "schema-Problem"];
        await page.evaluate((kept) => {
          for (const one of document.querySelectorAll("details")) one.open = kept.includes(one.id);
          document.querySelectorAll("section.part:nth-of-type(n + 5):not(#schemas), .codes tr:nth-child(n + 9)").forEach((one) => one.remove());
        }, kept);
        await page.evaluate(AXE);
        const found = await page.evaluate(async () => {
          const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
          return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((one) => one.html.slice(0, 120))}`);
        });
        assert.deepEqual(found, []);
      }));
  }

  test("on a phone, the first group ends within five screens and a button opens the contents", () =>
    atDocs({ viewport: PHONE }, "docs?lang=en", async (page) => {
      const end = await page.locator("#signing").evaluate((group) => group.getBoundingClientRect().bottom);
      assert.ok(end <= 5 * PHONE.height, `${end} px`);
      const link = page.locator('.docs-list a[href="#readyz"]');
      assert.ok(!(await link.isVisible()));
      await page.getByText("Contents", { exact: true }).click();
      await link.click();
      await page.locator("#readyz .op-code").waitFor();
      assert.ok(!(await link.isVisible()), "the contents close");
    }));

  test("the search finds paths, parameters and error codes of both pages, by keyboard", () =>
    atDocs({ viewport: WIDE }, "docs?lang=en", async (page) => {
      await page.keyboard.press("/");
      await page.keyboard.type("reject");
      const first = page.locator(".docs-found a").first();
      assert.match(await first.innerText(), /\/credentials\/\{account\}\/\{kind\}\/reject/);
      await page.keyboard.press("Enter");
      await page.locator("#rejectCredential[open]").waitFor();
      await isMarked(page, "rejectCredential");
      await page.locator("#search").fill("openTagList");
      assert.match(await page.locator(".docs-found").innerText(), /\/jssdk\/config/);
      await page.locator("#search").fill("40164");
      await first.click();
      await page.waitForURL("**/docs?page=errors&lang=en#errcode-40164");
      await page.locator("#search").fill("no-such-word");
      await page.getByText("Nothing found").first().waitFor();
      await page.keyboard.press("Escape");
      await page.locator(".docs-list").waitFor();
    }));

  test("a copy button copies the tab that is shown, also without TLS", () =>
    atDocs({ viewport: WIDE }, "docs?lang=en", async (page) => {
      // The browser's copy event, where the page may not write to the clipboard.
      await page.evaluate(() => {
        Object.defineProperty(navigator, "clipboard", { value: undefined });
        document.execCommand = () => Boolean((window.copied = document.activeElement.value));
      });
      const panel = page.locator("#config .code").first();
      await panel.getByText("fetch", { exact: true }).click();
      await panel.locator(".copy").click();
      await panel.getByText("Copied").waitFor();
      assert.match(await page.evaluate(() => window.copied), /^const url = encodeURIComponent/);
    }));

  test("the contents mark the visible section; a link opens its target", () =>
    atDocs({ viewport: WIDE }, "docs?lang=en#agentConfig", async (page) => {
      await page.locator("#agentConfig[open]").waitFor();
      await isMarked(page, "agentConfig");
      await page.locator("#readCredential").evaluate((one) => one.scrollIntoView({ behavior: "instant" }));
      await page.mouse.wheel(0, 10);
      await isMarked(page, "readCredential");
    }));

  test("without scripts the operations, tabs and folds work, and there is no dead button", () =>
    inPage(browser, { viewport: PHONE, javaScriptEnabled: false }, async (page) => {
      await page.goto(`${service.admin}/docs?lang=en`);
      assert.equal(await page.locator(".copy:visible, .search:visible").count(), 0);
      const panel = page.locator("#config .code").first();
      await panel.getByText("wx-jssdk.js", { exact: true }).click();
      await panel.getByText("wxJssdk.ready").waitFor();
      await page.locator("#agentConfig > summary").click();
      await page.locator("#agentConfig .op-code").waitFor();
    }));
});
