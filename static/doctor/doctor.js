// Doctor page: sends the pasted values to this server and shows the most likely cause.
//
// A link may carry the values in its fragment, which no server sees:
//   doctor#url=…&landing=…&signature=…&nonceStr=…&timestamp=…&appId=…&account=…&errMsg=…&agent=1&paste=…
// each value through encodeURIComponent. Tickets, tokens and secrets are neither read from the fragment nor
// written to it.

import { startCopy } from "./copy.js";
import { SAMPLES, coloured, firstSample } from "./doctor-code.js";
import { showStrings } from "./doctor-show.js";
import { fill } from "./fill.js";
import { both, capital, chinese, t } from "./language.js";

const at = (id) => document.getElementById(id);
const FIELDS = ["url", "nonceStr", "timestamp", "signature", "errMsg", "landing", "host"];
/** Fields that may receive any text. */
const TEXTS = ["paste", "errMsg"];
const RARE = ["nonceStr", "timestamp", "signature", "errMsg", "landing", "host", "previous", "accessToken"];
/** Fields of one backend answer. */
const ANSWER = ["paste", "nonceStr", "timestamp", "signature"];
/** Values that a link may carry but no field shows. They belong to the answer that the link carries. */
const carried = { appId: "", account: "" };
let asked = 0;
let chosenSample = 0;

/** Returns the request to the server. */
function question() {
  const value = (id) => at(id).value.trim();
  const tickets = { current: value("ticket"), agent: value("agentTicket"), previous: value("previous"), access_token: value("accessToken") };
  return {
    paste: at("paste").value,
    url: value("url"),
    nonceStr: at("nonceStr").value,
    timestamp: at("timestamp").value,
    signature: at("signature").value,
    errMsg: value("errMsg"),
    landing: value("landing"),
    hosts: value("host") ? [value("host")] : [],
    agent: at("agent").checked,
    tickets,
    ...(carried.appId && { appId: carried.appId }),
    ...(carried.account && { account: carried.account }),
  };
}

async function ask({ andGoThere = false } = {}) {
  const mine = ++asked;
  const body = JSON.stringify(question());
  at("ask").disabled = true;
  at("result").setAttribute("aria-busy", "true");
  const answer = await send(body);
  // A newer question was sent meanwhile: ignore this answer.
  if (mine !== asked) return;
  at("ask").disabled = false;
  at("result").removeAttribute("aria-busy");
  if (answer.trouble) showTrouble(answer.trouble);
  else show(answer);
  if (andGoThere) {
    // Pasting alone does not move the field under the reader's hands.
    at("halves").classList.add("answered");
    at("result").focus({ preventScroll: true });
    const narrow = window.matchMedia("(max-width: 1023px)").matches;
    at("result").scrollIntoView({ block: narrow ? "start" : "nearest" });
  }
}

async function send(body) {
  try {
    const response = await fetch("doctor/diagnose", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    const answer = await response.json();
    if (response.ok) return answer;
    const code = answer.code || `HTTP ${response.status}`;
    const hint = answer.hint || {};
    return {
      trouble: {
        title: t(answer.title || code, `服务器没有给出诊断（${code}）`),
        text: t(hint.en || answer.detail || "Try again later.", hint.zh || "请稍后再试。"),
      },
    };
  } catch (_) {
    return {
      trouble: {
        title: t("The server does not answer", "服务器没有响应"),
        text: t("Check that it runs, then try again.", "请确认服务正在运行，然后重试。"),
      },
    };
  }
}

function showTrouble({ title, text }) {
  reset();
  at("result").dataset.tone = "trouble";
  showConfidence("bad", t("No answer", "没有结果"));
  at("result-title").textContent = title;
  at("fix-part").hidden = false;
  at("fix").textContent = text;
}

/** Resets the panel. */
function reset() {
  for (const id of ["confidence", "code-line", "right", "waiting", "fix-part", "evidence", "same", "checklist", "code-part", "others", "basis"]) {
    at(id).hidden = true;
  }
}

function show(answer) {
  const [first, ...others] = answer.findings;
  reset();
  showRead(answer);
  const right = first.code === "signature_is_right";
  at("result").dataset.tone = right ? "right" : UNKNOWN.includes(first.code) ? "unknown" : first.confidence;
  at("result").dataset.code = first.code;
  at("result-title").textContent = sentence(both(first.cause));
  at("code").textContent = first.code;
  at("code-line").hidden = false;
  if (right) showConfidence("ok", t("Recomputed", "重算结果"));
  else if (UNKNOWN.includes(first.code)) showConfidence("none", t("No cause yet", "尚无结论"));
  else showConfidence(...SURE[first.confidence]());
  at("fix-part").hidden = right;
  at("fix").textContent = both(first.fix);
  showEvidence(first);
  const isRight = answer.findings.some((finding) => finding.code === "signature_is_right");
  // The first finding is another cause, but the signature is right: say so.
  at("right").hidden = right || !isRight;
  if (right) showChecks(answer);
  if (first.confidence === "proven" && !right && first.code !== "signature_malformed") showSamples(first.fix.en);
  showOthers(others.filter((finding) => finding.code !== "signature_is_right"), first);
  showBasis(answer);
}

/** `mark`: the shape and colour of the badge. */
function showConfidence(mark, words) {
  const badge = at("confidence");
  badge.querySelector("use").setAttribute("href", `#m-${mark}`);
  badge.querySelector("svg").setAttribute("class", `mark is-${mark}`);
  badge.querySelector("span").textContent = words;
  badge.className = `badge say-${mark}`;
  badge.hidden = false;
}

const SURE = {
  proven: () => ["ok", t("Proven by recomputation", "已重算确认")],
  likely: () => ["warn", t("Very likely", "很可能")],
  possible: () => ["none", t("Possibly", "可能")],
};
const UNKNOWN = ["no_known_mistake_fits", "string_is_right", "ticket_kind_unknown", "ticket_needed", "agent_ticket_needed", "values_needed", "address_incomplete", "nothing_given"];

/** Adds the capital letter, except to a name, and the full stop that the server's causes lack. */
function sentence(text) {
  if (chinese) return text;
  return capital(text) + (/[.!?…)]$/.test(text) ? "" : ".");
}

