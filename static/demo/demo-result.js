// Shows the result of a call on its card: outcome, summary, cause and fix, raw answer.

import { explainCall } from "./explain-calls.js";
import { fill } from "./fill.js";
import { pick, t } from "./language.js";

export const OUTCOMES = {
  ok: () => t("ok", "成功"),
  fail: () => t("failed", "失败"),
  cancel: () => t("cancelled", "已取消"),
  timeout: () => t("no answer", "无回应"),
  slow: () => t("waiting", "等待中"),
  pending: () => t("waiting", "等待中"),
  armed: () => t("listening", "监听中"),
  blocked: () => t("not called", "未调用"),
};

const TONES = { ok: "say-ok", fail: "say-bad", timeout: "say-bad", cancel: "say-warn", blocked: "say-warn", slow: "say-warn" };

/** Returns the class for the colour of an outcome. */
export const toneOf = (outcome) => TONES[outcome] || "say-none";

/** Returns a one-line summary for screen readers. */
export function showResult(card, entry, outcome, res, support) {
  const box = card.querySelector(".result");
  const words = wordsFor(entry, outcome, res, support);
  box.hidden = false;
  box.dataset.result = outcome;
  const badge = box.querySelector(".call-outcome");
  badge.textContent = OUTCOMES[outcome]();
  badge.className = `call-outcome ${toneOf(outcome)}`;
  box.querySelector(".note").textContent = words.note;
  const fixes = box.querySelector(".call-fixes");
  fill(fixes, ...words.fixes.map((fix) => Object.assign(document.createElement("li"), { textContent: fix })));
  fixes.hidden = !words.fixes.length;
  box.querySelector(".ask-doctor").hidden = !(outcome === "fail" && /signature|offline verifying/i.test(res.errMsg));
  const json = box.querySelector("pre");
  const answer = answerText(outcome, res);
  json.hidden = !answer;
  json.textContent = answer;
  if (outcome === "ok" && entry.gives) showImages(box, entry.gives(res).shown);
  return [entry.name, OUTCOMES[outcome](), words.note, ...words.fixes].filter(Boolean).join(". ");
}

function wordsFor(entry, outcome, res, support) {
  if (outcome === "pending") return { note: t("Waiting for the client…", "等待客户端回应…"), fixes: [] };
  if (outcome === "armed") return { note: pick(entry.armed), fixes: [] };
  if (outcome === "ok") return { note: okNote(entry, res), fixes: [] };
  const { cause, fixes } = explainCall(entry, outcome, res, support);
  return { note: cause, fixes };
}

function okNote(entry, res) {
  if (entry.via === "tag")
    return /:ready$/.test(res.errMsg) ? t("Rendered by the client: tap it.", "已由客户端渲染，请点击。") : res.errMsg;
  try {
    return entry.says ? pick(entry.says(res)) : t("The answer is below.", "返回见下。");
  } catch (error) {
    return ""; // an answer of unexpected shape is shown as it is
  }
}

function answerText(outcome, res) {
  if (["pending", "armed", "slow", "timeout"].includes(outcome)) return "";
  if (outcome === "blocked") return res.errMsg || "";
  const { reason, ...own } = res; // the sandbox's reason is shown above, in the page's language
  return JSON.stringify(own, shorten, 2);
}

/** Shortens long texts, such as an image's base64. */
export function shorten(key, value) {
  return typeof value === "string" && value.length > 300 ? `${value.slice(0, 48)}… (${value.length})` : value;
}

// --- images ---

function showImages(box, localIds) {
  if (!localIds) return;
  const shots = box.querySelector(".shots");
  fill(
    shots,
    ...localIds.map((localId, at) => {
      const image = document.createElement("img");
      image.alt = t(`Image ${at + 1}`, `图片 ${at + 1}`);
      window.wx.getLocalImgData({
        localId,
        success: (res) => (image.src = dataUrl(res.localData)),
        // Android displays a local id directly; iOS (WKWebView) does not.
        fail: () => (image.src = localId),
      });
      return image;
    }),
  );
  shots.hidden = false;
}

/** iOS gives `data:image/jgp;base64,…` (sic), Android bare base64: the head is rebuilt from the first bytes. */
function dataUrl(localData) {
  const base64 = localData.replace(/^data:[^,]*,/, "").replace(/\s/g, "");
  const [, kind] = [
    ["iVBOR", "png"],
    ["R0lG", "gif"],
    ["UklG", "webp"],
  ].find(([head]) => base64.startsWith(head)) || ["", "jpeg"];
  return `data:image/${kind};base64,${base64}`;
}
