// Why a single call came to nothing, and what to do. The config's own failures are in explain.js.

import { client } from "./demo-client.js";
import { pick, t } from "./language.js";

/** `{cause, fixes}` of an outcome that is no success; `support`: what checkJsApi said of it (true, false, undefined). */
export function explainCall(entry, outcome, res, support) {
  if (outcome === "blocked") return { cause: res.cause, fixes: res.fixes || [] };
  if (outcome === "cancel") return { cause: t("Cancelled by the user.", "用户已取消。"), fixes: [] };
  if (outcome === "slow") return { cause: waiting(res), fixes: [] };
  if (outcome === "timeout") return silence(entry, res, support);
  const says = String(res.errMsg || "");
  const found = KNOWN.find((one) => one.when.test(says));
  const words = found ? { cause: found.cause(entry), fixes: found.fixes(entry) } : unknown();
  // The simulated client knows the reason: then there is nothing to guess.
  if (res.reason) return { cause: pick([res.reason.en, res.reason.zh]), fixes: found && found.certain ? words.fixes : [] };
  return withNeeds(entry, words, found);
}

function waiting({ waited }) {
  return t(
    `No answer for ${waited} s. If the phone shows something, it waits for you.`,
    `已等待 ${waited} 秒仍无回应。若手机上有弹出界面，说明正在等待你操作。`,
  );
}

/** The client said nothing at all: jweixin then calls neither success nor fail. */
function silence(entry, { waited }, support) {
  const cause = t(
    `The client has not answered for ${waited} s. jweixin itself would wait for ever.`,
    `客户端 ${waited} 秒内没有回应；jweixin 自身会一直等下去。`,
  );
  const fixes = [];
  if (entry.via === "tag") {
    fixes.push(
      t(
        "The tag never became ready: this client does not make open tags, or the account may not use them.",
        "标签没有就绪：客户端不支持开放标签，或账号没有权限。",
      ),
    );
  } else if (support === false) {
    fixes.push(t("checkJsApi says that this client does not know it.", "checkJsApi 表明此客户端不支持该接口。"));
  } else {
    fixes.push(t("An answer that comes after all will be shown here.", "若之后收到回应，仍会显示在这里。"));
  }
  return withNeeds(entry, { cause, fixes }, null);
}

/** What the interface needs beside a signature is then the likeliest reason, unless the words have named another. */
function withNeeds(entry, words, found) {
  if (entry.needs && !(found && found.certain)) words.fixes.push(pick(entry.needs[1]));
  if (entry.client === "wecom" && !client.wecom)
    words.cause = t("This interface is WeCom's; here is another client.", "该接口属于企业微信，当前是其他客户端。");
  if (entry.client === "mini" && !client.mini) {
    words.cause = t("This page is not in a mini program's web-view.", "本页不在小程序的 web-view 中。");
  }
  return words;
}

function unknown() {
  return {
    cause: t("The client refused, in the words below.", "客户端拒绝了，原话见下。"),
    fixes: [t("Check the parameters against them.", "请对照检查参数。")],
  };
}

const KNOWN = [
  {
    when: /offline verifying/i,
    cause: () =>
      t("Config has not passed, or the interface is not in jsApiList.", "config 尚未通过，或该接口不在 jsApiList 中。"),
    fixes: () => [
      t(
        "This page lists it, so: is the config still right for this address?",
        "本页已将其列入，请确认 config 对当前地址仍然有效。",
      ),
      t(
        "DevTools and PC say this of interfaces that only a phone has: try a phone.",
        "开发者工具与电脑版对仅手机支持的接口也会这样回应，请在手机上再试。",
      ),
    ],
  },
  {
    when: /permission denied|no permission|access.denied/i,
    cause: () => t("The account lacks this interface, or the user said no.", "账号没有该接口权限，或用户拒绝了授权。"),
    fixes: () => [
      t(
        "In the account's console: does it have this interface? Many are given to verified accounts only.",
        "请在公众平台「接口权限」中查看；许多接口仅对已认证的账号开放。",
      ),
    ],
  },
  {
    when: /function.?not.?exist|not.?support|not implemented/i,
    cause: () => t("This client does not have the interface.", "此客户端没有该接口。"),
    fixes: ({ name, replacedBy }) => [
      client.wecom && /^update.*ShareData$/.test(name)
        ? t(
            "WeCom knows the older onMenuShareAppMessage and onMenuShareTimeline.",
            "企业微信使用旧接口 onMenuShareAppMessage 与 onMenuShareTimeline。",
          )
        : replacedBy
          ? t(`It is deprecated: use ${replacedBy}.`, `该接口已废弃，请改用 ${replacedBy}。`)
          : t(
              "Update WeChat, or try a phone; ask checkJsApi before you call it.",
              "请升级微信或换手机再试；调用前先用 checkJsApi 判断。",
            ),
    ],
  },
  {
    when: /not in (a )?mini ?program/i,
    certain: false,
    cause: () => t("This page is not in a mini program's web-view.", "本页不在小程序的 web-view 中。"),
    fixes: () => [],
  },
  {
    when: /invalid localid|localid.*(missing|empty|not found)/i,
    certain: true,
    cause: () =>
      t(
        "The client does not know this localId: it lives only as long as the page.",
        "客户端不认识该 localId：它只在本页存续期间有效。",
      ),
    fixes: () => [t("Choose or record again.", "请重新选图或录音。")],
  },
  {
    when: /invalid signature|40093|invalid corpid|reliable domain|invalid agentid/i,
    certain: true,
    cause: () => t("WeCom refused the app's signature.", "企业微信拒绝了应用的签名。"),
    fixes: () => [
      t(
        "It wants the ticket of type=agent_config, of this very app, over the current address.",
        "须用该应用的 type=agent_config ticket 对当前地址签名。",
      ),
      t(
        "Is the page's host the app's trusted domain (exactly), and agentid this app's?",
        "确认本页域名与应用的可信域名完全一致，且 agentid 属于该应用。",
      ),
    ],
  },
  {
    when: /prepay|缺少参数|参数|pay.?sign|total_fee/i,
    certain: false,
    cause: () => t("WeChat Pay does not accept these parameters.", "微信支付不接受这些参数。"),
    fixes: () => [],
  },
  {
    when: /location.*(off|disabled|denied)|system.?permission|auth.?deny/i,
    cause: () => t("The phone does not allow WeChat to do this.", "手机系统没有授予微信该权限。"),
    fixes: () => [t("Allow it in the phone's settings, under WeChat.", "请在手机「设置」中为微信开启相应权限。")],
  },
];
