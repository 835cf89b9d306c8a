// Starts the service and a browser, and ends both.
//
// The service is the real binary in sandbox mode on free ports (JSSDK_TEST_BIN, default target/debug/wx-jssdk), or one that
// runs already (WX_JSSDK_URL and WX_JSSDK_SANDBOX_URL). The browser is Chromium's headless shell, which takes half the processor
// time of Chromium; without it, Chromium; or the program CHROMIUM. WeChat's own script comes from the npm package by interception:
// nothing here touches the network.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");

/** The file that WeChat serves as jweixin-1.6.0.js: of this package's two, the one that has not been repacked. */
const JWEIXIN = readFileSync(createRequire(import.meta.url).resolve("weixin-js-sdk/index.original.js"), "utf8");

export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 900 };
export const ANDROID_WECHAT =
  "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0 Mobile Safari/537.36 MicroMessenger/8.0.50.2701 NetType/WIFI Language/zh_CN";
export const IOS_WECHAT =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.50(0x18003231) NetType/WIFI Language/zh_CN";

/** The service and the browser of a test file; each file runs in its own process. */
export let service;
export let browser;

/** Starts both before a test file's tests and ends them afterwards. */
export function useServiceAndBrowser() {
  before(async () => {
    service = await startService();
    browser = await startBrowser();
  });
  after(async () => {
    if (browser) await browser.close();
    if (service) await service.stop();
  });
}

/** Where screenshots go; not kept in the repository. */
export function outFile(name) {
  mkdirSync(join(here, "out"), { recursive: true });
  return join(here, "out", name);
}

const FREE = "127.0.0.1:0";

/** Returns the addresses of the service in sandbox mode, and a function that stops it if it was started here. */
export async function startService(options) {
  const { WX_JSSDK_URL: url, WX_JSSDK_SANDBOX_URL: sandbox } = process.env;
  return url ? { url, sandbox, stop: async () => {} } : spawnService(options);
}

