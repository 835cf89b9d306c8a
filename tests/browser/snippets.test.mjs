// The demo page's Vue and React snippets, pasted unchanged into an application.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { callsOf, installClient } from "./clients.mjs";
import { ANDROID_WECHAT, browser, expectQuiet, inPage, service, useServiceAndBrowser } from "./harness.mjs";
import { EXAMPLES, bundle } from "./spa.mjs";

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

/** The page with this application and this useWechat.js, under /t/. */
async function serveBundle(page, framework, application, code) {
  const script = await bundle(framework, { "main.js": application, "useWechat.js": code });
  const head = `<script src="/jssdk/wx-jssdk.js"></script><script type="module">${script}</script>`;
  const body = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>t</title><div id="app"></div>${head}`;
  await page.route("**/t/*", (route) => route.fulfill({ contentType: "text/html", body }));
}

/** Returns the snippet's two parts: index.html and useWechat.js. */
async function snippet(page, name) {
  await page.goto(`${service.url}/demo?lang=en`);
  await page.locator(`label[for=snippet-${name}]`).click();
  return (await page.locator("#next-step pre:visible").innerText()).split("// useWechat.js");
}

const KEPT_ALIVE = `
  import { KeepAlive, createApp, h } from "vue";
  import { RouterView, createRouter, createWebHistory } from "vue-router";
  import { useWechat } from "./useWechat.js";
  const page = (title) => ({
    name: title,
    setup() {
      useWechat(() => ({ title, desc: "", imgUrl: "" }));
      return () => h("p", title);
    },
  });
  const routes = ["List", "Item"].map((title) => ({ path: "/" + title, component: page(title) }));
  const router = createRouter({ history: createWebHistory("/t/"), routes });
  const kept = ({ Component }) => h(KeepAlive, null, { default: () => Component && h(Component) });
  createApp({ render: () => h(RouterView, null, { default: kept }) }).use(router).mount("#app");
  window.go = (path) => router.push(path);
`;

for (const whose of ["snippet", "example"]) {
  test(`the Vue ${whose} shares the shown page's card under KeepAlive`, () =>
    inPage(browser, { userAgent: ANDROID_WECHAT }, async (page) => {
      await installClient(page, service, {});
      const example = () => readFileSync(join(EXAMPLES, "vue", "src", "useWechat.js"), "utf8");
      const code = whose === "snippet" ? (await snippet(page, "vue"))[1] : example();
      await serveBundle(page, "vue", KEPT_ALIVE, code);
      const expectCard = async (title) => {
        const isSet = (wanted) => window.bridgeCalls.some(([, card]) => card && card.title === wanted && card.link.endsWith(wanted));
        await page.waitForFunction(isSet, title);
        // A later share() of the same moment would come before this.
        await page.evaluate(() => window.wxJssdk.call("getNetworkType"));
        const cards = await callsOf(page, "updateTimelineShareData");
        assert.equal(cards.at(-1)[1].title, title);
        await page.evaluate(() => (window.bridgeCalls.length = 0));
      };
      await page.goto(`${service.url}/t/List`);
      await expectCard("List");
      await page.evaluate(() => window.go("/Item"));
      await expectCard("Item");
      await page.evaluate(() => history.back());
      await expectCard("List");
      expectQuiet(page);
    }));
}

for (const [name, application] of Object.entries(APPLICATIONS)) {
  test(`the ${name} snippet recovers from a failed config and follows a late title`, () =>
    inPage(browser, { userAgent: ANDROID_WECHAT }, async (page) => {
      await installClient(page, service, {});
      const [html, code] = await snippet(page, name);
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
