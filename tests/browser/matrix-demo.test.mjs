// The demo page in every client: matrix.mjs has the table.

import { matrix } from "./matrix.mjs";

matrix({
  name: "the demo page",
  start: async (service) => ({ origin: service.url, stop: async () => {} }),
  status: "data-state",
  words: "body",
  again: (page) => page.reload(),
  routes: false,
});
