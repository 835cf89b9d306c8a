// The page's language. Texts are written where they are used, in English and Chinese.

export const chinese = document.body.dataset.lang !== "en";

/** Returns the text in the page's language. */
export function t(en, zh) {
  return chinese ? zh : en;
}

/** The same for a pair. A text that is equal in both languages may be a plain string. */
export function pick(pair) {
  return Array.isArray(pair) ? t(pair[0], pair[1]) : pair || "";
}
