// The doctor page in a browser: every kind of paste, the right cause first, no leaks and no console errors.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { DESKTOP, PHONE, browser, expectQuiet, expectVerdict, inPage, jsapiTicket, outFile, service, useServiceAndBrowser } from "./harness.mjs";

const TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
const NONCE = "Wm3WZYTPz0wzccnW";
const TIME = "1414587457";
const PAGE = "https://h.cn/p?name=%E5%BC%A0&b=2";

useServiceAndBrowser();

/** The string that a backend hashes. */
const stringOf = (url, ticket = TICKET) => `jsapi_ticket=${ticket}&noncestr=${NONCE}&timestamp=${TIME}&url=${url}`;
const sign = (url, ticket) => createHash("sha1").update(stringOf(url, ticket)).digest("hex");
const json = (signature, names = {}) =>
  JSON.stringify({
    code: 0,
    data: { appId: "wxforeign", [names.timestamp || "timestamp"]: TIME, [names.nonceStr || "nonceStr"]: NONCE, signature },
  });

/** A new doctor page; at the end there may be no console errors and no requests to other hosts. */
const atDoctor = (options, work, { hash = "", lang = "en" } = {}) =>
  inPage(browser, { viewport: DESKTOP, ...options }, async (page) => {
    await page.goto(`${service.url}/doctor?lang=${lang}${hash}`);
    await work(page);
    expectQuiet(page);
  });

async function fill(page, { paste = "", url = "", ticket = "" }) {
  await page.locator("#paste").fill(paste);
  await page.locator("#url").fill(url);
  await page.locator("#ticket").fill(ticket);
}

/** Submits the form and returns the code of the first finding. */
async function diagnosed(page, question) {
  if (question) await fill(page, question);
  const answered = page.waitForResponse((response) => response.url().endsWith("/doctor/diagnose"));
  await page.locator("#ask").click();
  await answered;
  return firstCode(page);
}

async function firstCode(page) {
  await page.locator("#result[data-code]:not([aria-busy])").waitFor();
  return page.locator("#result").getAttribute("data-code");
}

describe("what may be pasted", () => {
  const wrong = sign(decodeURIComponent(PAGE));
  for (const [name, paste, code] of [
    ["an error", "config:invalid signature", "invalid_signature"],
    ["DevTools' error", "config:fail,Error: 系统错误，错误码：63002,invalid signature [2019-12-04 15:50:27][]", "invalid_signature"],
    ["WeCom's error", "config:fail,invalid signature", "invalid_signature"],
    ["a refused domain", '{"errMsg":"config:invalid url domain"}', "domain_not_bound"],
    ["a missing permission", "chooseImage:permission denied", "permission_denied"],
    ["offline verifying", "chooseImage:the permission value is offline verifying", "offline_verifying"],
    ["an errcode", "errcode 40164", "wechat_errcode"],
    ["a backend's JSON", json(wrong), "percent_decoded"],
    ["JSON with other names", json(wrong, { nonceStr: "nonce_str", timestamp: "time_stamp" }), "percent_decoded"],
    ["JSON in JSON", JSON.stringify(json(wrong)), "percent_decoded"],
    ["a wx.config call", `wx.config({ appId: 'wxforeign', timestamp: ${TIME}, nonceStr: '${NONCE}', signature: '${wrong}' });`, "percent_decoded"],
    ["PHP's print_r", `Array ( [timestamp] => ${TIME} [nonceStr] => ${NONCE} [signature] => ${wrong} )`, "percent_decoded"],
    ["Java's toString", `{nonceStr=${NONCE}, timestamp=${TIME}, signature=${wrong}}`, "percent_decoded"],
    ["the string that was hashed", `jsapi_ticket=${TICKET}&noncestr=${NONCE}&timestamp=${TIME}&url=http://h.cn/p?name=%E5%BC%A0&b=2`, "scheme_swapped"],
    ["WeChat's refusal of a call", '{"errcode":40164,"errmsg":"invalid ip 1.2.3.4, not in whitelist rid: 5f7c"}', "wechat_errcode"],
    ["a client's words beside a backend's own", `config:invalid url domain\n{"errMsg":"ok","data":${json(sign(PAGE))}}`, "domain_not_bound"],
    ["error and JSON together", `config:invalid signature\n${json(wrong)}`, "percent_decoded"],
    ["a right answer", json(sign(PAGE)), "signature_is_right"],
    ["an answer that nothing explains", json(sign("https://elsewhere.example/")), "no_known_mistake_fits"],
    ["an answer that is cut", json(sign(PAGE).slice(0, 39)), "signature_malformed"],
    ["nothing that is known", "the page is blank", "nothing_given"],
  ]) {
    test(`${name}: ${code}`, () =>
      atDoctor({}, async (page) => {
        assert.equal(await diagnosed(page, { paste, url: `${PAGE}#/route`, ticket: TICKET }), code);
        const shown = await page.locator("#result").innerText();
        assert.ok(!shown.includes(TICKET.slice(0, 20)), "no ticket is shown");
      }));
  }

  test("a call with variables is reported as source code", () =>
    atDoctor({}, async (page) => {
      await diagnosed(page, { paste: "wx.config({ appId: res.appId, signature: res.signature })" });
      assert.match(await page.locator("#read").innerText(), /source code with variables/);
    }));

  test("pasting submits the form", () =>
    atDoctor({}, async (page) => {
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await page.evaluate(() => navigator.clipboard.writeText("config:invalid url domain"));
      await page.locator("#paste").focus();
      await page.keyboard.press("Control+V");
      assert.equal(await firstCode(page), "domain_not_bound");
    }));
});

