// The npm package of the client script: its files, and its import without a page.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bundle } from "./spa.mjs";

const ROOT = join(import.meta.dirname, "..", "..");
const CLIENT = join(ROOT, "static", "client");
const manifest = JSON.parse(readFileSync(join(CLIENT, "package.json"), "utf8"));

test("the npm package has the script, its types and nothing else", () => {
  const [packed] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: CLIENT, encoding: "utf8" }));
  const files = packed.files.map(({ path }) => path).sort();
  assert.deepEqual(files, ["README.md", "index.d.ts", "index.js", "package.json", "wx-jssdk.d.ts", "wx-jssdk.js"]);
  const named = Object.values(manifest.exports).flatMap((entry) => (typeof entry === "string" ? entry : Object.values(entry)));
  for (const path of named) assert.ok(files.includes(path.replace("./", "")), path);
});

test("the npm package has the server's version", () => {
  const [, version] = readFileSync(join(ROOT, "Cargo.toml"), "utf8").match(/^version = "(.*)"$/m);
  assert.equal(manifest.version, version);
});

test("the npm package exports what the script sets, and does nothing on a server", async () => {
  const exported = await import("../../static/client/index.js");
  assert.equal(globalThis.wxJssdk, undefined);
  const [, names] = readFileSync(join(CLIENT, "wx-jssdk.js"), "utf8").match(/window\.wxJssdk = \{ (.*) \};/);
  assert.deepEqual(Object.keys(exported).sort(), names.split(", ").map((name) => name.split(":")[0]).sort());
  assert.ok(new exported.WxJssdkError() instanceof Error);
});

test("a bundler keeps the npm package's script for a page that imports it without a name", async () => {
  const entry = JSON.stringify(join(CLIENT, "index.js"));
  const script = await bundle("vue", { "main.js": `import ${entry};` });
  assert.match(script, /window\.wxJssdk = /);
});

test("the npm package's entry runs where globalThis is not defined: iOS before 12.2, Chrome before 71", () => {
  const entry = `delete globalThis.globalThis; await import("./index.js"); console.log("ran");`;
  const said = execFileSync(process.execPath, ["--input-type=module", "--eval", entry], { cwd: CLIENT, encoding: "utf8" });
  assert.equal(said.trim(), "ran");
});
