// Recreates the documents' pictures of the demo page: npm run readme-images (port 8080 must be free).
//
// docs/images/demo-{phone,desktop}-{zh,en}-{light,dark}.png.

import { statSync } from "node:fs";
import { join } from "node:path";
import { DESKTOP, PHONE, openPage, startBrowser, startService, verdict } from "./harness.mjs";

const MOST = 300 * 1024; // bytes a picture may have
const images = join(import.meta.dirname, "..", "..", "docs", "images");
const service = await startService({ listen: "127.0.0.1:8080" });
const browser = await startBrowser();
try {
  for (const size of ["phone", "desktop"]) {
    for (const lang of ["zh", "en"]) {
      for (const colorScheme of ["light", "dark"]) await take(size, lang, colorScheme);
    }
  }
} finally {
  await browser.close();
  await service.stop();
}

/** A phone shows the top of the page; on a desktop some interfaces have been called, so that results are visible. */
async function take(size, lang, colorScheme) {
  const phone = size === "phone";
  const page = await openPage(browser, {
    viewport: phone ? PHONE : { ...DESKTOP, height: 1180 },
    deviceScaleFactor: phone ? 2 : 1,
    locale: lang === "zh" ? "zh-CN" : "en-US",
    colorScheme,
  });
  await page.goto(`${service.url}/`);
  await verdict(page);
  if (!phone) await tryOut(page);
  const path = join(images, `demo-${size}-${lang}-${colorScheme}.png`);
  await page.screenshot({ path });
  const { size: bytes } = statSync(path);
  if (bytes > MOST) throw new Error(`${path} has ${bytes} bytes`);
  await page.context().close();
}

async function tryOut(page) {
  await page.evaluate(() => document.querySelectorAll("details.group").forEach((one) => (one.open = true)));
  await page.locator('[data-api="updateAppMessageShareData"]').click();
  await page.locator('[data-api="getLocation"]').click();
  await page.locator('[data-api="chooseImage"]').click();
  await page.locator("dialog .primary").click();
  await page.locator('[data-api="chooseWXPay"]').click();
  await page.locator("dialog .quiet").click();
  await page.waitForFunction(() => document.querySelectorAll('.result[data-result="ok"]').length === 3);
  await page.waitForFunction(() => [...document.querySelectorAll(".shots img")].every((one) => one.naturalWidth));
  await page.locator("#show").selectOption("used");
  await page.evaluate(() => {
    document.activeElement.blur();
    window.scrollTo(0, 0);
  });
  await page.mouse.move(2, 450);
}
