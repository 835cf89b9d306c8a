// Banner: shows the result of the config, the signed URL and the client. Display only.

import { account, client, landing, pageUrl, sandbox } from "./demo-client.js";
import { markDifference } from "./url-difference.js";
import { t } from "./language.js";

const $ = (id) => document.getElementById(id);

const began = {}; // step -> start time

/** Marks a step as running. */
export function beginStep(name) {
  began[name] = began[name] || performance.now();
  document.querySelector(`[data-step="${name}"]`).dataset.done = "now";
}

/** Marks a step as done or failed and shows its duration. */
export function endStep(name, ok) {
  const row = document.querySelector(`[data-step="${name}"]`);
  row.dataset.done = ok ? "ok" : "fail";
  row.querySelector("em").textContent = ok && began[name] ? `${Math.round(performance.now() - began[name])} ms` : "";
}

function setState(state, title, text, why) {
  $("state").dataset.state = state;
  $("state-title").textContent = title;
  $("state-text").textContent = text;
  $("why").textContent = why;
}

export function showOk() {
  $("advice").hidden = true;
  setState(
    "ok",
    "config:ok",
    client.wecom
      ? t("WeCom accepted this server's signature.", "企业微信认可了本服务器的签名。")
      : t("WeChat accepted this server's signature.", "微信认可了本服务器的签名。"),
    t("The signature is accepted: all interfaces can be called.", "签名已获认可，可以逐个试用。"),
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
    t("Locked until WeChat accepts a signature.", "暂不可用：微信还没有认可签名。"),
  );
  $("says").textContent = words.says;
  $("says").parentElement.hidden = !words.says;
  $("cause").textContent = words.cause;
  $("checked").textContent = words.checked || "";
  $("checked").hidden = !words.checked;
  $("fixes").replaceChildren(...words.fixes.map((fix) => Object.assign(document.createElement("li"), { textContent: fix })));
  $("advice").hidden = false;
  compareUrls();
}

export function showOutside() {
  setState(
    "outside",
    t("Not in WeChat", "当前不在微信中"),
    t("jweixin answers only in WeChat.", "jweixin 只在微信内才会回应。"),
    t("Locked: open this page in WeChat.", "暂不可用：请在微信中打开本页。"),
  );
  $("phone").open = true;
  $("steps").hidden = true;
  for (const fact of document.querySelectorAll("[data-after-config]")) fact.hidden = true;
}

// --- facts ---

export function showFacts() {
  $("client").textContent = client.label;
  $("account").textContent = account || t("the server's default", "服务器默认");
  $("current-url").textContent = location.href;
  $("again").addEventListener("click", () => location.reload());
  for (const event of ["hashchange", "popstate", "focus"]) window.addEventListener(event, compareUrls);
  // pushState and replaceState fire no other event; without this API the next interface call compares.
  if (window.navigation) window.navigation.addEventListener("currententrychange", compareUrls);
  for (const link of document.querySelectorAll("[data-set]")) keepQuery(link);
  $("phone").addEventListener("toggle", drawQr);
  if ($("phone").open) drawQr();
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
    $("sdk").textContent = `jweixin 1.6.0 · ${host}`;
  } else if (host === "") {
    $("sdk").textContent = t("trying the second host…", "正在尝试备用域名…");
  } else {
    $("sdk").textContent = t("simulated by the sandbox", "由沙箱模拟");
    $("sandbox-note").textContent = t(
      "jweixin could not be loaded, so the sandbox simulates it as well. The signature is really checked.",
      "无法加载 jweixin，由沙箱一并模拟；签名仍是真实校验的。",
    );
  }
}

export function showSupport(known, of) {
  $("support").textContent = t(`${known} of ${of} supported`, `支持 ${known} / ${of} 个`);
}

/** Compares the signed URL with the current one. The fragment is never signed. */
export function compareUrls() {
  const signed = $("signed-url").dataset.url;
  const [current, fragment] = [pageUrl(), location.hash];
  if (!signed) {
    $("current-url").textContent = location.href;
    return;
  }
  const same = signed === current;
  const byLanding = !same && client.checksLanding && signed === landing;
  markDifference($("signed-url"), signed, current);
  markDifference($("current-url"), current, signed);
  if (fragment)
    $("current-url").append(Object.assign(document.createElement("span"), { className: "fragment", textContent: fragment }));
  const note = $("same-url");
  note.hidden = false;
  note.dataset.same = same || byLanding;
  if (same) note.textContent = t("✓ identical up to the #", "✓ # 之前完全一致");
  else if (byLanding)
    note.textContent = t(
      "✓ iOS checks the address of the first load, which was signed",
      "✓ iOS 校验的是最初载入的地址，签名的正是它",
    );
  else note.textContent = t("differs from the signed address: WeChat would refuse it", "与签名的地址不同：微信会拒绝");
}

function drawQr() {
  const qr = $("qr");
  if (!$("phone").open || qr.getAttribute("src")) return;
  const note = $("outside-note");
  qr.onerror = () => {
    qr.hidden = true;
    note.textContent = t(
      "This address is not on a JS safe domain of the account: there is no QR code, and it cannot be signed.",
      "当前地址不在公众号的 JS 接口安全域名内，因此不生成二维码，也无法签名。",
    );
  };
  if (/^(localhost|127\.|\[::1\])/.test(location.host)) {
    note.textContent = t("Only this computer can open this address, a phone cannot.", "该地址仅限本机访问，手机无法打开。");
  }
  qr.src = `qr.svg?url=${encodeURIComponent(location.href)}`;
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
  const note = $("sandbox-note");
  if (!note || !sandbox) return;
  const played = window.sandboxClient && window.sandboxClient.client;
  if (!played) {
    $("sandbox-nav").hidden = true;
    note.textContent = client.wechat
      ? t(
          "This is a real WeChat, but the sandbox's account is fictitious: WeChat will refuse it. Start the server with your own account.",
          "当前是真实的微信，而沙箱账号是虚构的，微信会拒绝其签名。请用自己的账号启动服务。",
        )
      : t("The script that simulates the client did not load.", "模拟客户端的脚本没有加载。");
    return;
  }
  $("client").textContent = `${client.label} (${t("simulated", "模拟")})`;
  for (const link of document.querySelectorAll('[data-set^="client="]')) {
    if (link.dataset.set !== `client=${played}`) continue;
    link.setAttribute("aria-current", "true");
    link.parentElement.scrollLeft = link.offsetLeft - link.parentElement.offsetLeft - 80; // visible on a phone
  }
}
