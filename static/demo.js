// The demo page: get a signature, hand it to wx.config, say what came of it.
//
// The interfaces themselves are in cards.js, the words for what goes wrong in explain.js.

import { explainAnswer, explainProblem, t } from "./explain.js";
import { NEEDED, wakeCards } from "./cards.js";

// First thing, before anything could change the address: iOS checks the signature against the page as it was loaded.
const landing = landingUrl();

const SDK_HOSTS = ["https://res.wx.qq.com", "https://res2.wx.qq.com"];
const SDK_PATH = "/open/js/jweixin-1.6.0.js";
const SDK_PATIENCE = 5000; // ms per host
const ENDPOINT_PATIENCE = 15000; // ms; a cold server asks WeChat twice first
const CLIENT_PATIENCE = 10000; // ms; a client that has not answered by then mostly never will

const settings = document.body.dataset;
const sandbox = "sandbox" in settings;
const client = readClient(navigator.userAgent);
const $ = (id) => document.getElementById(id);

/** The address that is signed: location.href byte for byte, up to the first '#'. */
function pageUrl() {
  return location.href.split("#")[0];
}

/** The page as it was loaded, even if its address was replaced before this script ran: that is what iOS checks. */
function landingUrl() {
  const [entry] = performance.getEntriesByType("navigation");
  return entry && entry.name.startsWith(`${location.origin}/`) ? entry.name.split("#")[0] : pageUrl();
}

/** Who is the client? WeCom and devtools call themselves MicroMessenger as well, so they are asked first. */
function readClient(userAgent) {
  const found = (pattern) => (userAgent.match(pattern) || [])[1];
  const wechat = /micromessenger/i.test(userAgent);
  const ios = /iphone|ipad|ipod/i.test(userAgent);
  const desktop = /windowswechat|macwechat|wxwork.*(?:windows|macintosh)|windows nt|macintosh/i.test(userAgent);
  const version = found(/micromessenger\/([\w.]+)/i) || "";
  const system = /android/i.test(userAgent) ? "Android" : ios ? "iOS" : desktop ? t("desktop", "桌面版") : "";
  let name = t("not WeChat", "非微信");
  if (/wechatdevtools|wxdebugger/i.test(userAgent)) name = t("WeChat devtools", "微信开发者工具");
  else if (/wxwork\//i.test(userAgent)) name = `${t("WeCom", "企业微信")} ${found(/wxwork\/([\w.]+)/i)}`;
  else if (wechat) name = `${t("WeChat", "微信")} ${version}`;
  // The devtools have an iPhone's user agent but check the current address, as WeCom does on every system.
  const checksLanding = ios && !/wechatdevtools|wxwork\//i.test(userAgent);
  return { wechat, ios, checksLanding, version, label: [name, wechat && system].filter(Boolean).join(" · ") };
}

/** A failure that has been put into words. */
class Explained extends Error {
  constructor(words) {
    super(words.says);
    this.words = words;
  }
}

async function start() {
  showFacts();
  showSandbox();
  if (!client.wechat) return showOutside();
  try {
    const [answer] = await Promise.all([step("sign", askEndpoint), step("sdk", loadSdk)]);
    const shown = breakIfAsked(answer);
    await step("verify", () => configure(shown));
    showOk();
  } catch (error) {
    showError(error instanceof Explained ? error.words : explainProblem({ thrown: error }));
  }
}

/** Runs one step and marks it in the list with the time it took. */
async function step(name, work) {
  const row = document.querySelector(`[data-step="${name}"]`);
  const note = row.querySelector("em");
  const began = performance.now();
  row.dataset.done = "now";
  try {
    const result = await work();
    row.dataset.done = "ok";
    note.textContent = `${Math.round(performance.now() - began)} ms`;
    return result;
  } catch (error) {
    row.dataset.done = "fail";
    note.textContent = "";
    throw error;
  }
}

// --- 1. the signature ---

async function askEndpoint() {
  const url = client.checksLanding ? landing : pageUrl();
  let query = `?url=${encodeURIComponent(url)}`;
  if (settings.account) query += `&account=${encodeURIComponent(settings.account)}`;
  const answer = await fetchJson(settings.endpoint + query);
  $("answer").textContent = JSON.stringify(answer, null, 2);
  $("app-id").textContent = answer.appId;
  $("signed-url").textContent = answer.url || url;
  compareUrls();
  return answer;
}

async function fetchJson(address) {
  const impatience = new AbortController();
  const timer = setTimeout(() => impatience.abort(), ENDPOINT_PATIENCE);
  let response;
  let text;
  try {
    response = await fetch(address, { signal: impatience.signal, cache: "no-store", headers: { Accept: "application/json" } });
    text = await response.text();
  } catch (error) {
    throw new Explained(explainProblem({ unreachable: settings.endpoint, slow: error.name === "AbortError" }));
  } finally {
    clearTimeout(timer);
  }
  let body;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new Explained(explainProblem({ status: response.status, notJson: text }));
  }
  if (!response.ok) {
    $("answer").textContent = JSON.stringify(body, null, 2);
    throw new Explained(
      explainProblem({ status: response.status, problem: body, retryAfter: response.headers.get("Retry-After") }),
    );
  }
  const missing = ["appId", "timestamp", "nonceStr", "signature"].filter((field) => !body[field]);
  if (missing.length) throw new Explained(explainProblem({ status: response.status, missing }));
  return body;
}

