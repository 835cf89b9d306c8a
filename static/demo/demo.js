// Demo page: configures by the client script (wx-jssdk.js), shows each step and lets the user try every
// interface.
//
// interfaces.js lists the interfaces, demo-calls.js calls them, explain*.js explains errors.

import { startCopy } from "./copy.js";
import { account, client, landing, sandbox, scope } from "./demo-client.js";
import { explain, explainSilence } from "./explain.js";
import { buildCards, markSupport, wakeCards } from "./demo-cards.js";
import { log, startLog } from "./demo-log.js";
import { startSearch } from "./demo-search.js";
import {
  beginStep,
  endStep,
  showAnswer,
  showError,
  showFacts,
  showOk,
  showOutside,
  showSandbox,
  showSdk,
  showSigned,
  showSupport,
} from "./demo-banner.js";
import { API_NAMES, INTERFACES, TAG_NAMES } from "./interfaces.js";
import { SHARE_DESC, SHARE_TITLE } from "./interface-parts.js";
import { pick } from "./language.js";

const CLIENT_PATIENCE = 10000; // ms; a client that is silent for longer usually never answers

let signed = { url: "" }; // also the endpoint's answer, and config: what wx.config got
let first; // before a retry
let entry; // the config's entry in the log
let silence;

async function start() {
  try {
    buildCards();
    startSearch();
    startLog();
    startCopy();
    showFacts();
    showSandbox();
    if (!client.wechat) return showOutside();
    await configure();
    clearTimeout(silence);
    accepted();
  } catch (error) {
    clearTimeout(silence);
    refused(error);
  }
}

async function configure() {
  // WeCom's own interfaces are requested only in WeCom.
  const known = INTERFACES.filter((one) => one.client !== "wecom" || client.wecom).map((one) => one.name);
  const apis = API_NAMES.filter((name) => known.includes(name));
  const options = { endpoint: scope, apis, openTags: TAG_NAMES, onStep };
  try {
    // Without a timeout, so that a late answer is still shown.
    await window.wxJssdk.ready({ ...options, account: account || undefined, timeout: 0 });
  } catch (error) {
    if (!sandbox || error.code !== "sdk_not_loaded") throw error;
    await loadStandIn();
    showSdk(null);
    await window.wxJssdk.ready();
  }
}

function loadStandIn() {
  const script = document.createElement("script");
  script.src = "static/wx-stand-in.js";
  return new Promise((resolve, reject) => {
    Object.assign(script, { onload: resolve, onerror: () => reject(new Error(script.src)) });
    document.head.append(script);
  });
}

function onStep(event) {
  STEPS[event.step](event);
}

const STEPS = {
  sign() {
    beginStep("sign");
  },
  signed({ url, answer }) {
    endStep("sign", true);
    showSignature({ url, answer });
  },
  load({ address }) {
    beginStep("sdk");
    if (address.includes("res2.")) showSdk("");
  },
  loaded({ address }) {
    endStep("sdk", true);
    if (address) showSdk(new URL(address).host);
  },
  config(event) {
    const { config } = event;
    signed.config = config;
    breakIfAsked(config);
    entry = log.begin("wx.config", { ...config, jsApiList: `${config.jsApiList.length} names` });
    beginStep("verify");
    silence = setTimeout(() => {
      endStep("verify", false);
      finish(explainSilence());
    }, CLIENT_PATIENCE);
  },
  retry({ error }) {
    clearTimeout(silence);
    first = signed;
    entry.end("fail", { errMsg: error.errMsg });
  },
};

function showSignature(one) {
  signed = one;
  showAnswer(one.answer);
  showSigned(one.answer, one.url);
}

/** Sandbox only: changes the last digit of the signature, to demonstrate a failure. */
function breakIfAsked(config) {
  if (!sandbox || new URLSearchParams(location.search).get("break") !== "signature") return;
  const last = config.signature.endsWith("0") ? "1" : "0";
  config.signature = config.signature.slice(0, -1) + last;
}

function accepted() {
  endStep("verify", true);
  entry.end("ok", { errMsg: "config:ok" });
  showOk();
  wakeCards();
  askSupport();
  shareItself();
}

function refused(error) {
  endStep(error.code === "sdk_not_loaded" ? "sdk" : error.address ? "sign" : "verify", false);
  // The error of a failed retry is the first one.
  if (first) {
    endStep("sign", true);
    showSignature(first);
  }
  if (error.problem) showAnswer(error.problem);
  finish(explain(error, { signed: signed.url }));
}

/** Shows a failure. Without a call of wx.config there is no signature to examine. */
function finish(words) {
  if (!entry) return showError(words);
  entry.end("fail", { errMsg: words.says, cause: words.cause });
  const { appId, timestamp, nonceStr, signature } = signed.config;
  showError(words, { url: signed.url, landing, appId, timestamp, nonceStr, signature, account, errMsg: words.says });
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

/** Gives this page a share card: passing it on shows that the signature works. */
async function shareItself() {
  const card = {
    title: pick(SHARE_TITLE),
    desc: pick(SHARE_DESC),
    link: location.href,
    imgUrl: new URL("static/share.png", location.href).href,
  };
  const entry = log.begin("wxJssdk.share", card);
  try {
    await window.wxJssdk.share(card);
    entry.end("ok", { errMsg: "share:ok" });
  } catch (error) {
    entry.end("fail", { errMsg: error.errMsg || error.code });
  }
}

start();
