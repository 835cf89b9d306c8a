// The error table of the pages, with the same texts as the Rust tests of the doctor (tests/diagnose/words.rs).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { CLIENT_ERRORS, REFUSED, plain } from "../../static/demo/client-errors.js";

const TEXTS = JSON.parse(readFileSync(new URL("../diagnose/client_errors.json", import.meta.url), "utf8"));

/** The client script's part of the table, and what its `codeOf` finds in it. */
function inScript() {
  const script = readFileSync(new URL("../../static/client/wx-jssdk.js", import.meta.url), "utf8");
  const [, part] = script.match(/<client-errors>\n([^]*)\/\/ <\/client-errors>/);
  const rows = new Function(`${part} return SAID;`)();
  return (text) => (rows.find(([, when]) => when.test(plain(text))) || [])[0];
}

test("the pages read a text as the doctor does, and the client script too or not at all", () => {
  const said = inScript();
  assert.equal(said("config:fail"), "config_field_missing");
  // The script has the wider row, whose advice names agentConfig; launch:fail is an event of open tags, no call's answer.
  const wider = { agent_config_signature: "invalid_signature", app_launch_failed: "function_not_exist" };
  const more = [
    ["getLocation:fail_system permission denied", "phone_permission"],
    ["startRecord:fail_permission denied", "permission_denied"],
    ["agentConfig:fail_", "agent_config_failed"],
    ["agentConfig:fail_invalid corpid", "corp_id_invalid"],
  ];
  for (const [text, code] of [...TEXTS, ...more]) {
    const found = [...CLIENT_ERRORS, ...REFUSED].find((one) => one.when.test(plain(text)));
    assert.equal(found.code, code, text);
    const own = said(text);
    assert.ok([undefined, code, wider[code]].includes(own), `${text}: ${own}, not ${code}`);
  }
});
