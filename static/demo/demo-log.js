// Log of all calls: time, name, parameters, answer. It can be copied as text and cleared.

import { account, client } from "./demo-client.js";
import { copyText } from "./copy.js";
import { OUTCOMES, shorten, toneOf } from "./demo-result.js";
import { fill } from "./fill.js";
import { t } from "./language.js";

const MOST = 200; // entries; bounds the memory of a page that stays open all day
const $ = (id) => document.getElementById(id);
let entries = [];

export const log = {
  /** Logs a call. The returned object takes its answer, or several from a listener or a late answer. */
  begin(name, parameters) {
    const entry = { name, at: new Date(), began: performance.now(), parameters, outcome: "pending", answers: [] };
    entry.row = buildRow(entry);
    entries.push(entry);
    if (entries.length > MOST) entries.shift().row.remove();
    $("log-list").prepend(entry.row);
    showCount();
    return { parameters, end: (outcome, res) => end(entry, outcome, res) };
  },
};

export function startLog() {
  $("log-copy").addEventListener("click", copy);
  $("log-clear").addEventListener("click", () => {
    entries = [];
    fill($("log-list"));
    $("log-note").textContent = t("Cleared.", "已清空。");
    showCount();
  });
  showCount();
}

function end(entry, outcome, res) {
  entry.outcome = outcome;
  const took = Math.round(performance.now() - entry.began);
  entry.answers.push({ outcome, took, res: JSON.parse(JSON.stringify(res, shorten)) });
  fillRow(entry);
}

function buildRow(entry) {
  const row = $("t-log").content.firstElementChild.cloneNode(true);
  row.querySelector(".log-time").textContent = clock(entry.at).slice(0, 8);
  row.querySelector(".log-time").dateTime = entry.at.toISOString();
  row.querySelector(".log-name").textContent = entry.name;
  entry.row = row;
  fillRow(entry);
  return row;
}

function fillRow({ row, outcome, answers, parameters }) {
  row.dataset.result = outcome;
  row.querySelector(".log-outcome").textContent = OUTCOMES[outcome]();
  row.querySelector(".log-outcome").className = `log-outcome ${toneOf(outcome)}`;
  row.querySelector("pre").textContent = lines(parameters, answers).join("\n");
}

function lines(parameters, answers) {
  const text = (value) => JSON.stringify(value, shorten, 1).replace(/\n\s*/g, " ");
  return [`→ ${text(parameters)}`, ...answers.map(({ outcome, took, res }) => `← ${outcome} (${took} ms) ${text(res)}`)];
}

function showCount() {
  $("log-count").textContent = entries.length;
  $("log-empty").hidden = entries.length > 0;
  for (const button of [$("log-copy"), $("log-clear")]) button.disabled = !entries.length;
}

/** Returns `14:03:59.120`, in local time. */
function clock(at) {
  const two = (number, digits = 2) => String(number).padStart(digits, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(at.getMilliseconds(), 3)}`;
}

/** Returns the log as text, oldest first, with the context a colleague needs. */
export function logText() {
  const head = [
    `wx-jssdk · ${new Date().toISOString()}`,
    `page:    ${location.href}`,
    `signed:  ${$("signed-url").textContent}`,
    `config:  ${$("state-title").textContent}`,
    `client:  ${$("client").textContent}`,
    `account: ${account || "-"} ${$("app-id").textContent}`,
    `sdk:     jweixin ${$("sdk").textContent}`,
    `agent:   ${client.wechat ? navigator.userAgent : "-"}`,
    "",
  ];
  const body = entries.map((entry) => [
    `${clock(entry.at)} ${entry.name}`,
    ...lines(entry.parameters, entry.answers).map((line) => `  ${line}`),
  ]);
  return head.concat(...body, "").join("\n");
}

async function copy() {
  const text = logText();
  const copied = await copyText(text);
  $("log-note").textContent = copied
    ? t(`Copied: ${entries.length} calls.`, `已复制 ${entries.length} 条记录。`)
    : t("This client does not allow pages to copy. Select the text below.", "此客户端不允许网页复制，请手动选择下方文字。");
  const manual = $("log-text");
  manual.hidden = copied;
  manual.value = copied ? "" : text;
  if (!copied) manual.select();
}