describe("the answer", () => {
  test("both strings are compared line by line, and only the difference is marked", () =>
    atDoctor({}, async (page) => {
      await diagnosed(page, { paste: json(sign(decodeURIComponent(PAGE))), url: PAGE, ticket: TICKET });
      const marks = (kind) => page.locator(`.diff .${kind} mark`).allInnerTexts();
      assert.deepEqual([await marks("minus"), await marks("plus")], [["张"], ["%E5%BC%A0"]]);
      const signed = await page.locator(".diff .same, .diff .minus").allInnerTexts();
      assert.equal(signed.join(""), `jsapi_ticket=[jsapi_ticket]&noncestr=${NONCE}&timestamp=${TIME}&url=https://h.cn/p?name=张&b=2`);
      assert.equal(await page.locator("#confidence").innerText(), "Proven by recomputation");
      assert.match(await page.locator("#fix").innerText(), /byte for byte/);
    }));

  test("a hashed line break is visible", () =>
    atDoctor({}, async (page) => {
      assert.equal(await diagnosed(page, { paste: json(sign(`${PAGE}\n`)), url: PAGE, ticket: TICKET }), "newline_or_blank");
      assert.deepEqual(await page.locator(".diff .minus mark").allInnerTexts(), ["␊"]);
    }));

  test("a wrong hash of the right string is reported as such", () =>
    atDoctor({}, async (page) => {
      const string = `jsapi_ticket=${TICKET}&noncestr=${NONCE}&timestamp=${TIME}&url=${PAGE}`;
      const md5 = createHash("md5").update(string).digest("hex");
      assert.equal(await diagnosed(page, { paste: json(md5), url: PAGE, ticket: TICKET }), "md5_for_sha1");
      assert.ok(await page.locator("#same").isVisible());
      assert.equal(await page.locator(".diff .plus").count(), 0);
    }));

  test("the page's code configures with a backend that answers the four signed fields only", () =>
    atDoctor({}, async (page) => {
      const code = await page.locator("#code-part pre").first().textContent();
      await page.goto(`${service.url}/`);
      await expectVerdict(page, "ok");
      await page.route("**/jssdk/config?**", async (route) => {
        const { appId, timestamp, nonceStr, signature } = await (await route.fetch()).json();
        await route.fulfill({ json: { appId, timestamp, nonceStr, signature } });
      });
      const says = await page.evaluate(`(async () => {
        const { invoke } = WeixinJSBridge;
        const answered = new Promise((done) => {
          WeixinJSBridge.invoke = (name, params, callback) => invoke(name, params, ({ err_msg }) => done(err_msg));
        });
        ${code}
        return answered;
      })()`);
      assert.equal(says, "preVerifyJSAPI:ok");
    }));

  test("two mistakes are both reported", () =>
    atDoctor({}, async (page) => {
      const url = decodeURIComponent(PAGE).replace("https", "http");
      const code = await diagnosed(page, { paste: json(sign(url)), url: PAGE, ticket: TICKET });
      assert.ok(["percent_decoded", "scheme_swapped"].includes(code), code);
      assert.match(await page.locator("#others").innerText(), /at the same time/i);
      assert.equal(await page.locator("#other-list li").count(), 1);
    }));

  test("a correct signature is reported as correct, with a list of other things to check", () =>
    atDoctor({}, async (page) => {
      await diagnosed(page, { paste: json(sign(PAGE)), url: `${PAGE}#x`, ticket: TICKET });
      assert.match(await page.locator("#result-title").innerText(), /^The signature is correct; check/);
      assert.equal(await page.locator("#checks li").count(), 5);
      assert.match(await page.locator("#checks li").first().innerText(), /^h\.cn is bound/);
      assert.ok(!(await page.locator("#code-part").isVisible()));
    }));

  test("a correct signature after another finding is still reported as correct", () =>
    atDoctor({}, async (page) => {
      const milliseconds = `${TIME}000`;
      const signature = createHash("sha1").update(stringOf(PAGE).replace(TIME, milliseconds)).digest("hex");
      const paste = JSON.stringify({ timestamp: milliseconds, nonceStr: NONCE, signature });
      assert.equal(await diagnosed(page, { paste, url: PAGE, ticket: TICKET }), "sent_in_milliseconds");
      assert.match(await page.getByRole("status").filter({ hasText: "milliseconds" }).innerText(), /The signature itself is correct\./);
      await diagnosed(page, { paste: json(sign(`${PAGE}#x`)), url: `${PAGE}#x`, ticket: TICKET });
      assert.equal(await page.locator("#right").isVisible(), false);
      await diagnosed(page, { paste: json(sign(PAGE)), url: PAGE, ticket: TICKET });
      assert.equal(await page.locator("#right").isVisible(), false, "it is the title there");
    }));

  test("a string with an unknown ticket is not reported as a cause", () =>
    atDoctor({}, async (page) => {
      assert.equal(await diagnosed(page, { paste: stringOf(PAGE), url: PAGE }), "string_is_right");
      assert.equal(await page.locator("#result").getAttribute("data-tone"), "unknown");
      assert.equal(await page.locator("#confidence").innerText(), "No cause yet");
    }));

  test("the target of an error applies to that request only, and the field keeps its ticket", () =>
    atDoctor({}, async (page) => {
      const paste = `agentConfig:fail,invalid signature\n${json(sign(PAGE))}`;
      assert.equal(await diagnosed(page, { paste, url: PAGE, ticket: TICKET }), "jsapi_ticket_for_agent");
      assert.match(await page.locator("#read").innerText(), /about wx\.agentConfig/);
      assert.equal(await page.locator("#agent").isChecked(), false);
      assert.equal(await diagnosed(page, { paste: json(sign(PAGE)), url: PAGE, ticket: TICKET }), "signature_is_right");
      assert.doesNotMatch(await page.locator("#read").innerText(), /agentConfig/);
      assert.match(await page.locator("#diff").innerText(), /^jsapi_ticket=\[jsapi_ticket\]/);
    }));

  test("a signature for wx.agentConfig asks for the app's ticket in a field of its own", () =>
    atDoctor({}, async (page) => {
      const answer = { corpid: "wwforeign", agentid: "1000002", timestamp: TIME, nonceStr: NONCE, signature: sign(PAGE) };
      assert.equal(await page.locator("#agentTicket").isVisible(), false);
      assert.equal(await diagnosed(page, { paste: JSON.stringify(answer), url: PAGE }), "agent_ticket_needed");
      assert.match(await page.locator("#fix").innerText(), /agent_config ticket/);
      await page.locator("#agentTicket").fill(TICKET);
      assert.equal(await diagnosed(page), "signature_is_right");
      assert.match(await page.locator("#diff").innerText(), /^jsapi_ticket=\[agent_config ticket\]/);
      await page.locator("#clear").click();
      assert.equal(await page.locator("#agentTicket").isVisible(), false);
    }));

  test("a mistake in wx.agentConfig is shown with that config's signature", () =>
    atDoctor({}, async (page) => {
      const values = { timestamp: TIME, nonceStr: NONCE };
      const config = { ...values, appId: "wwforeign", signature: sign(PAGE) };
      const agentConfig = { ...values, corpid: "wwforeign", agentid: "1000002" };
      const both = (signature) => JSON.stringify({ config, agentConfig: { ...agentConfig, signature } });
      const http = sign(PAGE.replace("https", "http"), "TheAgentTicketOfThisApp_0123456789");
      await diagnosed(page, { paste: both(http), url: PAGE, ticket: TICKET });
      await page.locator("#agentTicket").fill("TheAgentTicketOfThisApp_0123456789");
      assert.equal(await diagnosed(page), "scheme_swapped");
      assert.ok((await page.locator("#signed-as").innerText()).includes(http.slice(0, 8)));
      assert.equal(await diagnosed(page, { paste: both(sign(PAGE)), url: PAGE, ticket: TICKET }), "jsapi_ticket_for_agent");
      assert.ok((await page.locator(".diff .plus mark").allInnerTexts()).includes("[agent_config ticket]"));
    }));

  test("values read from one text are not kept for the next", () =>
    atDoctor({}, async (page) => {
      await diagnosed(page, { paste: `config:invalid signature\n${PAGE}\n${json(sign(PAGE))}` });
      const shown = () => page.evaluate(() => ["url", "signature", "errMsg"].map((id) => document.getElementById(id).placeholder));
      assert.deepEqual(await shown(), [PAGE, sign(PAGE), "config:invalid signature"]);
      await diagnosed(page, { paste: "config:invalid url domain" });
      assert.deepEqual(await shown(), ["", "", "config:invalid url domain"]);
    }));

  test("the right way is shown in six languages", () =>
    atDoctor({}, async (page) => {
      await diagnosed(page, { paste: json(sign(`${PAGE}#x`)), url: `${PAGE}#x`, ticket: TICKET });
      const seen = new Set();
      for (const tab of await page.locator("#code-part label").all()) {
        await tab.click();
        seen.add(await page.locator("#code-part pre:visible").innerText());
      }
      assert.equal(seen.size, 6);
    }));

  test("pasted markup is escaped", () =>
    atDoctor({}, async (page) => {
      const url = "https://h.cn/p?q=<img src=x onerror=alert(1)>";
      await diagnosed(page, { paste: json(sign(`${url}#x`)), url, ticket: TICKET });
      await diagnosed(page, { paste: '{"errMsg":"config:<b>invalid signature</b>"}', url });
      assert.equal(await page.locator("#result img, #result-title b, #diff b, #fix b, #read b").count(), 0);
    }));

  test("the valid ticket of this server proves the mistake and is not shown", () =>
    atDoctor({}, async (page) => {
      const config = await (await fetch(`${service.url}/jssdk/config?url=${encodeURIComponent("https://demo.example.com/p")}`)).json();
      const code = await diagnosed(page, { paste: JSON.stringify(config), url: "http://demo.example.com/p" });
      assert.equal(code, "scheme_swapped");
      assert.match(await page.locator("#result-title").innerText(), /^https? /);
      assert.match(await page.locator("#basis").innerText(), new RegExp(config.appId));
      const ticket = await jsapiTicket(service, config.appId);
      assert.ok(!(await page.content()).includes(ticket));
    }));

  test("the server's refusals are explained", () =>
    atDoctor({}, async (page) => {
      await page.route("**/doctor/diagnose", (route) =>
        route.fulfill({ status: 429, contentType: "application/problem+json", body: JSON.stringify({ code: "rate_limited", title: "Too many questions", hint: { en: "Try again later.", zh: "请稍后再试。" } }) }),
      );
      await fill(page, { paste: "x" });
      await page.locator("#ask").click();
      await page.locator('#result[data-tone="trouble"]').waitFor();
      assert.match(await page.locator("#result").innerText(), /Too many questions[^]*Try again later\./);
      await page.goto(`${service.url}/doctor?lang=zh`);
      await fill(page, { paste: "x" });
      await page.locator("#ask").click();
      await page.locator('#result[data-tone="trouble"]').waitFor();
      assert.match(await page.locator("#result").innerText(), /服务器没有给出诊断（rate_limited）[^]*请稍后再试。/);
      assert.doesNotMatch(await page.locator("#result").innerText(), /Too many/);
      await page.goto(`${service.url}/doctor?lang=en`);
      await fill(page, { paste: "x" });
      await page.unroute("**/doctor/diagnose");
      await page.route("**/doctor/diagnose", (route) => route.abort());
      await page.locator("#ask").click();
      await page.getByText("The server does not answer").waitFor();
      page.complaints.length = 0; // the browser's own messages about the two
    }));

  test("the examples work, and the clear button empties the form", () =>
    atDoctor({}, async (page) => {
      for (const [name, code] of [
        ["json", "percent_decoded"],
        ["code", "signature_is_right"],
        ["error", "domain_not_bound"],
        ["refused", "invalid_signature"],
      ]) {
        await page.locator(`[data-example="${name}"]`).click();
        await page.locator(`#result[data-code="${code}"]:not([aria-busy])`).waitFor();
        assert.deepEqual(await page.locator('.chip[aria-pressed="true"]').evaluateAll((all) => all.map((one) => one.dataset.example)), [name]);
      }
      await page.locator("#clear").click();
      assert.equal(await page.locator("#result").getAttribute("data-code"), null);
      assert.equal(await page.locator("#paste").inputValue(), "");
      assert.ok(await page.locator("#waiting").isVisible());
    }));
});