/** Starts the service in sandbox mode. Returns its public, admin and sandbox address, its API key, and a function that stops it. */
export async function spawnService({ listen = FREE, adminListen = FREE } = {}) {
  const binary = process.env.JSSDK_TEST_BIN || join(root, "target", "debug", "wx-jssdk");
  const args = ["serve", "--sandbox", "--listen", listen, "--admin-listen", adminListen, "--sandbox-listen", FREE];
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  const stop = stopping(child);
  try {
    return { ...(await announcedAddresses(child)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Returns a function that stops a program, with SIGTERM first. */
export function stopping(child) {
  const gone = new Promise((resolve) => child.once("close", resolve));
  return async () => {
    child.kill("SIGTERM");
    const mercy = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await gone;
    clearTimeout(mercy);
  };
}

/** Reads the lines `public    http://…`, `admin     http://…`, `sandbox   http://…` and `api key   wxk_…` that the service prints. */
function announcedAddresses(child) {
  let said = "";
  let patience;
  const addresses = new Promise((resolve, reject) => {
    const hear = (chunk) => {
      said += chunk;
      const find = (name) => (said.match(new RegExp(`^${name}\\s+(\\S+)\\s`, "m")) || [])[1];
      const [url, admin, sandbox, key] = [find("public"), find("admin"), find("sandbox"), find("api key")];
      if (url && admin && sandbox && key) resolve({ url, admin, sandbox, key });
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`the service ended with ${code}:\n${said}`)));
    patience = setTimeout(() => reject(new Error(`the service did not name its addresses:\n${said}`)), 20_000);
  });
  return addresses.finally(() => clearTimeout(patience));
}

const INSTALLED = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find(existsSync);

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || INSTALLED,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * A new page, with WeChat's hosts simulated. `cdn` lists the hosts that serve jweixin; the others refuse.
 * Requests outside loopback are refused and recorded in `page.strayed`, console errors in
 * `page.complaints` (without the error of a host that the test configured to refuse).
 */
export async function openPage(browser, { cdn = ["res.wx.qq.com", "res2.wx.qq.com"], viewport = PHONE, ...options } = {}) {
  const context = await browser.newContext({ viewport, locale: "zh-CN", ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.strayed = [];
  page.reports = [];
  page.on("console", (message) => {
    const expected =
      /net::ERR_(FAILED|BLOCKED)/.test(message.text()) && /(res2?\.wx\.qq\.com|:\d+\/)/.test(message.location().url);
    // The simulated phone explains a refusal that the test itself caused.
    const explained = message.text().startsWith("wx-jssdk sandbox: wx.config fails");
    if (["error", "warning"].includes(message.type()) && !(expected && page.refusals) && !explained) page.complaints.push(message.text());
  });
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.refusals = cdn.length < 2;
  await context.route(
    (url) => !["127.0.0.1", "localhost"].includes(url.hostname) && url.protocol.startsWith("http"),
    (route) => {
      const { hostname, pathname } = new URL(route.request().url());
      if (cdn.includes(hostname) && pathname === "/open/js/jweixin-1.6.0.js") {
        return route.fulfill({ contentType: "application/javascript", body: JWEIXIN });
      }
      if (hostname === "open.weixin.qq.com" && pathname === "/sdk/report") {
        page.reports.push(route.request().url());
        return route.fulfill({
          contentType: "image/gif",
          body: Buffer.from("R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=", "base64"),
        });
      }
      if (!/^res2?\.wx\.qq\.com$/.test(hostname)) page.strayed.push(route.request().url());
      return route.abort();
    },
  );
  return page;
}

/** Runs the work in a new page. */
export async function inPage(browser, options, work) {
  const page = await openPage(browser, options);
  try {
    await work(page);
  } finally {
    await page.context().close();
  }
}

/** Waits until the page has a verdict, and returns it. */
export async function verdict(page) {
  const state = page.locator("#state");
  await state.and(page.locator(':not([data-state="loading"])')).waitFor({ timeout: 25_000 });
  return { state: await state.getAttribute("data-state"), title: await page.locator("#state-title").innerText() };
}

export async function expectVerdict(page, state, title) {
  const came = await verdict(page);
  assert.deepEqual(came, { state, title: title || came.title }, await page.locator("#state").innerText());
}

/** Asserts: no console errors, no violation of the security policy, no request outside loopback. */
export function expectQuiet(page) {
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(page.strayed, []);
}

/** The valid jsapi ticket of an app, from the sandbox. */
export async function jsapiTicket(service, appId) {
  const state = await (await fetch(`${service.sandbox}/sandbox/state`)).json();
  return state.apps.find((app) => app.app_id === appId).tickets.jsapi.value;
}

/**
 * A WeChat client of the test: a bridge that computes the signature itself, from the sandbox's ticket and the
 * page's actual address, independent of the page's simulated client.
 */
export async function installBridge(page, service, { checksLanding = false } = {}) {
  await page.exposeFunction("testVerify", async (asked) => {
    const ticket = await jsapiTicket(service, asked.verifyAppId);
    const href = checksLanding ? asked.landing : asked.href;
    const url = href.split("#")[0];
    const signed = `jsapi_ticket=${ticket}&noncestr=${asked.verifyNonceStr}&timestamp=${asked.verifyTimestamp}&url=${url}`;
    const expected = createHash("sha1").update(signed).digest("hex");
    page.verified = { url, sent: asked.verifySignature, expected, types: asked.verifySignType };
    return expected === asked.verifySignature ? "preVerifyJSAPI:ok" : "preVerifyJSAPI:fail_invalid signature";
  });
  await page.addInitScript(() => {
    const landing = location.href;
    window.bridgeCalls = [];
    window.WeixinJSBridge = {
      async invoke(name, params, callback) {
        window.bridgeCalls.push(name);
        if (name === "preVerifyJSAPI") {
          return callback({ err_msg: await window.testVerify({ ...params, href: location.href, landing }) });
        }
        callback(name === "getNetworkType" ? { err_msg: "network_type:wifi" } : { err_msg: `${name}:ok` });
      },
      on() {},
    };
    document.addEventListener("DOMContentLoaded", () => document.dispatchEvent(new Event("WeixinJSBridgeReady")));
  });
}
