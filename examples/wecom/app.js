// @wecom/jssdk, WeCom's official SDK, signed by this service. It works in WeChat too.
// 使用企业微信官方的 @wecom/jssdk，由本服务签名；在微信中同样可用。

import * as ww from "@wecom/jssdk";

const inWeCom = /wxwork\//i.test(navigator.userAgent);
// A corp in WeCom, an official account in WeChat; here the ones of the sandbox.
const OURS = inWeCom
  ? { account: "demo-work", corpId: "ww0123456789abcdef", agentId: 1000002, jsApiList: ["selectEnterpriseContact"] }
  : { account: "demo", corpId: "wx0123456789abcdef", jsApiList: ["getNetworkType"] };

// The answer of the endpoint is what a getter must return. @wecom/jssdk decides which URL is signed and when.
// 接口的返回可直接作为签名函数的返回值；签哪个地址、何时重签，由 @wecom/jssdk 决定。
const signedBy = (endpoint) => async (url) => {
  const response = await fetch(`/jssdk/${endpoint}?account=${OURS.account}&url=${encodeURIComponent(url)}`);
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.code}: ${answer.hint.zh} ${answer.hint.en}`);
  return answer;
};

const show = (id) => (result) => (document.getElementById(id).textContent = result.errMsg || String(result));

ww.register({
  corpId: OURS.corpId,
  agentId: OURS.agentId,
  jsApiList: OURS.jsApiList,
  getConfigSignature: signedBy("config"),
  // Since WeCom 3.0.24, only this one is called there. 自企业微信 3.0.24 起，在企业微信中只会调用它
  getAgentConfigSignature: inWeCom ? signedBy("agent-config") : undefined,
  onConfigSuccess: show("config"),
  onConfigFail: show("config"), // @wecom/jssdk also raises an unhandled rejection
  onAgentConfigSuccess: show("agentConfig"),
  onAgentConfigFail: show("agentConfig"),
});

if (!/micromessenger/i.test(navigator.userAgent)) show("config")("Open this page in WeCom or WeChat · 请在企业微信或微信中打开");
