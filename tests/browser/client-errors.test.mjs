// The error table of the pages, with the same texts as the Rust tests of the doctor (tests/diagnose/words.rs).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { CLIENT_ERRORS, REFUSED, plain } from "../../static/demo/client-errors.js";

const TEXTS = JSON.parse(readFileSync(new URL("../diagnose/client_errors.json", import.meta.url), "utf8"));

test("the pages read a client's text as the doctor does", () => {
  for (const [text, code] of TEXTS) {
    const found = [...CLIENT_ERRORS, ...REFUSED].find((one) => one.when.test(plain(text)));
    assert.equal(found && found.code, code, text);
  }
});
