// Loads jweixin and hands the signature to wx.config: what the client makes of it, and nothing about how that is shown.

import { client, landing, pageUrl, sandbox } from "./demo-client.js";
import { Explained } from "./demo-endpoint.js";
import { explainAnswer, explainProblem } from "./explain.js";

const SDK_HOSTS = ["https://res.wx.qq.com", "https://res2.wx.qq.com"];
const SDK_PATH = "/open/js/jweixin-1.6.0.js";
const SDK_PATIENCE = 5000; // ms per host
const CLIENT_PATIENCE = 10000; // ms; a client that has not answered by then mostly never will

/** Gives the host that served it, or `null` for the sandbox's stand-in. `retrying` is told when the first host failed. */
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
    // A script that is no jweixin (a captive portal's page) loads without an error and brings no wx.
    script.onload = () => (window.wx && window.wx.config ? settle(resolve) : settle(reject, new Error("no wx in it")));
    script.onerror = () => settle(reject, new Error(`${address} failed`));
    script.src = address;
    document.head.append(script);
  });
}

/**
 * Resolves when the client accepts. A client that is silent for ten seconds is given up; what it says after all replaces
 * what was said in between, by `late.accepted()` or `late.refused(words)`.
 */
export function configure(config, late) {
  return new Promise((resolve, reject) => {
    const wx = window.wx;
    // On a failure jweixin runs the error callback and then every ready callback as well.
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
 * jweixin compares versions as text: to it "10.0" is older than "6.0.2", and then it never calls wx.error.
 * In such a client one harmless call tells whether the config was accepted.
 */
async function unheardRefusal() {
  if (!(client.version && client.version < "6.0.2")) return "";
  await null; // wx.invoke comes into being only when wx.config returns
  return new Promise((resolve) => {
    window.wx.invoke("getNetworkType", {}, (raw) => {
      const says = String(raw.err_msg || raw.errMsg);
      resolve(/network_type:|:ok$/.test(says) ? "" : says);
    });
  });
}
