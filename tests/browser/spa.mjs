// The two single-page examples: built once, and served like a site.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { serve } from "../../examples/serve.mjs";

export const EXAMPLES = join(import.meta.dirname, "..", "..", "examples");

/** The site of one framework, for `matrix`. */
export const spa = (name, folder) => ({
  name,
  start: (service) => startBuilt(folder, service),
  status: "data-status",
  words: "#wechat",
  again: (page) => page.locator("#retry").click(),
  routes: true,
});

export async function startBuilt(folder, service) {
  const built = mkdtempSync(join(tmpdir(), "wx-jssdk-spa-"));
  await viteBuild(folder, built);
  const server = await serve(built, { port: 0, service: service.url });
  const stop = () =>
    new Promise((stopped) => {
      server.close(stopped);
      server.closeAllConnections();
    }).then(() => rmSync(built, { recursive: true }));
  return { origin: `http://127.0.0.1:${server.address().port}`, stop };
}

async function viteBuild(folder, outDir) {
  await promisify(execFile)(process.execPath, [vite(folder), "build", "--outDir", outDir, "--emptyOutDir"], {
    cwd: join(EXAMPLES, folder),
  });
}

export function vite(folder) {
  const path = join(EXAMPLES, folder, "node_modules", "vite", "bin", "vite.js");
  if (!existsSync(path)) throw new Error(`examples/${folder} is not installed: make deps`);
  return path;
}

/** Bundles `main.js` of these files with an example's packages; returns the module's text. */
export async function bundle(folder, files) {
  const { rolldown } = await import(join(EXAMPLES, folder, "node_modules", "rolldown", "dist", "index.mjs"));
  const home = mkdtempSync(join(EXAMPLES, folder, "node_modules", ".bundle-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
    const build = await rolldown({
      input: join(home, "main.js"),
      logLevel: "silent",
      transform: { define: { "process.env.NODE_ENV": '"production"' } },
    });
    const { output } = await build.generate({ format: "esm" });
    await build.close();
    return output[0].code;
  } finally {
    rmSync(home, { recursive: true });
  }
}
