// Recreates the pictures of the status page: npm run status-images (port 8081 must be free).

import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DESKTOP, PHONE, openPage, startBrowser } from "./harness.mjs";
import { APIS, startStatus } from "./status-service.mjs";

const images = join(import.meta.dirname, "..", "..", "docs", "images");
const MOST = 300 * 1024;

mkdirSync(images, { recursive: true });
const service = await startStatus({ adminListen: "127.0.0.1:8081" });
const browser = await startBrowser();

async function shoot(state, verdict) {
  for (const [size, viewport] of [["phone", PHONE], ["desktop", DESKTOP]]) {
    for (const [lang, locale] of [["zh", "zh-CN"], ["en", "en-US"]]) {
      const page = await openPage(browser, { viewport, locale, timezoneId: "Asia/Shanghai" });
      await page.goto(`${service.admin}/status?lang=${lang}`);
      await page.locator(`.verdict[data-state="${verdict}"]`).waitFor();
      await page.locator('#pulse[data-pulse="live"]').waitFor({ state: "attached" });
      const path = join(images, `status-${size}-${lang}-${state}.png`);
      await page.screenshot({ path });
      if (statSync(path).size > MOST) throw new Error(`${path} is larger than ${MOST} bytes`);
      await page.context().close();
    }
  }
}

/** Lets half a day pass. Tokens are refreshed near their end, WeCom's at its very end, as in real time. */
async function halfADay() {
  const moments = [1, 2, 3, 4, 5, 6].flatMap((n) => [n * 7_050, n * 7_203]).sort((a, b) => a - b);
  let now = 0;
  for (const moment of moments) {
    await service.advance(moment - now);
    now = moment;
    await settled(({ platform, state, credentials }) =>
      platform === "work" ? state === "ok" : moment % 7_050 !== 0 || credentials.every((one) => one.age < 60),
    );
  }
}

async function settled(isSo) {
  for (let tries = 0; tries < 200; tries++) {
    const { accounts } = await (await fetch(`${service.admin}/status.json`)).json();
    if (accounts.every(isSo)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("it never came to that");
}

try {
  await settled((account) => account.state === "ok");
  await halfADay();
  await service.advance(1_500);
  await shoot("healthy", "ok");
  await service.fault(APIS.ticket, 40164);
  await service.advance(4_600);
  await settled((account) => account.state !== "ok" || account.account !== "demo");
  await shoot("40164", "degraded");
} finally {
  await browser.close();
  await service.stop();
}
