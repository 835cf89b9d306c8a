// The examples, started as described in their READMEs (on free ports) and opened first in an ordinary browser,
// where the sandbox simulates the phone; then in a client that computes signatures itself.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { serve } from "../../examples/serve.mjs";
import { become, callsOf, clientNamed, installClient } from "./clients.mjs";
import { ANDROID_WECHAT, browser, expectQuiet, inPage, service, stopping, useServiceAndBrowser } from "./harness.mjs";
import { EXAMPLES, startBuilt, vite } from "./spa.mjs";

const IOS = clientNamed("iOS WeChat");
const ANDROID = clientNamed("Android WeChat");

useServiceAndBrowser();

/** Starts a program. Returns the first address it prints, and a function that stops it. */
async function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const stop = stopping(child);
  let said = "";
  let patience;
  const announced = new Promise((resolve, reject) => {
    const hear = (chunk) => {
      said += chunk;
      // eslint-disable-next-line no-control-regex
      const [url] = said.replace(/\x1b\[[\d;]*m/g, "").match(/http:\/\/[\w.]+:\d+(?=\/)/) || [];
      if (url) resolve(url);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`${command} ended with ${code}:\n${said}`)));
    patience = setTimeout(() => reject(new Error(`${command} named no address:\n${said}`)), 30_000);
  });
  try {
    return { url: await announced, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(patience);
  }
}

const startServe = (folder) =>
  start(process.execPath, [join(EXAMPLES, "serve.mjs"), join(EXAMPLES, folder), "--port", "0", "--service", service.url]);

async function running(program, work) {
  const started = await program;
  try {
    await work(started.url);
  } finally {
    await started.stop();
  }
}

/** Opens the address in an ordinary browser and waits for the words in this element. */
const expectInBrowser = (url, selector, words) =>
  inPage(browser, {}, async (page) => {
    await page.goto(url);
    await page.locator(selector, { hasText: words }).waitFor();
    expectQuiet(page);
  });

/** The same in a client of the test; `more` makes further checks. */
const expectInClient = (client, service, url, selector, words, more = async () => {}) =>
  inPage(browser, { userAgent: client.userAgent }, async (page) => {
    await become(page, service, client);
    await page.goto(url);
    await page.locator(selector, { hasText: words }).waitFor();
    await more(page);
    expectQuiet(page);
  });

describe("the plain page", () => {
  test("says config:ok in a browser and in WeChat, and sets its card", () =>
    running(startServe("plain"), async (url) => {
      await expectInBrowser(`${url}/`, "#state", "config:ok");
      await expectInClient(ANDROID, service, `${url}/?a=%2F#x`, "#state", "config:ok", async (page) => {
        assert.deepEqual(page.verified, [{ url: `${url}/?a=%2F`, good: true }]);
        const [[, card]] = await callsOf(page, "updateAppMessageShareData");
        assert.deepEqual([card.title, card.link, card.imgUrl], ["Hello · 你好", `${url}/?a=%2F#x`, `${url}/share.png`]);
        assert.equal((await page.request.get(card.imgUrl)).headers()["content-type"], "image/png");
      });
    }));

  test("says outside WeChat that WeChat is required", () =>
    running(startServe("plain"), (url) =>
      inPage(browser, {}, async (page) => {
        await become(page, service, clientNamed("a desktop browser"));
        await page.goto(`${url}/`);
        await page.locator("#state", { hasText: /not_in_wechat.*请在微信中打开本页/ }).waitFor();
        expectQuiet(page);
      }),
    ));

  test("needs five lines", () => {
    const html = readFileSync(join(EXAMPLES, "plain", "index.html"), "utf8");
    const [, after] = html.split("The five lines · 以下五行 -->\n");
    const lines = after.split("</script>\n</html>")[0].trim().split("\n");
    assert.equal(lines.filter((line) => !/^<script>$/.test(line.trim())).length, 4, "and the closing tag: five");
  });
});

