// Demo page: fetches a signature, passes it to wx.config, shows the result and lets the user try every
// interface.
//
// interfaces.js lists the interfaces, demo-calls.js calls them, explain*.js explains errors.

import { account, client, landing, pageUrl, sandbox } from "./demo-client.js";
import { askEndpoint, Explained } from "./demo-endpoint.js";
import { configure, loadSdk } from "./demo-config.js";
import { explainProblem } from "./explain.js";
import { buildCards, markSupport, wakeCards } from "./demo-cards.js";
import { log, startLog } from "./demo-log.js";
import { startSearch } from "./demo-search.js";
import {
  showAnswer,
  showError,
  showFacts,
  showOk,
  showOutside,
  showSandbox,
  showSdk,
  showSigned,
  showSupport,
  step,
} from "./demo-banner.js";
import { API_NAMES, INTERFACES, TAG_NAMES } from "./interfaces.js";

const SIGNED_FIELDS = ["appId", "timestamp", "nonceStr", "signature"];

async function start() {
  buildCards();
  startSearch();
  startLog();
  showFacts();
  showSandbox();
  if (!client.wechat) return showOutside();
  let entry;
  try {
    const [answer] = await Promise.all([step("sign", sign), step("sdk", () => loadSdk(() => showSdk("")).then(showSdk))]);
    const config = configFor(answer);
    entry = log.begin("wx.config", { ...config, jsApiList: `${config.jsApiList.length} names` });
    await step("verify", () =>
      configure(config, { accepted: () => accepted(entry), refused: (words) => refused(words, entry) }),
    );
    accepted(entry);
  } catch (error) {
    refused(error instanceof Explained ? error.words : explainProblem({ thrown: error }), entry);
  }
}

function accepted(entry) {
  entry.end("ok", { errMsg: "config:ok" });
  showOk();
  wakeCards();
  askSupport();
}

/** Without an entry the client was not asked, so there is no signature to examine. */
function refused(words, entry) {
  if (!entry) return showError(words);
  entry.end("fail", { errMsg: words.says, cause: words.cause });
  const { appId, timestamp, nonceStr, signature, url } = entry.parameters;
  showError(words, { url, landing, appId, timestamp, nonceStr, signature, account, errMsg: words.says });
}

async function sign() {
  const url = client.checksLanding ? landing : pageUrl();
  const answer = await askEndpoint("config", { url }, { required: SIGNED_FIELDS, seen: showAnswer });
  showSigned(answer, answer.url || url);
  return answer;
}

/** Copies the lists, as jweixin changes them. WeCom's own interfaces are requested only in WeCom. */
function configFor(answer) {
  const elsewhere = INTERFACES.filter((one) => one.client === "wecom" && !client.wecom).map((one) => one.name);
  const jsApiList = API_NAMES.filter((name) => !elsewhere.includes(name));
  const config = { ...answer, jsApiList, openTagList: TAG_NAMES.slice() };
  return breakIfAsked(config);
}

/** Sandbox only: changes the last digit of the signature, to demonstrate a failure. */
function breakIfAsked(config) {
  if (!sandbox || new URLSearchParams(location.search).get("break") !== "signature") return config;
  const last = config.signature.endsWith("0") ? "1" : "0";
  return { ...config, signature: config.signature.slice(0, -1) + last };
}

/** Asks which interfaces the client supports. Without an answer the marks stay as they are. */
function askSupport() {
  const entry = log.begin("checkJsApi", { jsApiList: `${API_NAMES.length} names` });
  window.wx.checkJsApi({
    jsApiList: API_NAMES.slice(),
    success: (res) => {
      // Some clients answer ok without a result.
      if (!res.checkResult) return entry.end("ok", res);
      const able = (name) => res.checkResult[name] === true || res.checkResult[name] === "true";
      const known = API_NAMES.filter(able);
      entry.end("ok", { errMsg: res.errMsg, known });
      showSupport(known.length, API_NAMES.length);
      markSupport(known);
    },
    fail: (res) => entry.end("fail", res),
  });
}

start();