function showRead({ read, findings }) {
  const named = read.kinds.map((kind) => KINDS[kind]()).join(t(", ", "、"));
  at("read").hidden = !at("paste").value.trim();
  at("read").dataset.known = String(read.kinds.length > 0);
  at("read").textContent = named
    ? t(`Recognised: ${named}.`, `已识别：${named}。`)
    : t("Nothing in the text was recognised.", "没有识别出任何内容。");
  if (read.kinds.includes("source")) {
    at("read").textContent = t(
      "This is source code with variables. Paste their values: console.log(JSON.stringify(config)).",
      "这是只有变量的代码。请贴出它们的值：console.log(JSON.stringify(config))。",
    );
  }
  // Of an answer with both configs, that of wx.agentConfig may be the one without a ticket.
  const lacksAgentTicket = findings.some(({ code }) => code === "agent_ticket_needed");
  showAgentTicket(read.agent || lacksAgentTicket);
  if (read.agent && !at("agent").checked) at("read").textContent += t(" It is about wx.agentConfig.", "针对 wx.agentConfig。");
  // Shows the values found in the text as placeholders, so that the user can correct them.
  for (const id of ["url", "nonceStr", "timestamp", "signature", "errMsg"]) if (!at(id).value) at(id).placeholder = read[id] || "";
}

/** Shows the field of the app's ticket if the signature is for wx.agentConfig, or the field has a value. */
function showAgentTicket(isAgent) {
  at("agent-part").hidden = !(isAgent || at("agent").checked || at("agentTicket").value);
}

const KINDS = {
  json: () => t("backend JSON", "后端 JSON"),
  values: () => t("the values of wx.config", "wx.config 的各项值"),
  signed_string: () => t("the signed string", "待签名字符串"),
  error: () => t("an error message", "报错"),
  url: () => t("an address", "地址"),
  source: () => t("source code", "源代码"),
  ticket: () => t("a ticket", "ticket"),
};

function showEvidence({ evidence, signature, expected, code }) {
  if (!evidence && !expected) return;
  const both = evidence && expected && evidence !== expected;
  at("evidence").hidden = false;
  at("evidence-title").textContent = both
    ? t("The two strings", "两个待签名字符串")
    : evidence
      ? t("Signed string", "实际签名的字符串")
      : t("Expected string", "应当签名的字符串");
  showStrings(at("diff"), evidence, expected);
  at("diff-key").hidden = !both;
  fill(at("signed-as"));
  if (signature) {
    const start = Object.assign(document.createElement("code"), { textContent: `${signature.slice(0, 8)}…` });
    at("signed-as").append(" → ", start);
  }
  at("same").hidden = !(evidence && expected && !both && code !== "signature_is_right");
}

