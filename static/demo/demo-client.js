// Identifies the client from the user agent, once at page start.

import { t } from "./language.js";

/** Returns the URL that is signed: location.href byte for byte, up to the first '#'. */
export function pageUrl() {
  return location.href.split("#")[0];
}

// Must run before anything can change the URL: iOS checks the signature against the URL the page was loaded
// with.
export const landing = landingUrl();

/** Returns the URL the page was loaded with, even if it was replaced before this script ran. */
function landingUrl() {
  const [entry] = performance.getEntriesByType("navigation");
  return entry && entry.name.startsWith(`${location.origin}/`) ? entry.name.split("#")[0] : pageUrl();
}

const settings = document.body.dataset;
/** The directory of the signing endpoints, absolute: a proxy may pass them on below a prefix. */
export const scope = new URL(settings.scope, location.href).href.replace(/\/$/, "");
export const sandbox = "sandbox" in settings;

/** Checks WeCom and the devtools first, as both also call themselves MicroMessenger. */
export function readClient(userAgent) {
  const found = (pattern) => (userAgent.match(pattern) || [])[1];
  const wechat = /micromessenger/i.test(userAgent);
  const devtools = /wechatdevtools|wxdebugger/i.test(userAgent);
  const wecom = /wxwork\//i.test(userAgent);
  const ios = /iphone|ipad|ipod/i.test(userAgent);
  const desktop = /windowswechat|macwechat|windows nt|macintosh/i.test(userAgent);
  const version = found(/micromessenger\/([\w.]+)/i) || "";
  const system = /android/i.test(userAgent) ? "Android" : ios ? "iOS" : desktop ? t("desktop", "电脑版") : "";
  const mini = window.__wxjs_environment === "miniprogram" || /miniprogram/i.test(userAgent);
  let name = t("not WeChat", "非微信");
  if (devtools) name = `${t("WeChat devtools", "微信开发者工具")} ${found(/wechatdevtools\/([\w.]+)/i) || ""}`.trim();
  else if (wecom) name = `${t("WeCom", "企业微信")} ${found(/wxwork\/([\w.]+)/i)}`;
  else if (wechat) name = `${t("WeChat", "微信")} ${version}`;
  const where = !wechat || devtools ? "" : mini ? t("in a mini program", "小程序内") : system;
  return {
    wechat,
    wecom,
    mini,
    ios,
    // The devtools use an iPhone's user agent but check the current URL, as WeCom does.
    checksLanding: ios && !devtools && !wecom,
    version,
    label: [name, where].filter(Boolean).join(" · "),
  };
}

export const client = readClient(navigator.userAgent);

/** Account that signs: from the page's query, else the simulated client's, else the server's default. */
export const account =
  new URLSearchParams(location.search).get("account") ||
  (window.sandboxClient && window.sandboxClient.account) ||
  "";
