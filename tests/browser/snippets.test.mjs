// The demo page's Vue and React snippets, pasted unchanged into an application.

import assert from "node:assert/strict";
import { test } from "node:test";
import { callsOf, installClient } from "./clients.mjs";
import { ANDROID_WECHAT, browser, expectQuiet, inPage, service, useServiceAndBrowser } from "./harness.mjs";
import { bundle } from "./spa.mjs";

useServiceAndBrowser();

/** Each application has one page for all routes, whose title may come late. */
const APPLICATIONS = {
  vue: `
    import { createApp, h, ref } from "vue";
    import { RouterView, createRouter, createWebHistory } from "vue-router";
    import { useWechat } from "./useWechat.js";
    const title = ref("Loading");
    const Page = {
      setup() {
        const { error } = useWechat(() => ({ title: title.value, desc: "", imgUrl: "" }));
        window.errorShown = () => error.value;
        return () => h("p", title.value);
      },
    };
    const router = createRouter({ history: createWebHistory("/t/"), routes: [{ path: "/:route", component: Page }] });
    createApp({ render: () => h(RouterView) }).use(router).mount("#app");
    window.setTitle = (text) => { title.value = text; };
    window.go = (path) => router.push(path);
  `,
  react: `
    import { createElement, useState } from "react";
    import { createRoot } from "react-dom/client";
    import { BrowserRouter, useNavigate } from "react-router";
    import { useWechat } from "./useWechat.js";
    function Page() {
      const [title, setTitle] = useState("Loading");
      const { error } = useWechat({ title, desc: "", imgUrl: "" });
      Object.assign(window, { errorShown: () => error, setTitle, go: useNavigate() });
      return createElement("p", null, title);
    }
    createRoot(document.getElementById("app")).render(
      createElement(BrowserRouter, { basename: "/t" }, createElement(Page)),
    );
  `,
};

test("the snippets name the account that the page was opened with, if it can be one", () =>
  inPage(browser, { userAgent: ANDROID_WECHAT }, async (page) => {
    await installClient(page, service, {});
    const snippets = async (account) => {
      await page.goto(`${service.url}/demo?lang=en&account=${encodeURIComponent(account)}`);
      await page.locator("#account", { hasText: account }).waitFor();
      return page.locator("#next-step pre code").evaluateAll((all) => all.map((one) => one.textContent));
    };
    const account = "demo-platform/wx0123456789abcdef";
    const [plain, vue, react, backend] = await snippets(account);
    for (const text of [plain, vue, react]) assert.ok(text.includes(`account: "${account}",`), text);
    assert.ok(backend.includes(`  --data-urlencode account=${account}\n`), backend);
    assert.ok(backend.includes(`/credentials/${account}/access_token`), backend);
    for (const text of await snippets('"</script>')) assert.ok(!/account: |account=/.test(text), text);

    await page.route("**/t/", (route) =>
      route.fulfill({ contentType: "text/html", body: `<!doctype html><link rel="icon" href="data:,"><title>t</title>${plain}` }),
    );
    // Which accounts authorised the platform is read a moment after the start.
    const query = new URLSearchParams({ account, url: `${service.url}/t/` });
    while ((await page.request.get(`${service.url}/jssdk/config?${query}`)).status() === 503) await page.waitForTimeout(200);
    const signed = page.waitForResponse("**/jssdk/config?**");
    await page.goto(`${service.url}/t/`);
    assert.equal(new URL((await signed).url()).searchParams.get("account"), account);
    assert.equal((await signed).status(), 200);
  }));

for (const [name, application] of Object.entries(APPLICATIONS)) {
  test(`the ${name} snippet recovers from a failed config and follows a late title`, () =>
    inPage(browser, { userAgent: ANDROID_WECHAT }, async (page) => {
      await installClient(page, service, {});
      await page.goto(`${service.url}/demo?lang=en`);
      await page.locator(`label[for=snippet-${name}]`).click();
      const [html, code] = (await page.locator("#next-step pre:visible").innerText()).split("// useWechat.js");
      assert.match(html, /\/static\/phone\.js"/, "the sandbox needs it");
      await serveBundle(page, name, application, code);
      const refuse = (route) => route.fulfill({ status: 404, json: { code: "unknown_account", detail: "D" } });
      await page.route("**/jssdk/config?**", refuse);
      await page.goto(`${service.url}/t/one`);
      await page.waitForFunction(() => window.errorShown && window.errorShown()?.code === "unknown_account");

      await page.unroute("**/jssdk/config?**");
      await page.evaluate(() => window.go("/two"));
      await page.waitForFunction(() => window.errorShown() === null);
      await page.evaluate(() => window.setTitle("Two"));
      await page.waitForFunction(() => window.bridgeCalls.some(([, card]) => card && card.title === "Two"));
      const titles = (await callsOf(page, "updateTimelineShareData")).map(([, card]) => card.title);
      assert.deepEqual(titles, ["Loading", "Two"]);
      page.complaints = page.complaints.filter((text) => !/404/.test(text));
      expectQuiet(page);
    }));
}
