// Runs the image's root file system as its configuration says, on a network of its own: image-test.mjs ROOT CONTAINER.json
//
// The root holds no file of this machine: names come from a DNS server here, TLS has no certificates but the binary's.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";

const [root, container] = process.argv.slice(2);
const { config } = JSON.parse(readFileSync(container, "utf8")).Docker;
const [uid, gid] = config.User.split(":");
const SECRET = "0c79e1fa963cd80cc0be99b20a18faeb";
const PAGE = "url=" + encodeURIComponent("https://demo.example.com/page");
const LOOPBACK = "127.0.0.1";
const running = new Set();

/** Starts the image's entry point with these arguments and this environment over the image's. */
function start(args, environment = {}) {
  const env = { ...Object.fromEntries(config.Env.map((line) => line.split(/=(.*)/s))), ...environment };
  delete env.PATH;
  const inRoot = ["--root", root, "--wd", config.WorkingDir, "--setgid", gid, "--setuid", uid, ...config.Entrypoint];
  const child = spawn("unshare", [...inRoot, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const program = { child, output: "", ended: new Promise((done) => child.on("close", done)) };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (program.output += text));
  running.add(child);
  program.ended.then(() => running.delete(child));
  return program;
}

async function run(...given) {
  const program = start(...given);
  return { code: await program.ended, output: program.output };
}

/** Starts a server and waits until it listens. */
async function serving(port, ...given) {
  const program = start(...given);
  for (let left = 200; left; left--) {
    const open = new Promise((done) => {
      const socket = connect(port, LOOPBACK, () => done(true)).on("error", () => done(false));
      socket.on("connect", () => socket.destroy());
    });
    if (await open) return program;
    if (program.child.exitCode !== null) break;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`nothing listens on ${port}:\n${program.output}`);
}

async function stop(program) {
  program.child.kill("SIGTERM");
  assert.equal(await program.ended, 0, program.output);
}

async function get(address, headers) {
  const answer = await fetch(address, { headers });
  return [answer.status, await answer.json()];
}

/** Answers every A query with 127.0.0.1, and the others with nothing. */
function startDns() {
  const asked = [];
  const server = createSocket("udp4");
  server.on("message", (query, from) => {
    let end = 12;
    const labels = [];
    for (; query[end]; end += query[end] + 1) labels.push(query.toString("latin1", end + 1, end + 1 + query[end]));
    asked.push(labels.join("."));
    const isA = query.readUInt16BE(end + 1) === 1;
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(isA ? 1 : 0, 6);
    head.fill(0, 8);
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    server.send(Buffer.concat([head, query.subarray(12, end + 5), ...(isA ? [answer] : [])]), from.port, from.address);
  });
  return new Promise((done) => server.bind(53, LOOPBACK, () => done({ asked, close: () => server.close() })));
}

/** Puts TLS in front of the simulated WeChat, under the name wechat.test. */
function startTls(folder, port, to) {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=wechat.test", "-addext", "subjectAltName=DNS:wechat.test", "-addext", "basicConstraints=critical,CA:FALSE"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", ...subject], { stdio: "ignore" });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
    const inner = connect(to, LOOPBACK);
    socket.pipe(inner).pipe(socket);
    for (const side of [socket, inner]) side.on("error", () => side.destroy());
  });
  server.on("tlsClientError", () => {});
  return new Promise((done) => server.listen(port, LOOPBACK, () => done({ cert, close: () => server.close() })));
}

