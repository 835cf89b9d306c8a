// Keeps the status page up to date without reloading it.
//
// Every few seconds it asks status.json for the revision; if that has changed, it fetches the changed part of
// the page as HTML. In between it only updates the times. "Refresh now" keeps the API key in this tab's
// sessionStorage and sends it in a header, to this origin only.

import { startCopy } from "./copy.js";
import { fill } from "./fill.js";
import { t } from "./language.js";

const PERIOD = 4000; // ms between two polls
const PATIENCE = 10000; // ms until a poll counts as lost
const KEY = "wx-jssdk-key";
const LOCALE = t("en-GB", "zh-CN");

const $ = (id) => document.getElementById(id);

const live = $("live");
let shown; // the displayed revision
let ahead; // seconds the server's clock is ahead of this browser's
let answeredAt; // time of the server's last answer, by this browser's clock
let lostSince;
let uptimeBase;
let turn = 0;
let timer;

const browserNow = () => Date.now() / 1000;
const serverNow = () => browserNow() + ahead;

/** Formats a duration as `format.rs` does. */
function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d) return t(`${d} d`, `${d} 天`) + (h ? t(` ${h} h`, ` ${h} 小时`) : "");
  if (h) return t(`${h} h`, `${h} 小时`) + (m ? t(` ${m} min`, ` ${m} 分`) : "");
  if (m >= 10) return t(`${m} min`, `${m} 分钟`);
  if (m) return t(`${m} min ${s % 60} s`, `${m} 分 ${s % 60} 秒`);
  return t(`${s} s`, `${s} 秒`);
}

/** Formats the time until an event as `format.rs` does. */
function inTime(seconds) {
  return seconds < 1 ? t("now", "进行中") : t(`in ${span(seconds)}`, `${span(seconds)}后`);
}

