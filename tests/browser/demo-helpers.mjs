// Helpers for the tests of the demo page's interfaces: press a button, agree, read the result; and a client of
// the tests that records the calls of the bridge.

export const cardOf = (page, name) => page.locator(`[data-card="${name}"]`);
export const resultOf = (page, name) => cardOf(page, name).locator(".result");
export const field = (page, name, parameter) => page.locator(`#p-${name.replace(/\W/g, "-")}-${parameter}`);

/** Opens every group as soon as it is there. */
export const withGroupsOpen = (page) =>
  page.addInitScript(() =>
    document.addEventListener("readystatechange", () => {
      if (document.readyState !== "interactive") return; // before the page's own scripts
      const unfold = () => document.querySelectorAll("details.group:not([open])").forEach((one) => (one.open = true));
      new MutationObserver(unfold).observe(document.getElementById("groups"), { childList: true });
    }),
  );

/** The interfaces as the page has them, without their functions. */
export const interfaces = (page) =>
  page.evaluate(async () => {
    const { INTERFACES } = await import("/static/interfaces.js");
    return JSON.parse(JSON.stringify(INTERFACES));
  });

export async function open(page, name) {
  const toggle = cardOf(page, name).locator(".card-toggle");
  if ((await toggle.getAttribute("aria-expanded")) === "false") await toggle.click();
}

/** Presses the button, agrees to (or declines) whatever the simulated phone shows, and reads the result. */
export async function press(page, name, { agree = true } = {}) {
  await cardOf(page, name).locator(".run").click();
  const result = resultOf(page, name);
  const sheet = page.locator("dialog.phone-sheet");
  const settled = result.and(page.locator(':not([data-result="pending"])'));
  for (;;) {
    await sheet.or(settled).first().waitFor();
    if (!(await sheet.count())) break;
    const primary = sheet.locator(".primary");
    await (agree && (await primary.count()) ? primary : sheet.locator(".row .quiet")).click();
    await sheet.waitFor({ state: "detached" });
  }
  return read(page, name);
}

/** The same for each of these interfaces, by a script in the page: three times faster than a pointer. */
export const pressEach = (page, names) =>
  page.evaluate(async (names) => {
    const SOON = 10_000;
    const frame = () => new Promise(requestAnimationFrame);
    const results = {};
    for (const name of names) {
      const card = document.querySelector(`[data-card="${name}"]`);
      const result = card.querySelector(".result");
      const begun = performance.now();
      card.querySelector(".run").click();
      for (;;) {
        const sheet = document.querySelector("dialog.phone-sheet");
        if (!sheet && result.checkVisibility() && result.dataset.result !== "pending") break;
        (sheet?.querySelector(".primary") || sheet?.querySelector(".row .quiet"))?.click();
        await frame();
        if (performance.now() - begun > SOON) throw new Error(`${name} shows no result`);
      }
      const answer = result.querySelector("pre");
      results[name] = {
        outcome: result.dataset.result,
        note: result.querySelector(".note").innerText,
        fixes: result.querySelector(".call-fixes").innerText,
        answer: answer.checkVisibility() ? answer.innerText : "",
      };
    }
    return results;
  }, names);

export async function read(page, name) {
  const result = resultOf(page, name);
  const shown = await result.locator("pre").isVisible();
  return {
    outcome: await result.getAttribute("data-result"),
    note: await result.locator(".note").innerText(),
    fixes: await result.locator(".call-fixes").innerText(),
    answer: shown ? await result.locator("pre").innerText() : "",
  };
}

/** A WeChat client of the test: config passes; it records every call, and answers as configured (`silent`: never). */
export async function installRecorder(page, { replies = {}, silent = false, userAgent } = {}) {
  await page.addInitScript(
    ({ replies, silent, userAgent }) => {
      if (userAgent) Object.defineProperty(navigator, "userAgent", { get: () => userAgent });
      window.bridgeCalls = [];
      window.WeixinJSBridge = {
        invoke(name, params, callback) {
          if (name === "preVerifyJSAPI") return callback({ err_msg: "preVerifyJSAPI:ok" });
          const { appId, verifyAppId, verifySignType, verifyTimestamp, verifyNonceStr, verifySignature, ...own } = params;
          window.bridgeCalls.push({ name, params: JSON.parse(JSON.stringify(own)) });
          if (silent) window.lastCallback = callback;
          else callback({ err_msg: `${name}:ok`, ...replies[name], ...replies["*"] });
        },
        on(event) {
          window.bridgeCalls.push({ name: `on ${event}` });
        },
      };
    },
    { replies, silent, userAgent },
  );
}

/** The recorded parameters of the last call of this name on the bridge. */
export const lastCall = (page, name) =>
  page.evaluate((asked) => window.bridgeCalls.filter((one) => one.name === asked).pop()?.params, name);

/** The page as served for a real account, without the sandbox. */
export const withoutSandbox = (page) =>
  page.route(
    (url) => url.pathname === "/",
    async (route) => {
      const response = await route.fetch();
      const html = await response.text();
      return route.fulfill({
        response,
        body: html.replace(" data-sandbox", "").replace(/<script src="static\/wechat[^]*?<\/script>/g, ""),
      });
    },
  );