/** A page of another server that loads the simulated phone and signatures from the service, and caches its config. */
const cachingPage = (service) => `<!doctype html>
<html lang="en"><title>Own page</title><p id="state">…</p>
<script src="${service}/static/phone.js"></script>
<script src="https://res.wx.qq.com/open/js/jweixin-1.6.0.js"></script>
<script>
  const show = (words) => { document.getElementById("state").textContent = words; };
  const asked = "${service}/jssdk/config?url=" + encodeURIComponent(location.href.split("#")[0]);
  (async () => {
    const cached = localStorage.getItem("config");
    const config = cached ? JSON.parse(cached) : await (await fetch(asked)).json();
    localStorage.setItem("config", JSON.stringify(config));
    wx.config(config);
    let failed = false; // jweixin calls ready after an error, too
    wx.ready(() => failed || show("config:ok"));
    wx.error((error) => { failed = true; show(error.errMsg); });
  })();
</script></html>`;

test("a page on another port needs one line for the phone, and shows why its config fails", async () => {
  const server = createHttpServer((_, answer) => {
    answer.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(cachingPage(service.url));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const own = `http://127.0.0.1:${server.address().port}`;
  try {
    await inPage(browser, {}, async (page) => {
      await page.goto(`${own}/one?a=1`);
      await page.locator("#state", { hasText: "config:ok" }).waitFor();
      expectQuiet(page);
      const said = page.waitForEvent("console", (message) => message.text().startsWith("wx-jssdk sandbox"));
      await page.goto(`${own}/two?b=2`);
      await page.locator("#state", { hasText: "invalid signature" }).waitFor();
      const words = (await said).text();
      assert.match(words, /fails with invalid signature/);
      assert.ok(words.includes(`page · 页面地址:    ${own}/two?b=2`), words);
      assert.ok(words.includes(`this config was made for ${own}/one?a=1 and is used again on ${own}/two?b=2`), words);
      assert.match(words, /原因：.*它来自缓存/);
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

describe("the folder server", () => {
  test("serves files and routes, nothing above its folder, and reports when the service is down", async () => {
    const args = [join(EXAMPLES, "serve.mjs"), join(EXAMPLES, "plain"), "--port", "0", "--service", "http://127.0.0.1:9"];
    await running(start(process.execPath, args), async (url) => {
      const get = async (path) => {
        const answer = await fetch(url + path);
        return [answer.status, answer.headers.get("content-type"), await answer.text()];
      };
      const [, , page] = await get("/");
      assert.deepEqual(await get("/some/route?x=1"), [200, "text/html; charset=utf-8", page]);
      for (const path of ["//", "/%E0%A4%A"]) assert.equal((await get(path))[0], 200, `${path}: not a URL, but a route`);
      assert.equal((await get("/nothing.js"))[0], 404);
      for (const path of ["/..%2fserve.mjs", "/%2e%2e/serve.mjs", "/x/..%2f..%2f..%2fCargo.toml", "//..%2f..%2fserve.mjs"]) assert.equal((await get(path))[0], 404, path);
      const [status, , words] = await get("/jssdk/config?url=x");
      assert.equal(status, 502);
      assert.match(words, /serve --sandbox/);
    });
  });
});

test("the folder server reuses no connection, because the service may just have closed it", async () => {
  const closing = createHttpServer((asked, answer) => {
    if (asked.socket.used) return asked.socket.destroy();
    asked.socket.used = true;
    answer.end("signed");
  });
  await new Promise((listening) => closing.listen(0, "127.0.0.1", listening));
  const server = await serve(join(EXAMPLES, "plain"), { port: 0, service: `http://127.0.0.1:${closing.address().port}` });
  try {
    for (let call = 0; call < 3; call++) {
      const answer = await fetch(`http://127.0.0.1:${server.address().port}/jssdk/config`);
      assert.deepEqual([answer.status, await answer.text()], [200, "signed"]);
    }
  } finally {
    for (const one of [server, closing]) {
      one.close();
      one.closeAllConnections();
    }
  }
});

for (const [name, folder] of [
  ["Vue", "vue"],
  ["React", "react"],
]) {
  describe(`the ${name} example's development server`, () => {
    const startVite = () =>
      start(process.execPath, [vite(folder), "--host", "127.0.0.1", "--port", "0"], {
        cwd: join(EXAMPLES, folder),
        env: { ...process.env, WX_JSSDK_URL: service.url, NO_COLOR: "1" },
      });

    test("proxies /jssdk to the service, and every button shows a result", () =>
      running(startVite(), (url) =>
        inPage(browser, {}, async (page) => {
          await page.goto(`${url}/`);
          await page.locator('#wechat[data-status="ok"]').waitFor();
          const press = async (name) => {
            await page.locator(`[data-call="${name}"]`).click();
            const sheet = page.locator("dialog");
            if (name === "openLocation") await sheet.getByRole("button", { name: /Close|关闭/ }).click();
            await page.locator("#result", { hasText: `${name}:ok` }).waitFor();
          };
          for (const name of ["getLocation", "openLocation", "getNetworkType"]) await press(name);
          assert.match(await page.locator("#result").innerText(), /wifi/);
          assert.deepEqual(page.strayed, []);
          assert.deepEqual(page.complaints.filter((one) => !/\[vite\]/.test(one)), []);
        }),
      ));
  });
}

describe("WeCom in a single-page example", () => {
  for (const folder of ["vue", "react"]) {
    test(`agentReady signs the current address (${folder})`, async () => {
      const site = await startBuilt(folder, service);
      const client = clientNamed("WeCom on Android");
      try {
        await expectInClient(client, service, `${site.origin}/`, "#wechat-title", "config:ok", async (page) => {
          await page.locator('a[href="/walks/tea"]').click();
          await page.locator("#card strong", { hasText: "Tea hills" }).waitFor();
          await page.locator('[data-call="selectEnterpriseContact"]').click();
          await page.locator("#result", { hasText: "selectEnterpriseContact:ok" }).waitFor();
          assert.deepEqual(page.verified.map((one) => one.good), page.verified.map(() => true));
          assert.equal(page.verified.at(-1).url, `${site.origin}/walks/tea`);
          const [[, sent]] = await callsOf(page, "agentConfig");
          assert.deepEqual(sent.jsApiList, ["selectEnterpriseContact"]);
        });
      } finally {
        await site.stop();
      }
    });

    test(`without the service the page says so, and works once the service runs (${folder})`, async () => {
      const site = await startBuilt(folder, service);
      try {
        await inPage(browser, { userAgent: ANDROID.userAgent }, async (page) => {
          await become(page, service, ANDROID);
          await page.route("**/jssdk/config*", (route) => route.abort("connectionrefused"));
          await page.goto(`${site.origin}/`);
          await page.locator("#wechat-code", { hasText: "endpoint_unreachable" }).waitFor();
          await page.unroute("**/jssdk/config*");
          await page.reload();
          await page.locator('#wechat[data-status="ok"]').waitFor();
        });
      } finally {
        await site.stop();
      }
    });
  }
});

describe("an application that embeds the scope", () => {
  for (const example of ["embed", "axum"]) {
    test(`${example} signs its own pages and keeps its own routes`, async () => {
      const binary = process.env.JSSDK_TEST_BIN || join(EXAMPLES, "..", "target", "debug", "wx-jssdk");
      const path = join(dirname(binary), "examples", example);
      const shop = start(path, [], { env: { ...process.env, LISTEN: "127.0.0.1:0" } });
      await running(shop, async (url) => {
        await expectInBrowser(`${url}/?q=%2F#x`, "#state", "config:ok");
        await expectInBrowser(`${url}/?client=ios`, "#state", "config:ok");
        const answer = await (await fetch(`${url}/jssdk/config?url=${encodeURIComponent(`${url}/`)}`)).json();
        assert.deepEqual(answer.jsApiList, ["updateAppMessageShareData", "updateTimelineShareData"]);
        assert.equal((await fetch(`${url}/jssdk/config?url=https%3A%2F%2Fevil.example%2F`)).status, 403);
      });
    });
  }
});

describe("nginx in front", () => {
  let nginx;
  before(async () => {
    nginx = await startNginx();
  });
  after(async () => {
    if (nginx) await nginx.stop();
  });

  /** A copy of the example with free ports instead of its own. */
  async function startNginx() {
    const folder = mkdtempSync(join(tmpdir(), "wx-jssdk-nginx-"));
    cpSync(join(EXAMPLES, "nginx"), folder, { recursive: true });
    chmodSync(folder, 0o755); // nginx's workers run as another user if root starts it
    const ports = { 8080: new URL(service.url).port, 8093: await freePort(), 8094: await freePort() };
    for (const name of readdirSync(folder, { recursive: true }).filter((one) => /\.(conf|html)$/.test(one))) {
      const path = join(folder, name);
      writeFileSync(path, readFileSync(path, "utf8").replace(/(?<=:)(8080|8093|8094)\b/g, (port) => ports[port]));
    }
    const child = spawn("nginx", ["-p", folder, "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    });
    let said = "";
    child.stderr.on("data", (chunk) => (said += chunk));
    const end = stopping(child);
    const [site, other] = [`http://127.0.0.1:${ports[8093]}`, `http://localhost:${ports[8094]}`];
    const deadline = Date.now() + 20_000;
    for (;;) {
      const up = await fetch(`${site}/`).then((answer) => answer.ok, () => false);
      if (up) break;
      if (Date.now() > deadline || child.exitCode !== null) throw new Error(`nginx did not start: ${said}`);
      await new Promise((soon) => setTimeout(soon, 50));
    }
    const stop = async () => {
      await end();
      rmSync(folder, { recursive: true });
    };
    return { site, other, stop };
  }

  for (const client of [IOS, ANDROID]) {
    test(`a page beside the path prefix is signed in ${client.name}`, () =>
      expectInClient(client, service, `${nginx.site}/some/route?a=%2F#x`, "#state", "config:ok", async (page) => {
        assert.deepEqual(page.verified, [{ url: `${nginx.site}/some/route?a=%2F`, good: true }]);
      }));

    test(`a page on another host name is signed across origins in ${client.name}`, () =>
      expectInClient(client, service, `${nginx.other}/`, "#state", "config:ok", async (page) => {
        assert.deepEqual(page.verified, [{ url: `${nginx.other}/`, good: true }]);
      }));
  }

  test("the demo page works below the path prefix, and its snippets name it", () =>
    inPage(browser, { userAgent: ANDROID_WECHAT }, async (page) => {
      await installClient(page, service, {});
      await page.goto(`${nginx.site}/wechat/jssdk/demo?lang=en`);
      await page.locator("#state[data-state=ok]").waitFor();
      const snippet = await page.locator("#next-step pre").first().innerText();
      assert.ok(snippet.includes(`"${nginx.site}/wechat/jssdk/wx-jssdk.js"`), snippet);
      expectQuiet(page);
    }));

  test("both work in an ordinary browser", async () => {
    await expectInBrowser(`${nginx.site}/`, "#state", "config:ok");
    await expectInBrowser(`${nginx.other}/`, "#state", "config:ok");
  });

  test("the service alone adds the CORS headers, once, and only for a safe domain", async () => {
    const ask = async (origin) => {
      const address = `${nginx.site}/wechat/jssdk/config?url=${encodeURIComponent(`${nginx.other}/`)}`;
      return (await fetch(address, { headers: { Origin: origin } })).headers.get("access-control-allow-origin");
    };
    assert.equal(await ask(nginx.other), nginx.other);
    assert.equal(await ask("http://evil.example"), null);
  });

  test("nothing of the service is reached outside the prefix", async () => {
    for (const path of ["/jssdk/config?url=x", "/healthz", "/wechat/healthz"]) {
      assert.match(await (await fetch(nginx.site + path)).text(), /Behind nginx/, path);
    }
  });
});

/** A port that was free a moment ago: nginx cannot pick one itself. */
function freePort() {
  return new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(String(port)));
    });
  });
}
