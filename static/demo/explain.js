// Explains why the config failed: meaning, cause and fix. Failures of single calls are in explain-calls.js.

import { CLIENT_ERRORS, REFUSED, plain } from "./client-errors.js";
import { client, landing, pageUrl, sandbox } from "./demo-client.js";
import { both, capital, pick, t } from "./language.js";

/** Explains why the client script's ready() failed. `signed`: the URL that was signed, if any. */
export function explain(error, { signed = "" } = {}) {
  if (error.problem) return explainRefusal(error);
  if (error.code === "endpoint_unreachable") return explainUnreachable(error);
  if (error.code === "no_bridge") return explainNoBridge(error);
  if (error.errMsg) return explainAnswer(error, signed);
  if (error.code) return { title: titleOf(error.code), says: "", cause: both(error.cause), fixes: [both(error.fix)] };
  return {
    title: t("The page itself failed", "页面自身出错"),
    says: String(error),
    cause: t("A fault in this page's script.", "本页脚本出现异常。"),
    fixes: [t("Please report it with the line above.", "请附上上述信息反馈问题。")],
  };
}

function titleOf(code) {
  return code === "sdk_not_loaded" ? t("jweixin cannot be loaded", "无法加载 jweixin") : code;
}

/** Explains the client's refusal. client-errors.js lists the known ones. */
function explainAnswer({ errMsg, answer = {} }, signed) {
  // The bridge's name of wx.config; jweixin reports it as config.
  const says = errMsg.replace(/^preVerifyJSAPI:(fail_)?/, "config:");
  const found = [...CLIENT_ERRORS, ...REFUSED].find((one) => one.when.test(plain(says))) || REFUSED[0];
  const fixes = [...(found.code === "invalid_signature" ? compare(signed) : []), pick(found.fix)];
  const checked = answer.checkedUrl || answer.realAuthUrl || "";
  const reason = answer.reason ? sentence([answer.reason.en, answer.reason.zh]) : "";
  if (sandbox && !reason && !checked) {
    fixes.unshift(
      t("The sandbox's account is fictitious; only the simulated client knows it.", "沙箱账号是虚构的，只有模拟客户端认识它。"),
    );
  }
  return {
    title: pick(found.title),
    says,
    cause: reason || sentence(found.cause),
    checked:
      checked && !reason.includes(checked) && t(`The address that was checked: ${checked}`, `实际校验的地址：${checked}`),
    fixes,
  };
}

/** Adds the capital letter and the full stop that causes in a table lack. */
export function sentence([en, zh]) {
  const [text, stop] = t([capital(en), "."], [zh, "。"]);
  return /[.。]$/.test(text) ? text : text + stop;
}

/** Compares the signed URL with those that a client may check. */
function compare(signed) {
  if (signed && signed !== pageUrl() && !client.checksLanding) {
    return [
      t(
        "The signed address differs from the current one (above). Sign location.href, cut at the #.",
        "签名的地址与当前地址不同（见上方）。请对 location.href 去掉 # 的部分签名。",
      ),
    ];
  }
  if (signed && signed !== landing && client.checksLanding) {
    return [
      t(
        "iOS checks the address the page was first loaded with. Sign that one.",
        "iOS 校验的是首次加载的地址，请对该地址签名。",
      ),
    ];
  }
  return [];
}

/** Explains that the user agent claims WeChat, but the browser is another one. */
function explainNoBridge({ errMsg, cause, fix }) {
  const fixes = [both(fix)];
  if (sandbox)
    fixes.push(
      t("Or reset the user agent: the sandbox then simulates WeChat.", "或恢复浏览器的 User-Agent，沙箱就会模拟微信。"),
    );
  return { title: t("This browser is not WeChat", "当前浏览器不是微信"), says: errMsg, cause: both(cause), fixes };
}

/** Explains that the client has not answered wx.config. */
export function explainSilence() {
  return {
    title: t("The client does not answer", "客户端没有回应"),
    says: client.label,
    cause: t(
      "No answer to wx.config for 10 seconds: the client hangs, or the network is very slow.",
      "调用 wx.config 已 10 秒仍无回应：客户端卡住，或网络极慢。",
    ),
    fixes: [
      t("Close the page and open it again, or update WeChat.", "关闭后重新打开本页，或升级微信。"),
    ],
  };
}

function explainUnreachable({ status, errMsg, address }) {
  if (status) {
    return {
      title: t("The endpoint returned no signature", "签名接口没有返回签名"),
      says: errMsg,
      cause: t(
        "Another program answered: a proxy's error page, or another site at this path.",
        "响应来自其他程序：代理的错误页，或该路径属于其他站点。",
      ),
      fixes: [t("Open the address and check that wx-jssdk answers there.", "请直接访问该地址，确认是 wx-jssdk 在响应。"), address],
    };
  }
  return {
    title: t("The endpoint does not answer", "签名接口没有响应"),
    says: address,
    cause:
      errMsg === "timeout"
        ? t("No answer within 15 seconds.", "15 秒内没有收到响应。")
        : t(
            "The connection failed: the server is down, or a proxy, a CORS rule or the network blocks it.",
            "连接失败：服务未启动，或被代理、跨域规则、网络拦截。",
          ),
    fixes: [
      t("Check that the server runs: open /healthz.", "确认服务已启动，可查看 /healthz。"),
      t("Behind nginx or Caddy: check that this path is passed on.", "若前面有 nginx 或 Caddy，请确认该路径已转发。"),
    ],
  };
}

/** Explains the endpoint's error: RFC 9457 with a hint in both languages. */
function explainRefusal({ status, problem, retryAfter }) {
  const fixes = [problem.hint ? both(problem.hint) : t("See the server's log.", "请查看服务端日志。")];
  if (retryAfter) fixes.push(t(`Try again in ${retryAfter} s.`, `${retryAfter} 秒后再试。`));
  return {
    title: t("The server refused to sign", "服务器拒绝签名"),
    summary: t("WeChat was not asked.", "尚未交给微信校验。"),
    says: [`HTTP ${status}`, problem.code, problem.errcode && `errcode ${problem.errcode}`].filter(Boolean).join(" · "),
    // The reason is in English only: Chinese shows its code instead, and the hint.
    cause: t(
      problem.detail || problem.title || "The server gave no reason.",
      problem.code ? `服务器给出的错误码是 ${problem.code}，处理办法见下。` : "未给出原因。",
    ),
    fixes,
  };
}
