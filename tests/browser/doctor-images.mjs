// Recreates the pictures of the doctor page: npm run doctor-images [folder].

import { join } from "node:path";
import { DESKTOP, PHONE, openPage, startBrowser, startService } from "./harness.mjs";

const folder = process.argv[2] || join(import.meta.dirname, "..", "..", "docs", "images");
const service = await startService();
const browser = await startBrowser();
try {
  for (const [size, viewport] of [
    ["phone", PHONE],
    ["desktop", DESKTOP],
  ]) {
    for (const lang of ["zh", "en"]) {
      for (const colorScheme of ["light", "dark"]) {
        const page = await openPage(browser, { viewport, colorScheme, deviceScaleFactor: size === "phone" ? 2 : 1 });
        await page.goto(`${service.url}/doctor?lang=${lang}`);
        await page.locator('[data-example="json"]').click();
        await page.locator('#result[data-tone="proven"]:not([aria-busy])').waitFor();
        await page.evaluate(() => document.activeElement.blur());
        if (size === "phone") await page.evaluate(() => document.getElementById("result").scrollIntoView({ block: "start" }));
        else await page.evaluate(() => window.scrollTo(0, 0));
        await page.screenshot({ path: join(folder, `doctor-${size}-${lang}-${colorScheme}.png`) });
        await page.context().close();
      }
    }
  }
} finally {
  await browser.close();
  await service.stop();
}
