// Calls one interface, in the way it requires, and reports the outcome.
//
// Outcomes: jweixin's "ok", "cancel" and "fail"; "armed": a listener waits for its event; "slow" and
// "timeout": the client has not answered; "blocked": not called, with the reason.

import { client } from "./demo-client.js";
import { explain } from "./explain.js";
import { fill } from "./fill.js";
import { WECOM_NAMES } from "./interfaces.js";
import { t } from "./language.js";
import { signCoupon } from "./sign-coupon.js";

const QUICK = 8000; // ms, for interfaces without a user prompt
const SLOW = 15000; // ms until "slow" is reported for interfaces with a user prompt
const USER = 90000; // ms, for interfaces with a user prompt, such as choosing a picture
const READY = 6000; // ms until an open tag must have appeared

// Fired once after the config, long before a tag is tried.
let tagsRefused = "";
document.addEventListener("WeixinOpenTagsError", ({ detail }) => (tagsRefused = (detail && detail.errMsg) || "fail"));

/** `tell(outcome, res)` may be called several times: late answers, and each event of a listener. */
export async function call(entry, args, tell) {
  const answered = patiently(entry, tell);
  try {
    if (entry.signs && client.wecom) return answered("blocked", noCoupons());
    const signed = entry.signs && (await SIGNED[entry.signs](args));
    await WAYS[entry.via || "api"](entry, signed || args, answered);
  } catch (error) {
    if (!error.code) return answered("fail", { errMsg: String(error) });
    const { says, cause, fixes } = explain(error);
    answered("blocked", { errMsg: says, cause, fixes });
  }
}

/** Reports "slow" and "timeout" if the client does not answer. A late answer is still reported. */
function patiently(entry, tell) {
  const limit = entry.user ? USER : QUICK;
  const slow = entry.user && setTimeout(() => tell("slow", { waited: SLOW / 1000 }), SLOW);
  const last = setTimeout(() => {
    clearTimeout(slow); // timers of a phone that was asleep may fire in any order
    tell("timeout", { waited: limit / 1000 });
  }, limit);
  return (outcome, res) => {
    clearTimeout(slow);
    clearTimeout(last);
    tell(outcome, res);
  };
}

function handlers(answered) {
  return {
    success: (res) => answered("ok", res),
    fail: (res) => answered("fail", res),
    cancel: (res) => answered("cancel", res),
  };
}

/** Classifies a raw answer as jweixin does. */
function judge(name, raw) {
  const res = { ...raw };
  const says = String(res.errMsg || res.err_msg || "");
  const verdict = says.slice(says.indexOf(":") + 1);
  if (/^(ok|confirm)$/.test(verdict) || /^network_type:/.test(says)) return ["ok", { ...res, errMsg: says }];
  return [/cancel/i.test(verdict) ? "cancel" : "fail", { ...res, errMsg: says || `${name}:fail` }];
}

const WAYS = {
  api(entry, args, answered) {
    const api = window.wx[entry.name];
    if (!api) return answered("blocked", missing(entry.name));
    api({ ...args, ...handlers(answered) });
  },
  /** jweixin passes a listener's event to success; the registration itself gets no answer. */
  listen(entry, args, answered) {
    window.wx[entry.name]({ complete: (res) => answered("ok", res) });
    answered("armed", {});
  },
  menu(entry, args, answered) {
    window.wx[entry.name]({ ...args, ...handlers(answered) });
    answered("armed", {});
  },
  invoke(entry, args, answered) {
    if (!client.wecom) return answered("blocked", notWeCom(entry.name));
    window.wx.invoke(entry.name, { ...args }, (raw) => answered(...judge(entry.name, raw)));
  },
  raw(entry, { name, args }, answered) {
    window.wx.invoke(name, { ...args }, (raw) => answered(...judge(name, raw)));
  },
  rawOn(entry, { event }, answered) {
    window.wx.on(event, (raw) => answered("ok", { event, ...raw }));
    answered("armed", {});
  },
  async agent(entry, args, answered) {
    if (!client.wecom) return answered("blocked", notWeCom(entry.name));
    try {
      await window.wxJssdk.agentReady({ apis: WECOM_NAMES });
      answered("ok", { errMsg: "agentConfig:ok" });
    } catch (error) {
      if (error.code === "timeout") return; // reported already
      if (!error.answer) throw error;
      answered(...judge("agentConfig", error.answer));
    }
  },
  env(entry, args, answered) {
    window.wx.miniProgram.getEnv((res) => answered("ok", res));
  },
  mini(entry, args, answered) {
    const name = entry.name.split(".")[1];
    window.wx.miniProgram[name]({ ...args, ...handlers(answered) });
  },
  /** The client renders the tag; the page inserts it and listens. */
  tag(entry, args, answered) {
    const tag = document.createElement(entry.name);
    for (const [name, value] of Object.entries(args)) tag.setAttribute(name, value);
    if (tagsRefused) return answered("fail", { errMsg: `${entry.name}:${tagsRefused}` });
    // In a script, which frameworks and the content security policy leave alone; browsers do not run this
    // type.
    const face = document.createElement("script");
    face.type = "text/wxtag-template";
    face.textContent = `<button>${entry.name}</button>`;
    tag.append(face);
    const impatience = setTimeout(() => answered("timeout", { waited: READY / 1000 }), READY);
    const settle = (outcome, res) => {
      clearTimeout(impatience);
      answered(outcome, res);
    };
    const refused = ({ detail }) => settle("fail", { errMsg: `${entry.name}:${(detail && detail.errMsg) || "fail"}` });
    tag.addEventListener("ready", () => settle("ok", { errMsg: `${entry.name}:ready` }));
    tag.addEventListener("error", refused);
    for (const event of ["launch", "success", "play", "ended"]) {
      tag.addEventListener(event, ({ detail }) => answered("ok", { errMsg: `${entry.name}:${event}`, ...detail }));
    }
    fill(document.querySelector(`[data-stage="${entry.name}"]`), tag);
  },
};

/** Parameters that this server signs at the moment of the call. */
const SIGNED = {
  async "card-ext"(args) {
    const { cardId, cardExt } = await signCoupon("card-ext", args);
    return { cardList: [{ cardId, cardExt }] };
  },
  "choose-card": (args) => signCoupon("choose-card", args),
};

function noCoupons() {
  return {
    cause: t(
      "Not called: coupons belong to official accounts, WeCom has none.",
      "没有调用：卡券属于公众号，企业微信中没有。",
    ),
    fixes: [t("Open this page in WeChat.", "请在微信中打开本页。")],
  };
}

function notWeCom(name) {
  return {
    cause: t(
      `Not called: only WeCom has ${name}, and this is another client.`,
      `没有调用：${name} 仅存在于企业微信，当前是其他客户端。`,
    ),
    fixes: [
      t(
        "Open this page in WeCom, with ?account= naming a WeCom account of this server.",
        "请在企业微信中打开本页，并用 ?account= 指定本服务中的企业微信账号。",
      ),
    ],
  };
}

function missing(name) {
  return {
    cause: t(`This jweixin has no function ${name}.`, `当前的 jweixin 没有 ${name} 这个函数。`),
    fixes: [t("Load jweixin-1.6.0.js, or a newer one.", "请加载 jweixin-1.6.0.js 或更新的版本。")],
  };
}
