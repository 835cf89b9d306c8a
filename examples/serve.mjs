#!/usr/bin/env node
// Serves a folder as a site's web server would: its files, index.html for other paths (history routing), and /jssdk forwarded to the
// signing service. Loopback only; no dependencies.
//
//   node examples/serve.mjs examples/plain [--port 5173] [--service http://127.0.0.1:8080]

import { createReadStream, statSync } from "node:fs";
import { createServer, request } from "node:http";
import { extname, join, normalize, resolve } from "node:path";
import { pipeline } from "node:stream";
import { pathToFileURL } from "node:url";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
};

// The first is needed with a real account as well; the other two let the sandbox simulate the phone.
const PROXIED = /^\/(jssdk\/|sandbox\/pre-verify$|static\/phone\.js$)/;

/** Resolves with the server once it listens; port 0 picks a free one. */
export function serve(folder, { port = 5173, service = "http://127.0.0.1:8080" } = {}) {
  const server = createServer((asked, answer) => {
    const [pathname] = asked.url.split("?");
    if (PROXIED.test(pathname)) return proxy(asked, answer, service);
    const file = find(resolve(folder), pathname);
    if (!file) return answer.writeHead(404, { "Content-Type": "text/plain" }).end("not found\n");
    answer.writeHead(200, { "Content-Type": TYPES[extname(file)] || "application/octet-stream", "Cache-Control": "no-cache" });
    send(createReadStream(file), answer);
  });
  return new Promise((listening, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", () => listening(server));
  });
}

/** Copies a stream and closes both ends on an error: a file may be gone after it was found, a client or the service may leave. */
const send = (from, to) => pipeline(from, to, () => {});

/** The file for this path; a path without a file extension is a route of the application. */
function find(folder, pathname) {
  const name = normalize(`/${decode(pathname)}`); // an absolute path: `..` cannot lead above the folder
  for (const path of [name, join(name, "index.html"), extname(name) ? "" : "/index.html"]) {
    const file = join(folder, path);
    if (path && statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
  }
}

function decode(pathname) {
  try {
    return decodeURIComponent(pathname).replaceAll("\0", "");
  } catch {
    return pathname; // %2 and the like: a route, at most
  }
}

function proxy(asked, answer, service) {
  // A connection for each call: a kept one may have been closed by the service in this moment.
  const call = { method: asked.method, headers: { ...asked.headers, connection: "close" }, agent: false };
  const onwards = request(service + asked.url, call, (came) => {
    answer.writeHead(came.statusCode, came.headers);
    send(came, answer);
  });
  onwards.on("error", () => {
    if (!answer.headersSent) answer.writeHead(502, { "Content-Type": "text/plain" });
    answer.end(`no service at ${service}; start it: cargo run --release -- serve --sandbox\n`);
  });
  asked.pipe(onwards);
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const [folder, ...rest] = process.argv.slice(2);
  const option = (name) => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined);
  if (!folder) {
    console.error("usage: node serve.mjs FOLDER [--port 5173] [--service http://127.0.0.1:8080]");
    process.exit(2);
  }
  const server = await serve(folder, { port: Number(option("--port") ?? 5173), service: option("--service") });
  console.log(`http://localhost:${server.address().port}/`);
}
