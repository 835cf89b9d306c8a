// The demo page in the cases that depend on its own code, with its explanations of a refusal: matrix.mjs has the table.

import { siteMatrix } from "./matrix.mjs";

const site = {
  name: "the demo page",
  start: async (service) => ({ origin: service.url, stop: async () => {} }),
  status: "data-state",
  words: "body",
  again: (page) => page.reload(),
  routes: false,
};

siteMatrix(site, ["a refused signature", "a refused domain", "a domain that the service refuses"]);
