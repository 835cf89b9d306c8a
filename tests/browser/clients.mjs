// WeChat's clients as seen by a page: their user agent, the address that they verify a signature against, and the
// texts of their refusals. Only the bridge is simulated; jweixin, @wecom/jssdk, the service and the browser are real.

import { createHash } from "node:crypto";
import { ANDROID_WECHAT, IOS_WECHAT } from "./harness.mjs";

const WECOM = "wxwork/4.1.30 MicroMessenger/7.0.1";
const WINDOWS = "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Safari/537.36";

export const DEVTOOLS = IOS_WECHAT.replace(/MicroMessenger\S+/, "MicroMessenger/8.0.5 wechatdevtools/1.06.2409140");
export const WECOM_ANDROID = ANDROID_WECHAT.replace("MicroMessenger/8.0.50.2701", WECOM);
export const WECOM_IOS = IOS_WECHAT.replace("MicroMessenger/8.0.50(0x18003231)", WECOM);
const WECOM_WINDOWS = `${WINDOWS} ${WECOM} Appid/1000 appScheme/wxwork`;
const WECHAT_WINDOWS = `${WINDOWS} MicroMessenger/7.0.20.1781(0x6700143B) NetType/WIFI WindowsWechat(0x63090a13)`;
const WECHAT_MAC =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) MicroMessenger/6.8.0(0x16080000) NetType/WIFI MacWechat/3.8.7";

const WECHATS_WORDS = { signature: "fail_invalid signature", domain: "fail_invalid url domain" };
const WECOMS_WORDS = { signature: "fail,invalid signature", domain: "fail,invalid url domain" };
const DEVTOOLS_WORDS = {
  signature: "fail,Error: 系统错误，错误码：63002,invalid signature [2026-11-04 15:50:27][]",
  domain: "fail,Error: invalid url domain",
};

/**
 * `checks`: the address that a client verifies.
 * `sandbox`: the service's own simulated client instead of a test bridge.
 * `twin`: differs from the one before it, or from Android WeChat, in nothing but its name.
 */
export const CLIENTS = [
  { name: "iOS WeChat", userAgent: IOS_WECHAT, platform: "iPhone", checks: "landing", refuses: WECHATS_WORDS },
  { name: "Android WeChat", userAgent: ANDROID_WECHAT, platform: "Linux armv81", checks: "current", refuses: WECHATS_WORDS },
  { name: "WeChat on Windows", userAgent: WECHAT_WINDOWS, platform: "Win32", checks: "current", refuses: WECHATS_WORDS, desktop: true },
  { name: "WeChat on a Mac", userAgent: WECHAT_MAC, platform: "MacIntel", checks: "current", refuses: WECHATS_WORDS, desktop: true, twin: true },
  { name: "the DevTools", userAgent: DEVTOOLS, platform: "MacIntel", checks: "current", refuses: DEVTOOLS_WORDS },
  { name: "WeCom on iOS", userAgent: WECOM_IOS, platform: "iPhone", checks: "current", refuses: WECOMS_WORDS, wecom: true },
  { name: "WeCom on Android", userAgent: WECOM_ANDROID, platform: "Linux armv81", checks: "current", refuses: WECOMS_WORDS, wecom: true, twin: true },
  { name: "WeCom on Windows", userAgent: WECOM_WINDOWS, platform: "Win32", checks: "current", refuses: WECOMS_WORDS, wecom: true, twin: true },
  { name: "a browser in which the sandbox plays Android", sandbox: "android", checks: "current", twin: true },
  { name: "a browser in which the sandbox plays iOS", sandbox: "ios", checks: "landing" },
  { name: "a desktop browser", outside: true },
];

export const clientNamed = (name) => CLIENTS.find((client) => client.name === name);

