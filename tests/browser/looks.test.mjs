// The appearance of the demo page in each of its states: screenshots (in out/), and automatic checks.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { withGroupsOpen } from "./demo-helpers.mjs";
import { DESKTOP, PHONE, browser, expectVerdict, inPage, outFile, service, useServiceAndBrowser } from "./harness.mjs";

useServiceAndBrowser();

const withPage = (options, work) => inPage(browser, options, work);

describe("how it looks", () => {
  test("the keyboard reaches every control, and the focus is visible", () =>
    withPage({ viewport: DESKTOP }, async (page) => {
      await withGroupsOpen(page);
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "ok");
      const reached = new Set();
      for (let presses = 0; presses < 250; presses++) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => {
          const focused = document.activeElement;
          const ring = getComputedStyle(focused).outlineStyle;
          return { name: focused.dataset.api || focused.textContent.trim(), ring, body: focused === document.body };
        });
        if (at.body) break;
        assert.notEqual(at.ring, "none", `no focus ring on ${at.name}`);
        reached.add(at.name);
      }
      const enabled = await page.locator("[data-api]:enabled").evaluateAll((all) => all.map((one) => one.dataset.api));
      for (const name of [...enabled, "English", "iOS"]) assert.ok(reached.has(name), `${name} is not reached`);
    }));

  for (const [size, viewport] of [
    ["phone", PHONE],
    ["desktop", DESKTOP],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const lang of ["zh", "en"]) {
        test(`${size}, ${colorScheme}, ${lang}: nothing is wider than the screen and every text can be read`, () =>
          withPage({ viewport, colorScheme, deviceScaleFactor: size === "phone" ? 2 : 1 }, async (page) => {
            const shoot = async (name) => {
              const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
              assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
              assert.deepEqual(await page.evaluate(faintTexts), [], `${name}: every text can be read`);
              await page.screenshot({
                path: outFile(`${name}-${size}-${colorScheme}-${lang}.png`),
                fullPage: size === "phone",
              });
            };
            await page.goto(`${service.url}/?lang=${lang}&q=%E4%BD%A0%E5%A5%BD`);
            await expectVerdict(page, "ok");
            await shoot("ok");
            await page.evaluate(() => document.querySelectorAll("details.group").forEach((one) => (one.open = true)));
            await page.locator('[data-card="updateAppMessageShareData"] .card-toggle').click();
            await page.locator('[data-card="chooseWXPay"] .card-toggle').click();
            for (const api of [
              "updateAppMessageShareData",
              "getLocation",
              "getNetworkType",
              "agentConfig",
              "uploadImage",
              "chooseImage",
            ])
              await page.locator(`[data-api="${api}"]`).click();
            await shoot("sheet");
            await page.locator("dialog .primary").click();
            await page.locator('[data-card="chooseImage"] [data-result="ok"]').waitFor();
            await page.waitForFunction(() => [...document.querySelectorAll(".shots img")].every((one) => one.naturalWidth));
            await shoot("used");
            await page.goto(`${service.url}/?lang=${lang}&break=signature`);
            await expectVerdict(page, "error");
            await shoot("error");
            await page.route("**/static/wechat-client.js", (route) =>
              route.fulfill({ contentType: "text/javascript", body: "" }),
            );
            await page.goto(`${service.url}/?lang=${lang}`);
            await expectVerdict(page, "outside");
            await page.waitForFunction(() => document.getElementById("qr").naturalWidth > 100);
            await shoot("outside");
          }));
      }
    }
  }
});

/** The contrast of every visible text with its background; WCAG AA requires 4.5, and 3 for large text. */
function faintTexts() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", {
    willReadFrequently: true,
  });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => {
    const [r, g, b] = rgba(color).map((one) =>
      one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (rgba(color)[3] === 255) return color;
    }
    return "white";
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.closest(".skip, .unseen, noscript") || !element.getClientRects().length || element.disabled) continue;
    const style = getComputedStyle(element);
    const pair = [light(style.color), light(behind(element))].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) faint.push(`${contrast.toFixed(2)} ${element.textContent.trim().slice(0, 40)}`);
  }
  return faint;
}
