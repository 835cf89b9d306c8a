// Banner: shows the result of the config, the signed URL and the client. Display only.

import { account, client, landing, pageUrl, sandbox, scope } from "./demo-client.js";
import { fill } from "./fill.js";
import { markDifference } from "./url-difference.js";
import { t } from "./language.js";

const $ = (id) => document.getElementById(id);

const began = {}; // step -> start time

const MARKS = { now: ["m-none", "is-none"], ok: ["m-ok", "is-ok"], fail: ["m-bad", "is-bad"] };

/** Marks a step as running. */
export function beginStep(name) {
  began[name] = began[name] || performance.now();
  markStep(name, "now");
}

/** Marks a step as done or failed and shows its duration. */
export function endStep(name, ok) {
  const row = markStep(name, ok ? "ok" : "fail");
  const took = began[name] ? `${Math.round(performance.now() - began[name])} ms` : "";
  row.querySelector("time").textContent = ok ? took : t("failed", "失败");
}

function markStep(name, done) {
  const row = document.querySelector(`[data-step="${name}"]`);
  row.dataset.done = done;
  const [shape, tone] = MARKS[done];
  row.querySelector("use").setAttribute("href", `#${shape}`);
  row.querySelector("svg").setAttribute("class", `mark ${tone}`);
  row.querySelector("span").className = done === "fail" ? "say-bad" : "";
  return row;
}

// state: [class of the head, class of the disc, its icon, where the QR code is]
const LOOKS = {
  ok: ["tone-ok", "", "check", "qr-phone"],
  error: ["tone-bad", "disc-bad", "cross", "qr-beside"],
  outside: ["tone-warn", "disc-warn", "phone", "qr-main"],
};

function setState(state, title, text, why) {
  const [tone, disc, icon, qr] = LOOKS[state];
  $("state").dataset.state = state;
  $("verdict").className = `result-head ${tone}`;
  $("disc").className = `disc ${disc}`;
  $("disc").querySelector("use").setAttribute("href", `#i-${icon}`);
  $("state-title").textContent = title;
  $("state-title").classList.toggle("mono", state === "ok");
  $("state-text").textContent = text;
  $("state-text").hidden = !text;
  $("why").textContent = why;
  $("advice").hidden = state !== "error";
  $("says-line").hidden = state !== "error";
  $("outside").hidden = state !== "outside";
  $("panels").hidden = state === "outside";
  $("phone").hidden = state !== "ok";
  $("response").hidden = $("answer").textContent === "–";
  $("foot").hidden = $("phone").hidden && $("response").hidden;
  // A failure is mended first.
  $("next-step").hidden = state === "error";
  placeAddresses(state === "error" && Boolean($("signed-url").dataset.url));
  if (state !== "error") $("panels").className = "";
  $(qr).append($("qr-figure"));
  if (state !== "ok") drawQr();
}

/** A failure shows the addresses across the card, above cause and steps. */
function placeAddresses(across) {
  $("addresses").classList.toggle("card-pad", across);
  if (across) $("panels").prepend($("addresses"));
  else $("steps").after($("addresses"));
  $("panels").className = across ? "panels" : "panels panels-plain";
}

export function showOk() {
  setState(
    "ok",
    "config:ok",
    client.wecom
      ? t("WeCom accepted this server's signature.", "企业微信认可了本服务器的签名。")
      : t("WeChat accepted this server's signature.", "微信认可了本服务器的签名。"),
    "",
  );
}

/** `evidence`: details of the client's refusal for the doctor page, named as in that page's fragment. */
export function showError(words, evidence = {}) {
  const link = $("to-doctor");
  const pairs = Object.entries(evidence).filter(([, value]) => value);
  const fragment = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  link.href = link.getAttribute("href").split("#")[0] + (fragment && `#${fragment}`);
  setState(
    "error",
    words.title,
    words.summary || "",
    t("Available once WeChat accepts the signature", "微信认可签名之后即可使用"),
  );
  $("says").textContent = words.says;
  $("says-line").hidden = !words.says;
  $("cause").textContent = words.cause;
  $("checked").textContent = words.checked || "";
  $("checked").hidden = !words.checked;
  const fixes = words.fixes.map((fix) => {
    const item = document.createElement("li");
    item.append(Object.assign(document.createElement("span"), { textContent: fix }));
    return item;
  });
  fill($("fixes"), ...fixes);
  $("fixes").className = fixes.length > 1 ? "todo" : "";
  compareUrls();
}

