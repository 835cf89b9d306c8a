// Explains why the config failed: meaning, cause and fix. Failures of single calls are in explain-calls.js.

import { CLIENT_ERRORS, REFUSED, plain } from "./client-errors.js";
import { chinese, pick, t } from "./language.js";

/** Explains a client's errMsg. client-errors.js lists the known ones. */
export function explainAnswer(res, { sandbox = false, urls = {} } = {}) {
  const says = (res && res.errMsg) || t("(no errMsg)", "（没有 errMsg）");
  const found = [...CLIENT_ERRORS, ...REFUSED].find((one) => one.when.test(plain(says))) || REFUSED[0];
  const fixes = [...(found.code === "invalid_signature" ? compare(urls) : []), pick(found.fix)];
  const checked = (res && (res.checkedUrl || res.realAuthUrl)) || "";
  const reason = res && res.reason && (chinese ? res.reason.zh : res.reason.en);
  if (sandbox && !reason && !checked) {
    fixes.unshift(
      t("The sandbox's account does not exist at WeChat; only the simulated client accepts it.", "沙箱账号是虚构的，只有模拟客户端认识它。"),
    );
  }
  return {
    title: pick(found.title),
    summary: t("WeChat refused the signature.", "微信拒绝了签名。"),
    says,
    cause: reason || sentence(found.cause),
    checked:
      checked &&
      !(reason || "").includes(checked) &&
      t(`The address that was checked: ${checked}`, `实际校验的地址：${checked}`),
    fixes,
  };
}

/** Causes in the table have neither a capital letter nor a full stop. */
export function sentence([en, zh]) {
  return t(`${en[0].toUpperCase()}${en.slice(1)}.`, `${zh}。`);
}

/** Compares the page's own URLs. */
function compare({ signed, landing, current, checksLanding }) {
  if (signed && current && signed !== current && !checksLanding) {
    return [
      t(
        "The signed address differs from the current one (below). Sign location.href, cut at the #.",
        "签名的地址与当前地址不同（见下方）。请对 location.href 去掉 # 的部分签名。",
      ),
    ];
  }
  if (signed && landing && signed !== landing && checksLanding) {
    return [
      t(
        "iOS checks the address the page was first loaded with. Sign that one.",
        "iOS 校验的是页面最初载入时的地址，请对该地址签名。",
      ),
    ];
  }
  return [];
}

/** Explains a failure before the client was asked. */
export function explainProblem(what) {
  if (what.problem) return explainRefusal(what);
  if (what.unreachable) {
    return {
      title: t("The endpoint does not answer", "签名接口没有响应"),
      says: what.unreachable,
      cause: what.slow
        ? t("No answer came within 15 seconds.", "15 秒内没有收到回复。")
        : t(
            "The connection failed: the server is down, or a proxy, a CORS rule or the network prevents it.",
            "连接失败：服务未启动，或被代理、跨域规则、网络拦截。",
          ),
      fixes: [
        t("Check that the server is running, for example with /healthz.", "确认服务已启动，可查看 /healthz。"),
        t("Behind nginx or Caddy: check that the path is forwarded.", "若前面有 nginx 或 Caddy，请确认该路径已转发。"),
      ],
    };
  }
  if (what.notJson !== undefined) {
    return {
      title: t("The endpoint's answer is not JSON", "签名接口返回的不是 JSON"),
      says: `HTTP ${what.status}: ${what.notJson.trim().slice(0, 120)}`,
      cause: t(
        "Another server answered: a proxy's error page, or another site at this path.",
        "回复来自别处：代理的错误页，或该路径属于其他站点。",
      ),
      fixes: [t("Request the endpoint directly and check which server answers.", "请单独访问签名接口，看看是谁在回复。")],
    };
  }
  if (what.missing) {
    return {
      title: t("The endpoint's answer is incomplete", "签名接口的返回不完整"),
      says: what.missing.join(", "),
      cause: t("wx.config needs these fields, spelled exactly so.", "wx.config 需要这些字段，且大小写必须一致。"),
      fixes: [t("Check that the endpoint is wx-jssdk.", "请确认该接口确为 wx-jssdk。")],
    };
  }
  if (what.noSdk) {
    return {
      title: t("jweixin cannot be loaded", "无法加载 jweixin"),
      says: what.noSdk.join(", "),
      cause: t("Neither of WeChat's two script hosts answered.", "微信的两个脚本域名都没有响应。"),
      fixes: [
        t("Check the phone's network, and that it does not block these hosts.", "检查手机网络，以及是否拦截了上述域名。"),
        t(
          "If a proxy adds a Content-Security-Policy, its script-src must allow both hosts.",
          "若中途附加了 CSP，其 script-src 必须允许这两个域名。",
        ),
      ],
    };
  }
  if (what.silent) {
    return {
      title: t("The client does not answer", "客户端没有回应"),
      says: what.silent,
      cause: t(
        "wx.config was called 10 seconds ago and neither ready nor error came: no WeixinJSBridge, or a very slow network.",
        "调用 wx.config 已 10 秒，ready 与 error 均未触发：没有 WeixinJSBridge，或网络极慢。",
      ),
      fixes: [
        t(
          "Check that this is WeChat's browser, and not another app with WeChat's user agent.",
          "确认这是微信内置浏览器，而不是伪装 UA 的应用。",
        ),
        t("Close and reopen the page, or update WeChat.", "关闭后重新打开本页，或升级微信。"),
      ],
    };
  }
  return {
    title: t("The page itself failed", "页面自身出错"),
    says: String(what.thrown),
    cause: t("An error in this page's script.", "本页脚本出现异常。"),
    fixes: [t("Please report it with the line above.", "请附上面的信息反馈。")],
  };
}

/** Explains the endpoint's error: RFC 9457 with a hint in both languages. */
function explainRefusal({ status, problem, retryAfter }) {
  const hint = problem.hint && (chinese ? problem.hint.zh : problem.hint.en);
  const fixes = hint ? [hint] : [t("Check the server's log.", "请查看服务端日志。")];
  if (retryAfter) fixes.push(t(`Try again in ${retryAfter} s.`, `${retryAfter} 秒后再试。`));
  return {
    title: t("No signature", "服务器没有给出签名"),
    summary: t("The server refused to sign; WeChat was not involved.", "服务器拒绝签名，尚未交给微信校验。"),
    says: [`HTTP ${status}`, problem.code, problem.errcode && `errcode ${problem.errcode}`].filter(Boolean).join(" · "),
    // The reason is in English only: Chinese shows its code instead, and the hint.
    cause: t(
      problem.detail || problem.title || "No reason was given.",
      problem.code ? `服务器给出的错误码是 ${problem.code}，处理办法见下。` : "未给出原因。",
    ),
    fixes,
  };
}