/** Formats a time of the server's clock, by this browser's clock; with the date if it is not near. */
function clockTime(at, { second } = {}) {
  const when = new Date((at - ahead) * 1000);
  const time = when.toLocaleTimeString(LOCALE, { hour: "2-digit", minute: "2-digit", second, hour12: false });
  if (Math.abs(at - serverNow()) < 20 * 3600) return time;
  return `${when.toLocaleDateString(LOCALE, { month: "short", day: "numeric" })} ${time}`;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Updates the displayed times. */
function tick() {
  const now = serverNow();
  for (const one of document.querySelectorAll("[data-left]")) write(one, span(one.dataset.left - now));
  for (const one of document.querySelectorAll("[data-in]")) write(one, inTime(one.dataset.in - now));
  for (const one of document.querySelectorAll("[data-past]")) write(one, span(now - one.dataset.past));
  for (const one of live.querySelectorAll("[data-uptime]")) write(one, span(Number(one.dataset.uptime) + now - uptimeBase));
  showPulse();
}

/** Shows whether the page is up to date. */
function showPulse() {
  const [state, text] =
    lostSince !== undefined
      ? ["lost", t(`Offline · ${span(browserNow() - lostSince)} ago`, `离线 · ${span(browserNow() - lostSince)}前更新`)]
      : ["live", t(`Live · updated ${span(browserNow() - answeredAt)} ago`, `实时 · ${span(browserNow() - answeredAt)}前更新`)];
  $("pulse").dataset.pulse = state;
  write($("pulse-text"), text);
}

/** Reads the clock and the revision from the displayed page and converts its times. */
function adopt() {
  const { revision, now } = live.firstElementChild.dataset;
  shown = revision;
  ahead = Number(now) - browserNow();
  uptimeBase = Number(now);
  for (const one of document.querySelectorAll("time[data-at]")) {
    const at = Number(one.dataset.at);
    write(one, clockTime(at, "exact" in one.dataset ? { second: "2-digit" } : {}));
    one.dateTime = new Date((at - ahead) * 1000).toISOString();
    one.title = new Date((at - ahead) * 1000).toLocaleString(LOCALE);
  }
  for (const one of live.querySelectorAll(".refresh, .retry, .copy")) one.hidden = false;
}

/** Returns the page's own query with another part. */
function address(path, part) {
  const query = new URLSearchParams(location.search);
  query.set("part", part);
  if (part === "live") query.set("lang", t("en", "zh"));
  if (part === "summary") {
    query.delete("lang");
  }
  return `${path}?${query}`;
}

/** Returns a signal that aborts after so many milliseconds. Browsers before Chrome 103 and Safari 16 have no AbortSignal.timeout. */
function until(milliseconds) {
  const control = new AbortController();
  setTimeout(() => control.abort(), milliseconds);
  return control.signal;
}

async function ask(path, part) {
  const answer = await fetch(address(path, part), { cache: "no-store", signal: until(PATIENCE) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

/** Replaces what has changed. Keeps open rows open, the search text, and the focus. */
function replace(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const old of live.querySelectorAll("details[id]")) {
    const next = fresh.getElementById(old.id);
    if (next) next.open = old.open || (next.open && next.dataset.state !== old.dataset.state);
  }
  const active = document.activeElement || document.body;
  const [focused, verdict, search] = [active.id, $("verdict").textContent, $("q")];
  const summary = active.closest("summary");
  const details = summary && summary.parentElement.id;
  fill(live, ...fresh.body.childNodes);
  adopt();
  if (search && $("q")) $("q").value = search.value;
  const again = (details && $(details) && $(details).querySelector("summary")) || (focused && $(focused));
  if (again && again !== document.activeElement) again.focus({ preventScroll: true });
  if (again && again.id === "q") again.setSelectionRange(search.selectionStart, search.selectionEnd);
  if ($("verdict").textContent !== verdict) $("spoken").textContent = $("verdict").textContent.trim();
}

/** Polls once. The later of two overlapping polls counts. */
async function update() {
  clearTimeout(timer);
  const mine = ++turn;
  try {
    const { revision, now } = await (await ask("status.json", "summary")).json();
    const html = revision === shown ? null : await (await ask("status", "live")).text();
    if (mine !== turn) return;
    ahead = now - browserNow();
    if (html !== null && !composing) replace(html);
    answeredAt = browserNow();
    lostSince = undefined;
  } catch (_) {
    if (mine !== turn) return;
    if (lostSince === undefined) lostSince = answeredAt;
  }
  tick();
  if (!document.hidden) timer = setTimeout(update, PERIOD);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else update();
});

// --- search ---

let typing;
let composing = false; // an input method is open: the field must not be replaced
function find() {
  const query = new URLSearchParams(location.search);
  const text = $("q").value.trim();
  text ? query.set("q", text) : query.delete("q");
  query.delete("offset");
  history.replaceState(null, "", `?${query}`);
  shown = undefined;
  update();
}
live.addEventListener("compositionstart", () => (composing = true));
live.addEventListener("compositionend", () => (composing = false));
live.addEventListener("input", (event) => {
  if (event.target.id !== "q") return;
  clearTimeout(typing);
  typing = setTimeout(() => composing || find(), 250);
});
live.addEventListener("submit", (event) => {
  event.preventDefault();
  find();
});

// The link to the other language keeps the query that the search has changed.
for (const link of document.querySelectorAll("a[data-set]")) {
  link.addEventListener("click", () => {
    const query = new URLSearchParams(location.search);
    query.set(...link.dataset.set.split("="));
    link.search = `?${query}`;
  });
}

startCopy(live);

// --- refresh now ---

let wishes = [];
live.addEventListener("click", (event) => {
  const button = event.target.closest(".refresh, .retry");
  if (!button) return;
  const { accounts, kind } = button.dataset;
  wishes = accounts.split(" ").map((account) => ({ account, kind }));
  const names = wishes.map((wish) => wish.account);
  fill(
    $("ask-what"),
    Object.assign(document.createElement("b"), { textContent: names.join(t(", ", "、")) }),
    " ",
    Object.assign(document.createElement("code"), { textContent: kind }),
  );
  $("ask-key").value = "";
  $("ask-answer").hidden = true;
  wantKey(!sessionStorage.getItem(KEY));
  $("ask").showModal();
});

function wantKey(wanted) {
  $("ask-key-row").hidden = !wanted;
  $("ask-forget").hidden = wanted;
  if (wanted) $("ask-key").focus();
}

$("ask-forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  $("ask-answer").hidden = true;
  wantKey(true);
});
$("ask-close").addEventListener("click", () => $("ask").close());
$("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = $("ask-key").value.trim();
  const key = typed || sessionStorage.getItem(KEY);
  if (!key) return say("degraded", t("Enter an API key.", "请输入 API key。"));
  refreshAll(key);
});

