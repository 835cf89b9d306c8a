// The pages' scripts work in the oldest browsers that have modules.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const STATIC = fileURLToPath(new URL("../../static", import.meta.url));
const TSC = fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url));

const scripts = (folder) => readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".js"));

// import() came after modules, too, and the compiler keeps it. Then the functions that are easy to reach for.
const LATER = /\bimport\(|\.(flat|flatMap|fromEntries|allSettled|matchAll|replaceAll|replaceChildren|toggleAttribute)\(/;

test("no page's script needs a browser newer than modules", () => {
  const files = scripts(STATIC);
  assert.ok(files.length > 30, `${files}`);
  const work = mkdtempSync(join(tmpdir(), "wx-jssdk-syntax-"));
  try {
    // The compiler rewrites what the target lacks, so both outputs are equal if nothing is newer.
    for (const target of ["es2018", "esnext"]) {
      const options = ["--allowJs", "--noCheck", "--module", "preserve", "--rootDir", STATIC];
      const paths = files.map((name) => join(STATIC, name));
      execFileSync(process.execPath, [TSC, ...options, "--target", target, "--outDir", join(work, target), ...paths]);
    }
    const written = (target, name) => readFileSync(join(work, target, name), "utf8");
    const newer = files.filter((name) => written("es2018", name) !== written("esnext", name));
    assert.deepEqual(newer, []);
    const later = files.filter((name) => LATER.test(written("esnext", name)));
    assert.deepEqual(later, []);
  } finally {
    rmSync(work, { recursive: true });
  }
});