/** Adds the client to the page. Its verifications are in `page.verified`: the address, and whether the signature was valid. */
export async function become(page, service, client, { late = false, refuseDomain = false } = {}) {
  if (client.sandbox) return listenToTheSandbox(page, client);
  if (client.outside) {
    page.verified = [];
    await page.context().route(/\/static\/(phone|wechat-client[\w-]*)\.js$/, (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
    return;
  }
  const { checks, platform, refuses } = client;
  const replies = refuseDomain ? { preVerifyJSAPI: refuses.domain } : {};
  await installClient(page, service, { checks, platform, replies, late, refusal: refuses.signature });
}

/**
 * A client that computes the signature itself. `checks`: the address it verifies; `replies`: its answers to bridge calls,
 * instead of ok; `refusal`: its text for a wrong signature; `late`: it appears on the page's call of `bridgeComes()`; `frozen`:
 * the bridge object is frozen (`"silently"`: an assignment is ignored without an error); `held`: it answers a config on the page's call of `clientAnswers()`.
 */
export async function installClient(page, service, options = {}) {
  const { checks = "current", replies = {}, late = false, frozen = false, held = false, platform } = options;
  const refusal = options.refusal || WECHATS_WORDS.signature;
  page.verified = [];
  await page.exposeFunction("testVerify", async (asked) => {
    const state = await (await fetch(`${service.sandbox}/sandbox/state`)).json();
    const app = state.apps.find((one) => one.app_id === asked.appId);
    const url = asked[checks].split("#")[0];
    const signed = `jsapi_ticket=${app.tickets[asked.ticket].value}&noncestr=${asked.nonce}&timestamp=${asked.timestamp}&url=${url}`;
    const good = createHash("sha1").update(signed).digest("hex") === asked.signature;
    page.verified.push({ url, good });
    return good ? "ok" : refusal;
  });
  await page.addInitScript(playBridge, { replies, late, frozen, held, platform });
}

/** In the page, before its own scripts. */
function playBridge({ replies, late, frozen, held, platform }) {
  const landing = location.href;
  if (platform) Object.defineProperty(navigator, "platform", { get: () => platform });
  window.bridgeCalls = [];
  window.listened = [];
  const hearers = {};
  const gate = held ? () => new Promise((open) => (window.clientAnswers = open)) : async () => {};
  const verify = (asked) => window.testVerify({ ...asked, current: location.href, landing });
  const bridge = {
    async invoke(name, params, callback) {
      window.bridgeCalls.push([name, JSON.parse(JSON.stringify(params || {}))]);
      if (name in replies) return replies[name] === null ? undefined : callback({ err_msg: `${name}:${replies[name]}` });
      if (name === "getNetworkType") return callback({ err_msg: "network_type:wifi" });
      if (name === "preVerifyJSAPI") {
        await gate();
        const { verifyAppId: appId, verifyNonceStr: nonce, verifyTimestamp: timestamp, verifySignature: signature } = params;
        const says = await verify({ appId, nonce, timestamp, signature, ticket: "jsapi" });
        return callback({ err_msg: `${name}:${says}` });
      }
      if (name === "agentConfig") {
        const { corpid: appId, nonceStr: nonce, timestamp, signature } = params;
        return callback({ err_msg: `${name}:${await verify({ appId, nonce, timestamp, signature, ticket: "agent_config" })}` });
      }
      callback({ err_msg: `${name}:ok` });
    },
    on: (event, hear) => {
      window.listened.push(event);
      hearers[event] = hear;
    },
  };
  const { invoke } = bridge;
  window.bridgeIsItself = () => bridge.invoke === invoke;
  // The user taps "share" in the client's own menu.
  window.userShares = (event) => hearers[event] && hearers[event]({});
  if (frozen === "silently") Object.defineProperty(bridge, "invoke", { get: () => invoke, set() {} });
  else if (frozen) Object.freeze(bridge);
  window.bridgeComes = () => {
    window.WeixinJSBridge = bridge;
    document.dispatchEvent(new Event("WeixinJSBridgeReady"));
  };
  if (!late) window.WeixinJSBridge = bridge;
}

/** The simulated client asks the sandbox; the verdict is read from the network. */
function listenToTheSandbox(page, client) {
  page.verified = [];
  page.on("response", async (response) => {
    if (!response.url().endsWith("/sandbox/pre-verify")) return;
    const asked = response.request().postDataJSON();
    const { err_msg: says } = await response.json();
    const address = client.checks === "landing" ? asked.landingUrl : asked.url;
    page.verified.push({ url: address.split("#")[0], good: says === "preVerifyJSAPI:ok" });
  });
}

/** The calls of one interface that reached the bridge, each with its parameters. */
export const callsOf = (page, name) => page.evaluate((asked) => window.bridgeCalls.filter(([one]) => one === asked), name);

/** The card that a share would send now. */
export async function sharedCard(page, client) {
  if (client.wecom) {
    // WeCom asks for the card when the user shares.
    await page.evaluate(() => window.userShares("menu:share:appmessage"));
    const [, { title, link }] = (await callsOf(page, "sendAppMessage")).at(-1);
    return { title, link };
  }
  const [, { title, link }] = (await callsOf(page, "updateAppMessageShareData")).at(-1);
  return { title, link };
}
