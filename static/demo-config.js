// Loads jweixin and passes the signature to wx.config. It displays nothing.

import { client, landing, pageUrl, sandbox } from "./demo-client.js";
import { Explained } from "./demo-endpoint.js";
import { explainAnswer, explainProblem } from "./explain.js";

const SDK_HOSTS = ["https://res.wx.qq.com", "https://res2.wx.qq.com"];
const SDK_PATH = "/open/js/jweixin-1.6.0.js";
const SDK_PATIENCE = 5000; // ms per host
const CLIENT_PATIENCE = 10000; // ms; a client that is silent for longer usually never answers

/**
 * Resolves with the host that served jweixin, or `null` for the sandbox's stand-in. Calls `retrying` when the
 * first host failed.
 */
export async function loadSdk(retrying) {
  for (const host of SDK_HOSTS) {
    try {
      await loadScript(host + SDK_PATH, SDK_PATIENCE);
      return host.slice("https://".length);
    } catch (error) {
      retrying();
    }
  }
  if (!sandbox) throw new Explained(explainProblem({ noSdk: SDK_HOSTS }));
  await loadScript("static/wx-stand-in.js", SDK_PATIENCE);
  return null;
}

function loadScript(address, patience) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const settle = (outcome, value) => {
      clearTimeout(timer);
      outcome(value);
    };
    const timer = setTimeout(() => settle(reject, new Error(`${address} did not come`)), patience);
    // A script that is not jweixin (a captive portal's page) loads without an error and defines no wx.
    script.onload = () => (window.wx && window.wx.config ? settle(resolve) : settle(reject, new Error("no wx in it")));
    script.onerror = () => settle(reject, new Error(`${address} failed`));
    script.src = address;
    document.head.append(script);
  });
}

/**
 * Resolves when the client accepts. Rejects after ten seconds without an answer; a later answer is reported
 * by `late.accepted()` or `late.refused(words)`.
 */
export function configure(config, late) {
  return new Promise((resolve, reject) => {
    const wx = window.wx;
    // After a failure jweixin runs the error callback and then every ready callback as well.
    let failed = false;
    let gaveUp = false;
    const timer = setTimeout(() => {
      gaveUp = true;
      reject(new Explained(explainProblem({ silent: client.label })));
    }, CLIENT_PATIENCE);
    const accept = () => (gaveUp ? late.accepted() : resolve());
    const refuse = (words) => (gaveUp ? late.refused(words) : reject(new Explained(words)));
    wx.error((res) => {
      failed = true;
      clearTimeout(timer);
      const urls = { signed: config.url || landing, landing, current: pageUrl(), checksLanding: client.checksLanding };
      refuse(explainAnswer(res, { sandbox, urls }));
    });
    wx.ready(async () => {
      if (failed) return;
      const refusal = await unheardRefusal();
      clearTimeout(timer);
      if (refusal) refuse(explainAnswer({ errMsg: refusal }, { sandbox }));
      else accept();
    });
    wx.config(config);
  });
}

/**
 * jweixin compares versions as text: it takes "10.0" for older than "6.0.2" and then never calls wx.error. In
 * such a client a harmless call shows whether the config was accepted.
 */
async function unheardRefusal() {
  if (!(client.version && client.version < "6.0.2")) return "";
  await null; // wx.invoke is defined only when wx.config returns
  return new Promise((resolve) => {
    window.wx.invoke("getNetworkType", {}, (raw) => {
      const says = String(raw.err_msg || raw.errMsg);
      resolve(/network_type:|:ok$/.test(says) ? "" : says);
    });
  });
}
