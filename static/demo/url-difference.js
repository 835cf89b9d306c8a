// Compares two URLs and marks the difference.

import { fill } from "./fill.js";

/** Returns `[same, different, same]`: what `text` shares with `other` at both ends, and the part between. */
export function difference(text, other) {
  let start = 0;
  while (start < text.length && start < other.length && text[start] === other[start]) start += 1;
  let end = 0;
  const most = Math.min(text.length, other.length) - start;
  while (end < most && text[text.length - 1 - end] === other[other.length - 1 - end]) end += 1;
  return [text.slice(0, start), text.slice(start, text.length - end), text.slice(text.length - end)];
}

/** Writes `text` into the element, with the part that differs from `other` in a <mark>. */
export function markDifference(element, text, other) {
  const [before, own, after] = difference(text, other);
  const mark = Object.assign(document.createElement("mark"), { textContent: own });
  fill(element, before, ...(own ? [mark] : []), after);
}