describe("a link to it", () => {
  const hash = `#${Object.entries({
    url: "https://demo.example.com/p?q=a+b&c=%E4%BD%A0#/x",
    signature: sign("https://demo.example.com/p?q=a b&c=%E4%BD%A0"),
    nonceStr: NONCE,
    timestamp: TIME,
    appId: "wxforeign",
    errMsg: "config:invalid signature",
  })
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join("&")}`;

  test("fills the form from its fragment and submits it; the server never gets the fragment", () =>
    inPage(browser, { viewport: DESKTOP }, async (page) => {
      const asked = [];
      page.on("request", (request) => asked.push(request.url()));
      await page.goto(`${service.url}/doctor?lang=en${hash}`);
      assert.equal(await firstCode(page), "invalid_signature");
      assert.equal(await page.locator("#url").inputValue(), "https://demo.example.com/p?q=a+b&c=%E4%BD%A0#/x");
      assert.equal(await page.locator("#errMsg").inputValue(), "config:invalid signature");
      assert.ok(await page.locator("#more").evaluate((more) => more.open));
      // Only the ticket is missing.
      assert.equal(await diagnosed(page, { ticket: TICKET, url: await page.locator("#url").inputValue() }), "plus_to_space");
      assert.ok(asked.every((url) => !url.includes("signature=")), asked.join("\n"));
      expectQuiet(page);
    }));

  test("its hidden account and appId do not overrule another answer", () =>
    inPage(browser, { viewport: DESKTOP }, async (page) => {
      await page.goto(`${service.url}/doctor?lang=en${hash}`);
      await firstCode(page);
      const asked = async (question) => {
        const sent = page.waitForRequest((request) => request.url().endsWith("/doctor/diagnose"));
        await page.locator("#landing").fill("https://demo.example.com/first");
        if (question) await fill(page, question);
        await page.locator("#ask").click();
        return (await sent).postDataJSON().appId;
      };
      assert.equal(await asked(), "wxforeign", "a detail is added to the same answer");
      assert.equal(await asked({ paste: json(sign(PAGE)), url: PAGE }), undefined);
      await page.locator('#result[data-code]:not([aria-busy])').waitFor();
    }));

  test("another fragment on the same page is read too", () =>
    atDoctor({}, async (page) => {
      await page.evaluate(() => (location.hash = "errMsg=config%3Ainvalid%20url%20domain"));
      assert.equal(await firstCode(page), "domain_not_bound");
    }));

  for (const [name, paste] of [
    ["WeChat's answer with a ticket", `{"errcode":0,"errmsg":"ok","ticket":"${TICKET}","expires_in":7200}`],
    ["WeChat's answer with a token", `{ "access_token" : "${TICKET}", "expires_in": 7200 }`],
    ["a call with a token", `https://api.weixin.qq.com/cgi-bin/ticket/getticket?access_token=${TICKET.slice(0, 70)}&type=jsapi`],
    ["JSON in JSON", JSON.stringify(JSON.stringify({ ticket: TICKET.slice(0, 70) }))],
    ["PHP's print_r", `Array ( [ticket] => ${TICKET.slice(0, 70)} )`],
    ["an encoded string", encodeURIComponent(`jsapi_ticket=${TICKET.slice(0, 70)}&noncestr=n`)],
    ["an AppSecret", 'appSecret: "0123456789abcdef0123456789abcdef"'],
    ["a bare ticket", TICKET],
    ["a secret without its name", 'new JSSDK("wx0123456789abcdef", "d16fb7d220c74cdd9264ae9ad34eaf87"); // config:invalid signature'],
    ["a secret in a sentence", "Secret 为 XbCdEfGh12345678_XbCdEfGh12345678"],
    ["an API key", "curl -H 'Authorization: Bearer wxk_l_hJJZSJcGCCP_8Mn5DSZh9Pbfx' http://127.0.0.1:8081/x"],
  ]) {
    test(`neither the language's link nor a link from elsewhere carries ${name}`, () =>
      atDoctor({}, async (page) => {
        await fill(page, { paste, url: PAGE });
        await page.locator('[data-set="lang=zh"]').click();
        await page.locator("html[lang=zh-CN]").waitFor();
        assert.equal(new URL(page.url()).hash, `#url=${encodeURIComponent(PAGE)}`);
        await page.waitForFunction((url) => document.getElementById("url").value === url, PAGE);
        for (const field of ["paste", "errMsg"]) {
          await page.evaluate((fragment) => (location.hash = fragment), `${field}=${encodeURIComponent(paste)}&host=h.cn`);
          await page.waitForFunction(() => document.getElementById("host").value === "h.cn");
          assert.equal(await page.locator(`#${field}`).inputValue(), "");
          await page.evaluate(() => (document.getElementById("host").value = ""));
        }
      }));
  }

  test("switching the language keeps the input, without the ticket", () =>
    atDoctor({}, async (page) => {
      await diagnosed(page, { paste: "config:invalid url domain", url: PAGE, ticket: TICKET });
      await page.locator('[data-set="lang=zh"]').click();
      await page.locator("html[lang=zh-CN]").waitFor();
      assert.equal(await firstCode(page), "domain_not_bound");
      assert.equal(await page.locator("#url").inputValue(), PAGE);
      assert.equal(await page.locator("#ticket").inputValue(), "");
      assert.ok(!page.url().includes(TICKET.slice(0, 20)));
      assert.match(await page.locator("#result-title").innerText(), /JS接口安全域名/);
    }));
});

