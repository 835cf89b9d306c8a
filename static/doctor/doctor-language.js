// The page's language.

export const chinese = document.body.dataset.lang !== "en";

/** Returns the text in the page's language. */
export function t(en, zh) {
  return chinese ? zh : en;
}
