// Explains why a single call failed, and what to do. Failures of the config are in explain.js.

import { CLIENT_ERRORS, plain } from "./client-errors.js";
import { client } from "./demo-client.js";
import { sentence } from "./explain.js";
import { pick, t } from "./language.js";

/** Codes that state the cause, so that the interface's other requirements are not suggested. */
const CERTAIN = ["local_id_invalid", "agent_config_signature", "trusted_domain_mismatch", "agent_id_invalid", "app_id_invalid"];

/** Returns `{cause, fixes}` of a failed call; `support`: checkJsApi's result (true, false, undefined). */
export function explainCall(entry, outcome, res, support) {
  if (outcome === "blocked") return { cause: res.cause, fixes: res.fixes || [] };
  if (outcome === "cancel") return { cause: t("Cancelled by the user.", "用户已取消。"), fixes: [] };
  if (outcome === "slow") return { cause: waiting(res), fixes: [] };
  if (outcome === "timeout") return silence(entry, res, support);
  const says = String(res.errMsg || "");
  const found = CLIENT_ERRORS.find((one) => one.when.test(plain(says)));
  const certain = Boolean(found) && CERTAIN.includes(found.code);
  const words = found ? { cause: sentence(found.cause), fixes: fixesFor(entry, found) } : unknown();
  // The simulated client knows the reason.
  if (res.reason) return { cause: sentence([res.reason.en, res.reason.zh]), fixes: certain ? words.fixes : [] };
  return withNeeds(entry, words, certain);
}

/** Suggests the replacement if the interface has one. */
function fixesFor({ name, replacedBy }, found) {
  if (found.code !== "function_not_exist") return [pick(found.fix)];
  if (client.wecom && /^update.*ShareData$/.test(name)) {
    return [
      t(
        "WeCom knows the older onMenuShareAppMessage and onMenuShareTimeline.",
        "企业微信使用旧接口 onMenuShareAppMessage 与 onMenuShareTimeline。",
      ),
    ];
  }
  if (replacedBy) return [t(`It is deprecated: use ${replacedBy}.`, `该接口已废弃，请改用 ${replacedBy}。`)];
  return [pick(found.fix)];
}

function waiting({ waited }) {
  return t(
    `No answer for ${waited} s. If the phone shows a dialog, it is waiting for you.`,
    `已等待 ${waited} 秒仍无回应。若手机上有弹出界面，说明正在等待你操作。`,
  );
}

/** The client did not answer: jweixin then calls neither success nor fail. */
function silence(entry, { waited }, support) {
  const cause = t(
    `The client has not answered for ${waited} s; jweixin would wait forever.`,
    `客户端 ${waited} 秒内没有回应；jweixin 自身会一直等下去。`,
  );
  const fixes = [];
  if (entry.via === "tag") {
    fixes.push(
      t(
        "The tag did not become ready: this client does not render open tags, or the account has no permission.",
        "标签没有就绪：客户端不支持开放标签，或账号没有权限。",
      ),
    );
  } else if (support === false) {
    fixes.push(t("According to checkJsApi this client does not support it.", "checkJsApi 表明此客户端不支持该接口。"));
  } else {
    fixes.push(t("A late answer will still be shown here.", "若之后收到回应，仍会显示在这里。"));
  }
  return withNeeds(entry, { cause, fixes }, false);
}

/** Adds what the interface needs besides a signature as the likeliest cause, unless the error names another. */
function withNeeds(entry, words, certain) {
  if (entry.needs && !certain) words.fixes.push(pick(entry.needs[1]));
  if (entry.client === "wecom" && !client.wecom)
    words.cause = t("Only WeCom has this interface; this is another client.", "该接口属于企业微信，当前是其他客户端。");
  if (entry.client === "mini" && !client.mini) {
    words.cause = t("This page is not in a mini program's web-view.", "本页不在小程序的 web-view 中。");
  }
  return words;
}

function unknown() {
  return {
    cause: t("The client refused; its message is below.", "客户端拒绝了，返回见下。"),
    fixes: [t("Check the parameters.", "请对照检查参数。")],
  };
}
