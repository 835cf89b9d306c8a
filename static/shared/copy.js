// Copy buttons of the pages: `[data-copy]` inside a `.code` or a `.copybox`. They are hidden without this script.

import { t } from "./language.js";

const SHOWN = 2000; // ms that the word "Copied" is shown

/** Shows the buttons below `root` and makes them work, also those that are added later. */
export function startCopy(root = document) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copyBeside(button);
  });
}

async function copyBeside(button) {
  const texts = [...button.parentElement.querySelectorAll("pre, :scope > code")];
  const shown = texts.find((one) => one.getClientRects().length);
  const copied = await copyText(shown.textContent);
  if (!copied) select(shown);
  const words = button.querySelector(".copy-text");
  const icon = button.querySelector("use");
  words.setAttribute("role", "status");
  words.textContent = copied ? t("Copied", "已复制") : t("Select and copy", "请手动复制");
  icon.setAttribute("href", copied ? "#i-check" : "#i-copy");
  clearTimeout(button.timer);
  button.timer = setTimeout(() => {
    words.textContent = t("Copy", "复制");
    icon.setAttribute("href", "#i-copy");
  }, SHOWN);
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  window.getSelection().removeAllRanges();
  window.getSelection().addRange(range);
}

/** Copies a text. Returns whether the browser allowed it. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch (error) {
    // Fallback for older web views and pages without TLS.
    const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true, className: "unseen" });
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (before) before.focus();
    return copied;
  }
}