export function showOutside() {
  setState(
    "outside",
    t("Open this page in WeChat", "请在微信中打开本页"),
    t("The JS-SDK works inside WeChat only.", "微信 JS-SDK 只能在微信内使用。"),
    t("Available inside WeChat", "在微信中打开后即可使用"),
  );
  $("next-text").textContent = t("Paste this into your page; it works inside WeChat.", "把下面的代码放进页面，在微信中打开即可使用。");
}

// --- facts ---

export function showFacts() {
  $("client").textContent = client.label;
  $("account").textContent = account || t("the server's default", "服务器默认");
  $("page-address").textContent = location.href;
  $("again").addEventListener("click", () => location.reload());
  for (const event of ["hashchange", "popstate", "focus"]) window.addEventListener(event, compareUrls);
  // pushState and replaceState fire no other event; without this API the next interface call compares.
  if (window.navigation) window.navigation.addEventListener("currententrychange", compareUrls);
  for (const link of document.querySelectorAll("[data-set]")) keepQuery(link);
  for (const origin of document.querySelectorAll("[data-origin]")) origin.textContent = location.origin;
  for (const here of document.querySelectorAll("[data-scope-here]")) here.textContent = scope;
  fillAccount();
  $("phone").addEventListener("toggle", () => $("phone").open && drawQr());
}

/** Puts the account of this page into the snippets. */
function fillAccount() {
  // Only a name that an account can have: the link to this page may contain any text.
  if (!/^[a-z0-9_-]+(\/\w+)?$/.test(account)) return;
  for (const place of document.querySelectorAll("[data-account]")) {
    place.textContent = place.dataset.account.replace("NAME", account);
  }
}

/** Shows the endpoint's answer, a signature or an error. */
export function showAnswer(answer) {
  $("answer").textContent = JSON.stringify(answer, null, 2);
}

export function showSigned(answer, url) {
  $("app-id").textContent = answer.appId;
  $("signed-url").textContent = url;
  $("signed-url").dataset.url = url;
  compareUrls();
}

/** `host`: where jweixin was loaded from; "" while the second host is tried, `null` if simulated. */
export function showSdk(host) {
  if (host) {
    $("sdk").textContent = `1.6.0 · ${host}`;
  } else if (host === "") {
    $("sdk").textContent = t("trying the second host…", "正在尝试备用域名…");
  } else {
    $("sdk").textContent = t("simulated by the sandbox", "由沙箱模拟");
    noteSandbox(
      t(
        "jweixin could not be loaded, so the sandbox simulates it as well. The signature is really checked.",
        "无法加载 jweixin，由沙箱一并模拟；签名仍是真实校验的。",
      ),
    );
  }
}

export function showSupport(known, of) {
  $("support").textContent = t(`${known} of ${of} supported by this client`, `当前客户端支持 ${known} / ${of} 个`);
}

/** Compares the signed URL with the current one. The fragment is never signed. */
export function compareUrls() {
  const signed = $("signed-url").dataset.url;
  $("addresses").hidden = !signed;
  if (!signed) return;
  const current = pageUrl();
  const byLanding = signed !== current && client.checksLanding && signed === landing;
  const same = signed === current || byLanding;
  $("addresses").dataset.same = same;
  $("addresses-title").textContent = same
    ? t("Signed address", "签名的地址")
    : t("Signed address and page address", "签名的地址与页面地址");
  markDifference($("signed-url"), signed, same ? signed : current);
  markDifference($("current-url"), current, same ? current : signed);
  const note = $("same-url");
  note.dataset.same = same;
  note.querySelector("use").setAttribute("href", same ? "#m-ok" : "#m-bad");
  note.querySelector("span").textContent = sameWords(same, byLanding);
}

