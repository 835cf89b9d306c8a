// The functions of wx-jssdk.js as exports. On a server, where there is no page, importing it does nothing.
import "./wx-jssdk.js";

export const ready = (options) => wxJssdk.ready(options);
export const reconfigure = () => wxJssdk.reconfigure();
export const share = (card) => wxJssdk.share(card);
export const call = (name, args, options) => wxJssdk.call(name, args, options);
export const agentReady = (options) => wxJssdk.agentReady(options);
export const WxJssdkError = typeof wxJssdk === "object" ? wxJssdk.WxJssdkError : class WxJssdkError extends Error {};