async function main() {
  const top = readdirSync(root, { recursive: true }).filter((path) => statSync(join(root, path)).isFile());
  assert.deepEqual(top.sort(), ["etc/nsswitch.conf", "usr/bin/wx-jssdk"], "the image has a binary and one line of configuration");
  assert.equal(statSync(join(root, "var/lib/wx-jssdk")).uid, Number(uid), "the store belongs to the user");
  assert.deepEqual(Object.keys(config.Volumes), ["/var/lib/wx-jssdk"]);
  assert.deepEqual(config.Healthcheck.Test, ["CMD", "/usr/bin/wx-jssdk", "healthcheck"]);

  const bare = await run(["serve", "--sandbox"]);
  assert.equal(bare.code, 2, bare.output);
  assert.match(bare.output, /\/dev\/urandom/, "says what an empty root lacks");
  assert.doesNotMatch(bare.output, /panic/);

  // What every container runtime provides.
  mkdirSync(join(root, "dev"));
  for (const [name, minor] of [["random", "8"], ["urandom", "9"]]) execFileSync("mknod", ["-m", "666", join(root, "dev", name), "c", "1", minor]);
  const sandboxed = await serving(8080, ["serve", "--sandbox"]);
  const [status, signed] = await get(`http://${LOOPBACK}:8080/jssdk/config?${PAGE}`);
  assert.equal(status, 200);
  assert.match(signed.signature, /^[0-9a-f]{40}$/);
  assert.deepEqual(await run(["healthcheck"]), { code: 0, output: "ok\n" });
  await stop(sandboxed);
  assert.equal((await run(["healthcheck"])).code, 1);
  const wrong = await run(config.Cmd, { WX_JSSDK_SERVER__DEMO: "true" });
  assert.match(wrong.output, /did you mean WX_JSSDK__SERVER__DEMO\?/);

  // A node by environment alone, which finds WeChat by name and through TLS.
  const folder = mkdtempSync(join(tmpdir(), "wx-jssdk-image-"));
  const wechat = await serving(8082, ["sandbox", "--secret", SECRET]);
  const [dns, tls] = [await startDns(), await startTls(folder, 443, 8082)];
  writeFileSync(join(root, "etc/resolv.conf"), `nameserver ${LOOPBACK}\noptions timeout:1 attempts:1\n`);
  const key = "wxk_image";
  const node = {
    WX_JSSDK__ACCOUNTS__MAIN__APP_ID: "wx0123456789abcdef",
    WX_JSSDK__ACCOUNTS__MAIN__SECRET: SECRET,
    WX_JSSDK__ACCOUNTS__MAIN__JS_SAFE_DOMAINS: "demo.example.com",
    WX_JSSDK__SERVER__API_KEYS__CRM__SHA256: createHash("sha256").update(key).digest("hex"),
    WX_JSSDK__SERVER__API_KEYS__CRM__KINDS: "access_token",
    WX_JSSDK__UPSTREAM__WEIXIN: "https://wechat.test",
  };
  const unknown = await run(["check"], node);
  assert.equal(unknown.code, 1, unknown.output);
  assert.match(unknown.output, /certificate|证书/, "an unknown certificate is refused, with no root certificates in the image");
  assert.ok(dns.asked.includes("wechat.test"));
  copyFileSync(tls.cert, join(root, "etc/wx-jssdk/ca.pem"));
  const serve = await serving(8080, config.Cmd, { ...node, SSL_CERT_FILE: "/etc/wx-jssdk/ca.pem" });
  const [, page] = await get(`http://${LOOPBACK}:8080/jssdk/config?${PAGE}`);
  assert.match(page.signature || JSON.stringify(page), /^[0-9a-f]{40}$/, serve.output);
  const [, token] = await get(`http://${LOOPBACK}:8081/credentials/main/access_token`, { Authorization: `Bearer ${key}` });
  assert.ok(token.value, JSON.stringify(token));
  const [refused] = await get(`http://${LOOPBACK}:8081/credentials/main/jsapi_ticket`, { Authorization: `Bearer ${key}` });
  assert.equal(refused, 403);
  await stop(serve);
  assert.ok(statSync(join(root, "var/lib/wx-jssdk/wx-jssdk.redb")).size > 0, "the volume has the store");
  await stop(wechat);
  dns.close();
  tls.close();
  console.log("image: signs in the sandbox; by environment alone it finds WeChat by name and TLS, and serves tokens");
}

main()
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => {
    running.forEach((child) => child.kill("SIGKILL"));
    process.exit();
  });