function sameWords(same, byLanding) {
  if (byLanding)
    return t("iOS checks the address of the first load, which was signed", "iOS 校验的是首次加载的地址，签名的正是它");
  if (!same) return t("WeChat would refuse it: request a new signature", "微信会拒绝：请重新获取签名");
  return location.hash ? t("same as this page, up to #", "与当前页面一致（# 之前）") : t("same as this page", "与当前页面一致");
}

/** Draws the QR code once, and says what a phone can do with it. */
function drawQr() {
  const qr = $("qr");
  const beside = $("qr-beside").contains(qr);
  const note = $("outside-note");
  const local = /^(localhost|127\.|\[::1\])/.test(location.host);
  if (local)
    note.textContent = beside
      ? t("This computer only", "仅限本机访问")
      : t("Only this computer can open this address, a phone cannot.", "该地址仅限本机访问，手机无法打开。");
  else note.textContent = beside ? t("Try on a phone", "用手机试") : "";
  if (qr.getAttribute("src")) return;
  qr.onerror = async () => {
    qr.parentElement.hidden = true;
    $("outside").querySelector("ol").hidden = true;
    const problem = await problemOf(qr.src);
    const isForeign = problem.code === "page_not_allowed";
    $("page-address").parentElement.hidden = isForeign;
    note.textContent = isForeign
      ? t(
          "This address is not on a JS safe domain of the account, so WeChat would refuse it. Open this page under a safe domain.",
          "当前地址不在该账号的 JS接口安全域名（企业微信：可信域名）内，微信会拒绝。请通过安全域名打开本页。",
        )
      : t(`There is no QR code for this address. ${problem.hint.en}`, `无法生成该地址的二维码。${problem.hint.zh}`);
  };
  qr.src = `qr.svg?url=${encodeURIComponent(location.href)}`;
}

/** Returns the problem with which the server refuses the address; without one, a problem whose hint is to try again. */
async function problemOf(address) {
  try {
    const problem = await (await fetch(address)).json();
    if (problem.hint) return problem;
  } catch (error) {
    // No answer, or one of a proxy.
  }
  return { hint: { en: "Try again later, or copy the address below.", zh: "请稍后再试，或复制下方的地址。" } };
}

/** Makes a link change one setting and keep the rest of the query. */
function keepQuery(link) {
  const [name, value] = link.dataset.set.split("=");
  const kept = location.search
    .slice(1)
    .split("&")
    .filter((pair) => pair && pair.split("=")[0] !== name);
  const on = new URLSearchParams(location.search).get(name) === value;
  const toggles = name === "break";
  link.href = `?${kept.concat(on && toggles ? [] : [`${name}=${value}`]).join("&")}${location.hash}`;
  if (on && toggles) link.textContent = t("Restore signature", "恢复签名");
}

export function showSandbox() {
  if (!$("sandbox-note") || !sandbox) return;
  const played = window.sandboxClient && window.sandboxClient.client;
  if (!played) {
    $("sandbox-nav").hidden = $("sandbox-actions").hidden = true;
    noteSandbox(
      client.wechat
        ? t(
            "This is not the simulated client: a real WeChat refuses the sandbox's fictitious account. Start the server with your own account.",
            "当前不是模拟客户端：沙箱账号是虚构的，真实的微信会拒绝其签名。请用自己的账号启动服务。",
          )
        : t("The script that simulates the client did not load.", "模拟客户端的脚本没有加载。"),
    );
    return;
  }
  $("client").textContent = client.label + t(" (simulated)", "（模拟）");
  for (const link of document.querySelectorAll('[data-set^="client="]')) {
    if (link.dataset.set !== `client=${played}`) continue;
    link.setAttribute("aria-current", "true");
    link.parentElement.scrollLeft = link.offsetLeft - link.parentElement.offsetLeft - 40; // visible on a phone
  }
}

/** Shows a note that matters on a line of its own. */
function noteSandbox(words) {
  $("sandbox-note").textContent = words;
  $("sandbox-note").classList.add("sandbox-said");
  $("sandbox").classList.add("sandbox-noted");
}