/** In the sandbox one may look at a failure: the last digit of the signature is changed. */
function breakIfAsked(answer) {
  if (!sandbox || new URLSearchParams(location.search).get("break") !== "signature") return answer;
  const last = answer.signature.endsWith("0") ? "1" : "0";
  return Object.assign({}, answer, { signature: answer.signature.slice(0, -1) + last });
}

// --- 2. jweixin ---

async function loadSdk() {
  for (const host of SDK_HOSTS) {
    try {
      await loadScript(host + SDK_PATH, SDK_PATIENCE);
      $("sdk").textContent = `jweixin 1.6.0 · ${host.slice("https://".length)}`;
      return;
    } catch (error) {
      $("sdk").textContent = t("trying the second host…", "正在尝试备用域名…");
    }
  }
  if (!sandbox) throw new Explained(explainProblem({ noSdk: SDK_HOSTS }));
  await loadScript("static/wx-stand-in.js", SDK_PATIENCE);
  $("sdk").textContent = t("a stand-in, not jweixin", "替身脚本，并非 jweixin");
  $("sandbox-note").textContent = t(
    "The real jweixin cannot be reached from here, so a stand-in of this sandbox is used. The signature is really checked.",
    "此处无法访问真正的 jweixin，现由沙箱自带的替身脚本代替；签名仍是真实校验的。",
  );
  document.body.dataset.standIn = "";
}

function loadScript(address, patience) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const settle = (outcome, value) => {
      clearTimeout(timer);
      outcome(value);
    };
    const timer = setTimeout(() => settle(reject, new Error(`${address} did not come`)), patience);
    // A script that is no jweixin (a captive portal's page) loads without an error and brings no wx.
    script.onload = () => (window.wx && window.wx.config ? settle(resolve) : settle(reject, new Error("no wx in it")));
    script.onerror = () => settle(reject, new Error(`${address} failed`));
    script.src = address;
    document.head.append(script);
  });
}

// --- 3. wx.config ---

function configure(answer) {
  return new Promise((resolve, reject) => {
    const wx = window.wx;
    // On a failure jweixin runs the error callback and then every ready callback as well.
    let failed = false;
    let gaveUp = false;
    const timer = setTimeout(() => {
      gaveUp = true;
      reject(new Explained(explainProblem({ silent: client.label })));
    }, CLIENT_PATIENCE);
    // An answer that comes after all is better than none: it replaces what was said in between.
    const accept = () => (gaveUp ? showOk() : resolve());
    const refuse = (words) => (gaveUp ? showError(words) : reject(new Explained(words)));
    wx.error((res) => {
      failed = true;
      clearTimeout(timer);
      const urls = { signed: answer.url || landing, landing, current: pageUrl(), checksLanding: client.checksLanding };
      refuse(explainAnswer(res, { sandbox, urls }));
    });
    wx.ready(async () => {
      if (failed) return;
      const refusal = await unheardRefusal();
      clearTimeout(timer);
      if (refusal) refuse(explainAnswer({ errMsg: refusal }, { sandbox }));
      else accept();
    });
    // jweixin changes the list it is given, so it gets its own copy.
    wx.config(Object.assign({}, answer, { jsApiList: NEEDED.slice() }));
  });
}

/**
 * jweixin compares versions as text: to it "10.0" is older than "6.0.2", and then it never calls wx.error.
 * In such a client one harmless call tells whether the config was accepted.
 */
async function unheardRefusal() {
  if (!(client.version && client.version < "6.0.2")) return "";
  await null; // wx.invoke comes into being only when wx.config returns
  return new Promise((resolve) => {
    window.wx.invoke("getNetworkType", {}, (raw) => {
      const says = String(raw.err_msg || raw.errMsg);
      resolve(/network_type:|:ok$/.test(says) ? "" : says);
    });
  });
}