/** Lists what else to check when the signature is right. */
function showChecks({ pageAllowed, read }) {
  let host = "";
  try {
    host = new URL(read.url).host;
  } catch (_) {
    host = t("the page's host", "页面域名");
  }
  const checks = [
    [
      t(`${host} is bound as JS接口安全域名 (WeCom: trusted domain) of this appId, without scheme and port.`, `${host} 已绑定为该 appId 的「JS接口安全域名」（企业微信：可信域名），不带协议和端口。`),
      pageAllowed === false && t("This server does not sign pages of that host for this account.", "本服务器的该账号不为这个域名的页面签名。"),
    ],
    [t("wx.config gets exactly these values, and the ticket belongs to appId.", "传给 wx.config 的就是这些值，appId 与 ticket 属于同一账号。")],
    [t("The address is the one that the client checks: on iOS that of the first page load, elsewhere the current one. Sharing adds parameters to it.", "地址与客户端校验的一致：iOS 校验首次加载的地址，其他平台校验当前地址；分享后地址会多出参数。")],
    [t("The answer is not from a cache: a signature is valid as long as its ticket, two hours at most.", "返回内容没有被缓存：签名随 ticket 失效，最长两小时。")],
    [t("The client's message with debug: true. Other causes than the signature: permissions, jsApiList, an old client.", "用 debug: true 查看客户端的原话：不是所有失败都与签名有关，也可能是权限、jsApiList 或客户端版本。")],
  ];
  fill(
    at("checks"),
    ...checks.map(([text, warning]) => {
      const item = document.createElement("li");
      const line = Object.assign(document.createElement("span"), { textContent: text });
      if (warning) line.append(" ", Object.assign(document.createElement("strong"), { textContent: warning }));
      item.append(line);
      return item;
    }),
  );
  at("checklist").hidden = false;
}

function showSamples(fix) {
  chosenSample = firstSample(fix, chosenSample);
  at(`sample-${chosenSample}`).checked = true;
  at("code-part").hidden = false;
}

/** Builds the tabs: radio buttons, so that the style sheet shows the chosen sample. */
function makeSamples() {
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const copy = at("code-part").querySelector(".copy");
  SAMPLES.forEach(({ name, code }, index) => {
    const id = `sample-${index}`;
    const tab = make("input", { type: "radio", name: "sample", id });
    tab.addEventListener("change", () => (chosenSample = index));
    copy.before(tab, make("label", { htmlFor: id, textContent: name }));
    const shown = make("pre", { tabIndex: 0 });
    shown.setAttribute("role", "group");
    shown.setAttribute("aria-label", name);
    shown.append(make("code"));
    shown.firstChild.append(...coloured(code));
    at("code-part").append(shown);
  });
}

/** Proven findings that occur together are all causes; other findings are listed after them. */
function showOthers(others, first) {
  const together = others.filter((finding) => finding.confidence === "proven" && first.confidence === "proven");
  at("others").hidden = !others.length;
  at("others").querySelector("h3").textContent = together.length ? t("At the same time", "同时还有") : t("Also", "另外");
  fill(
    at("other-list"),
    ...others.map((finding) => {
      const item = document.createElement("li");
      const cause = document.createElement("strong");
      cause.textContent = sentence(both(finding.cause));
      item.append(cause, " ", both(finding.fix));
      return item;
    }),
  );
}

function showBasis({ ticket, appId, findings }) {
  const computed = findings.some((finding) => finding.evidence || finding.expected);
  const basis = {
    given: () => t("Recomputed with your ticket.", "使用你提供的 ticket 重算。"),
    account: () => t(`Recomputed with this server's current ticket of ${appId} (not shown).`, `使用本服务器上 ${appId} 的有效 ticket 重算（不会显示）。`),
    unavailable: () => t(`This server has no ticket of ${appId} at the moment, so the signature was not recomputed.`, `本服务器暂时没有 ${appId} 的 ticket，无法重算。`),
    none: () => "",
  }[ticket]();
  at("basis").textContent = computed || ticket === "unavailable" ? basis : "";
  at("basis").hidden = !at("basis").textContent;
}

/** Fills the form from the fragment. Returns whether there is something to ask. */
function fillFromFragment() {
  const given = new URLSearchParams(location.hash.slice(1).replace(/\+/g, "%2B"));
  const known = [...FIELDS, "paste", "appId", "account", "agent"].some((name) => given.has(name));
  if (!known) return false;
  at("form").reset();
  for (const id of [...FIELDS, "paste"]) at(id).value = given.get(id) || "";
  for (const id of TEXTS) if (holdsSecret(at(id).value)) at(id).value = "";
  at("agent").checked = given.get("agent") === "1";
  carried.appId = given.get("appId") || "";
  carried.account = given.get("account") || "";
  at("more").open = RARE.some((id) => at(id).value && id !== "errMsg");
  return Boolean(at("signature").value || at("errMsg").value || at("paste").value);
}