describe("accessibility", () => {
  test("with the keyboard alone", () =>
    atDoctor({}, async (page) => {
      const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.dataset.example || "");
      const tabTo = async (id) => {
        for (let presses = 0; presses < 30 && (await focused()) !== id; presses++) {
          await page.keyboard.press("Tab");
          const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
          assert.notEqual(ring, "none", `no focus ring on ${await focused()}`);
        }
        assert.equal(await focused(), id);
      };
      await tabTo("paste");
      await page.keyboard.insertText(json(sign(`${PAGE}#x`)));
      await tabTo("url");
      await page.keyboard.insertText(`${PAGE}#x`);
      await tabTo("ticket");
      await page.keyboard.insertText(TICKET);
      await tabTo("ask");
      await page.keyboard.press("Enter");
      assert.equal(await firstCode(page), "fragment_kept");
      await page.waitForFunction(() => document.activeElement.id === "result");
      await tabTo("sample-0");
      await page.keyboard.press("ArrowRight");
      assert.equal(await focused(), "sample-1");
      assert.match(await page.locator("#code-part pre:visible").innerText(), /createHash/);
    }));

  test("every control has a name, every hint its control, and the answer is announced", () =>
    atDoctor({}, async (page) => {
      await page.locator("#more summary").click();
      const nameless = await page.evaluate(() =>
        [...document.querySelectorAll("input, textarea, button, a")]
          .filter((one) => !(one.labels?.length || one.textContent.trim() || one.getAttribute("aria-label")))
          .map((one) => one.outerHTML),
      );
      assert.deepEqual(nameless, []);
      const dangling = await page.evaluate(() =>
        [...document.querySelectorAll("[aria-describedby], [aria-labelledby], [aria-controls], label[for]")]
          .flatMap((one) => ["aria-describedby", "aria-labelledby", "aria-controls", "for"].map((name) => one.getAttribute(name)))
          .filter((id) => id && !document.getElementById(id)),
      );
      assert.deepEqual(dangling, []);
      await diagnosed(page, { paste: "config:invalid url domain" });
      assert.match(await page.getByRole("status").filter({ hasText: "not bound" }).innerText(), /not bound/);
    }));

  for (const [size, viewport] of [
    ["phone", PHONE],
    ["desktop", DESKTOP],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const lang of ["zh", "en"]) {
        test(`${size}, ${colorScheme}, ${lang}: nothing is wider than the screen`, () =>
          atDoctor(
            { viewport, colorScheme, deviceScaleFactor: size === "phone" ? 2 : 1 },
            async (page) => {
              const shoot = async (name) => {
                const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
                assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
                await page.screenshot({ path: outFile(`doctor-${name}-${size}-${colorScheme}-${lang}.png`), fullPage: true });
              };
              await shoot("empty");
              await page.locator("#more summary").click();
              await shoot("more");
              await page.locator("#more summary").click();
              for (const [name, question] of [
                ["proven", { paste: json(sign(`${PAGE}&${"long".repeat(60)}=1#/x`)), url: `${PAGE}&${"long".repeat(60)}=1#/x`, ticket: TICKET }],
                ["right", { paste: json(sign(PAGE)), url: PAGE, ticket: TICKET }],
                ["words", { paste: "config:invalid url domain" }],
                ["nothing", { paste: "?" }],
              ]) {
                await diagnosed(page, question);
                if (size === "phone") assert.ok((await page.locator("#result").boundingBox()).y < 100, "the result is in view");
                await shoot(name);
              }
            },
            { lang },
          ));
      }
    }
  }
});