/** Refreshes one account after the other: a wrong key ends it. Several results are one line each. */
async function refreshAll(key) {
  $("ask-send").disabled = true;
  say("busy", t("Calling WeChat…", "正在向微信请求…"));
  const results = [];
  for (const wish of wishes) {
    const result = await refresh(key, wish);
    results.push({ ...result, account: wish.account });
    if (result.isRefused) break;
  }
  const worst = ["down", "degraded"].find((state) => results.some((one) => one.state === state)) || "ok";
  const lines = results.map(({ account, lines, isRefused }) =>
    wishes.length === 1 || isRefused ? lines : `${account}: ${lines.filter(Boolean).join(" ")}`,
  );
  say(worst, ...[].concat(...lines));
  $("ask-send").disabled = false;
  shown = undefined;
  update();
}

/** Problem codes that only a valid key gets. */
const CODES_BEHIND_KEY = ["forbidden", "rate_limited"];

/** Returns the state and the lines that say what came of it. */
async function refresh(key, wish) {
  try {
    const answer = await fetch("status/refresh", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Requested-With": "wx-jssdk", "X-Api-Key": key },
      body: JSON.stringify(wish),
      cache: "no-store",
      signal: until(60000),
    });
    const body = await answer.json();
    if (answer.ok || body.upstream || CODES_BEHIND_KEY.includes(body.code)) {
      sessionStorage.setItem(KEY, key);
      wantKey(false);
    }
    return answer.ok ? done(body) : problem(answer, body);
  } catch (_) {
    return { state: "down", lines: [t("The server did not answer. Check that it is running.", "服务器没有响应，请确认其是否在运行。")], isRefused: true };
  }
}

function done({ outcome, remaining }) {
  const left = span(remaining);
  const text =
    outcome === "refreshed"
      ? t(`Refreshed: a new value, valid for ${left}.`, `已刷新：获得新值，有效期 ${left}。`)
      : t(`WeChat returned the same value: it is valid for another ${left}.`, `微信返回了相同的值：仍然有效，还有 ${left}。`);
  return { state: "ok", lines: [text] };
}

function problem(answer, body) {
  const wait = Number(answer.headers.get("Retry-After"));
  const hint = body.hint ? body.hint[t("en", "zh")] : "";
  if (answer.status === 401 || body.code === "locked_out") {
    sessionStorage.removeItem(KEY);
    wantKey(true);
    const invalid = t("The API key is invalid.", "API key 无效。");
    return { state: "degraded", lines: body.code === "locked_out" ? [invalid, hint] : [invalid], isRefused: true };
  }
  if (body.code === "forbidden") {
    return { state: "degraded", lines: [t("The API key has no access to this credential.", "该 API key 无权访问此凭证。"), hint] };
  }
  if (body.code === "rate_limited") {
    const again = clockTime(serverNow() + wait, { second: "2-digit" });
    return {
      state: "degraded",
      lines: [t(`Refreshed recently: try again in ${span(wait)}, at ${again}.`, `最近刷新过：${span(wait)}后（${again}）可再试。`)],
    };
  }
  const { cause, fix } = body.upstream || {};
  const said = cause ? `${body.errcode === undefined ? "" : body.errcode} ${cause[t("en", "zh")]}`.trim() : t(body.title, `服务器未能刷新（${body.code || answer.status}）`);
  const later = wait ? t(`Try again in ${span(wait)}.`, `请在 ${span(wait)}后再试。`) : "";
  return { state: "down", lines: [said, fix ? fix[t("en", "zh")] : hint, later] };
}

function say(state, ...lines) {
  const box = $("ask-answer");
  box.dataset.state = state;
  fill(box, ...lines.filter(Boolean).map((line) => Object.assign(document.createElement("p"), { textContent: line })));
  box.hidden = false;
}

// --- start ---

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
write($("zone"), t(`All times are ${zone}.`, zone === "Asia/Shanghai" ? "时间均为北京时间。" : `时间均为 ${zone} 时区。`));
adopt();
answeredAt = browserNow();
tick();
setInterval(tick, 1000);
timer = setTimeout(update, PERIOD);