/** Returns whether the text may hold a ticket, a token, a secret or an API key: it names one, or a value looks like one. */
function holdsSecret(text) {
  // A nonce or a signature may be as long as a secret.
  const rest = text.replace(/(nonce_?str|nonce|signature|sign)\b\W{0,8}[0-9a-f]{32}\b/gi, "");
  return /(ticket|token|secret|密钥)(["'\]\s\\]|%2[02])*([=:：>]|%3[ad])|(secret|密钥)[^\n]{0,5}?[\w-]{16}|bearer|wxk_|\b[0-9a-f]{32}\b|[\w-]{80}/i.test(rest);
}

/** Returns the fragment that restores the form, without tickets, tokens and secrets. */
function asFragment() {
  const values = new Map([...FIELDS, "paste"].map((id) => [id, at(id).value]));
  for (const id of TEXTS) if (holdsSecret(values.get(id))) values.delete(id);
  if (at("agent").checked) values.set("agent", "1");
  for (const [name, value] of Object.entries(carried)) values.set(name, value);
  const parts = [...values].filter(([, value]) => value).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return parts.length ? `#${parts.join("&")}` : "";
}

function clear() {
  at("form").reset();
  at("halves").classList.remove("answered");
  press("");
  Object.assign(carried, { appId: "", account: "" });
  for (const id of ["url", "nonceStr", "timestamp", "signature", "errMsg"]) at(id).placeholder = "";
  at("read").hidden = true;
  showAgentTicket(false);
  asked += 1;
  at("ask").disabled = false;
  reset();
  at("waiting").hidden = false;
  at("result").dataset.tone = "idle";
  delete at("result").dataset.code;
  at("result-title").textContent = IDLE;
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  at("paste").focus();
}

// Ticket and values of WeChat's documentation; there the address lacks the / that browsers write.
const EXAMPLE_TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
const EXAMPLES = {
  json: {
    paste: `{"code":0,"data":{"appId":"wx8888888888888888","timestamp":"1414587457","nonceStr":"Wm3WZYTPz0wzccnW","signature":"f7a6c40a6f831a0f9bbb7afe85f3e3e26242f6ba"}}`,
    url: "https://www.example.com/shop/list?name=%E5%BC%A0%E4%B8%89&from=singlemessage#/hot",
    ticket: EXAMPLE_TICKET,
  },
  code: {
    paste: `wx.config({\n  debug: true,\n  appId: 'wx8888888888888888',\n  timestamp: 1414587457,\n  nonceStr: 'Wm3WZYTPz0wzccnW',\n  signature: 'f50191877b62b116ef830363a3a613ed652a2d5d',\n  jsApiList: ['chooseImage'],\n});`,
    url: "http://mp.weixin.qq.com/?params=value",
    ticket: EXAMPLE_TICKET,
  },
  error: { paste: "config:fail,Error: 系统错误，错误码：63002,invalid url domain [20191204 15:50:27][]" },
  refused: { paste: "config:fail,Error: 系统错误，错误码：63002,invalid signature [20191204 15:50:27][]" },
};

/** Marks the example that fills the form; "" for none. */
function press(name) {
  for (const chip of document.querySelectorAll("[data-example]")) {
    chip.setAttribute("aria-pressed", String(chip.dataset.example === name));
  }
}

function fillExample(name) {
  clear();
  press(name);
  for (const [id, value] of Object.entries(EXAMPLES[name])) at(id).value = value;
  ask({ andGoThere: true });
}

const IDLE = at("result-title").textContent;
makeSamples();
startCopy();
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask({ andGoThere: true });
});
// Pasting asks at once, without a button.
at("paste").addEventListener("paste", () => setTimeout(ask));
at("form").addEventListener("input", ({ target }) => {
  press("");
  if (ANSWER.includes(target.id)) Object.assign(carried, { appId: "", account: "" });
});
at("agent").addEventListener("change", () => showAgentTicket(false));
at("clear").addEventListener("click", clear);
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => fillExample(button.dataset.example));
}
for (const link of document.querySelectorAll("[data-set]")) {
  link.addEventListener("click", () => (link.href = `?${link.dataset.set}${asFragment()}`));
}
window.addEventListener("hashchange", () => fillFromFragment() && ask({ andGoThere: true }));
if (fillFromFragment()) ask({ andGoThere: true });