// --- what is seen ---

function setState(state, title, text) {
  $("state").dataset.state = state;
  $("state-title").textContent = title;
  $("state-text").textContent = text;
}

function showOk() {
  $("advice").hidden = true;
  document.querySelector('[data-step="verify"]').dataset.done = "ok";
  setState("ok", "config:ok", t("WeChat accepts this server's signature.", "微信认可这台服务器的签名。"));
  $("why").textContent = t("WeChat has accepted the signature: try them.", "签名已获认可，可以逐个试用。");
  wakeCards();
}

function showError(words) {
  setState("error", words.title, words.summary || "");
  $("says").textContent = words.says;
  $("says").parentElement.hidden = !words.says;
  $("cause").textContent = words.cause;
  $("checked").textContent = words.checked || "";
  $("checked").hidden = !words.checked;
  $("fixes").replaceChildren(...words.fixes.map((fix) => Object.assign(document.createElement("li"), { textContent: fix })));
  $("advice").hidden = false;
  $("why").textContent = t("Locked: WeChat has not accepted a signature yet.", "暂不可用：微信还没有认可签名。");
}

function showOutside() {
  setState(
    "outside",
    t("Not inside WeChat", "当前不在微信中"),
    t("jweixin never answers anywhere else.", "jweixin 只在微信内才会回应。"),
  );
  $("why").textContent = t("Locked: open this page inside WeChat.", "暂不可用：请在微信中打开本页。");
  const qr = $("qr");
  const note = $("outside-note");
  qr.onerror = () => {
    qr.hidden = true;
    note.textContent = t(
      "This address is not one of the account's JS safe domains, so no QR code is drawn and no signature would be given.",
      "当前地址不在公众号的 JS 接口安全域名内，因此不生成二维码，也无法签名。",
    );
  };
  if (/^(localhost|127\.|\[::1\])/.test(location.host)) {
    note.textContent = t("A phone cannot reach this address: it is this computer only.", "该地址仅限本机访问，手机无法打开。");
  }
  qr.src = `qr.svg?url=${encodeURIComponent(location.href)}`;
  $("outside").hidden = false;
  for (const idle of [$("steps"), $("facts")]) idle.hidden = true;
}

function showFacts() {
  $("client").textContent = client.label;
  $("current-url").textContent = location.href;
  $("again").addEventListener("click", () => location.reload());
  for (const event of ["hashchange", "popstate"]) window.addEventListener(event, compareUrls);
  for (const link of document.querySelectorAll("[data-set]")) keepQuery(link);
}

function compareUrls() {
  $("current-url").textContent = location.href;
  const same = $("signed-url").textContent === pageUrl();
  $("same-url").hidden = false;
  $("same-url").dataset.same = same;
  $("same-url").textContent = same
    ? t("✓ identical up to the #", "✓ # 之前完全一致")
    : t("differs from the signed one: WeChat would refuse it", "与签名的地址不同：微信会拒绝");
}

/** Links that change one setting keep the rest of the query as it is. */
function keepQuery(link) {
  const [name, value] = link.dataset.set.split("=");
  const kept = location.search
    .slice(1)
    .split("&")
    .filter((pair) => pair && pair.split("=")[0] !== name);
  const on = new URLSearchParams(location.search).get(name) === value;
  const toggles = name === "break";
  link.href = `?${kept.concat(on && toggles ? [] : [`${name}=${value}`]).join("&")}${location.hash}`;
  if (on && toggles) link.textContent = t("Mend the signature", "恢复签名");
}

function showSandbox() {
  const note = $("sandbox-note");
  if (!note) return;
  const played = window.sandboxClient && window.sandboxClient.client;
  if (!played) {
    $("sandbox-nav").hidden = true;
    note.textContent = client.wechat
      ? t(
          "This is a real WeChat, but the sandbox's account is made up: WeChat will refuse it. Start the server with your own account.",
          "当前是真实的微信，而沙箱账号是虚构的，微信会拒绝其签名。请用自己的账号启动服务。",
        )
      : t("The script that plays the client did not load.", "模拟客户端的脚本没有加载。");
    return;
  }
  $("client").textContent = `${client.label} (${t("simulated", "模拟")})`;
  for (const link of document.querySelectorAll('[data-set^="client="]')) {
    if (link.dataset.set === `client=${played}`) link.setAttribute("aria-current", "true");
  }
}

start();
