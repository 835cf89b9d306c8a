// Takes the README's two pictures of the demo page anew: npm run readme-images (port 8080 must be free).

import { join } from "node:path";
import { DESKTOP, PHONE, openPage, startBrowser, startService, verdict } from "./harness.mjs";

const images = join(import.meta.dirname, "..", "..", "docs", "images");
const service = await startService({ listen: "127.0.0.1:8080" });
const browser = await startBrowser();
try {
  const phone = await openPage(browser, { viewport: PHONE, deviceScaleFactor: 2 });
  await phone.goto(`${service.url}/`);
  await verdict(phone);
  await phone.screenshot({ path: join(images, "demo-phone.png") });

  const desktop = await openPage(browser, { viewport: DESKTOP, locale: "en-US" });
  await desktop.goto(`${service.url}/`);
  await verdict(desktop);
  await desktop.locator('[data-api="chooseImage"]').click();
  await desktop.locator("dialog .primary").click();
  await desktop.locator('[data-api="getLocation"]').click();
  await desktop.waitForFunction(() => document.querySelectorAll('[data-result="ok"]').length === 2);
  await desktop.waitForFunction(() => [...document.querySelectorAll("#shots img")].every((one) => one.naturalWidth));
  await desktop.evaluate(() => {
    document.activeElement.blur();
    window.scrollTo(0, 0);
  });
  await desktop.mouse.move(2, 450);
  await desktop.screenshot({ path: join(images, "demo-desktop.png") });
} finally {
  await browser.close();
  await service.stop();
}
