import type { WxJssdk, WxJssdkError as Failure } from "./wx-jssdk.js";

export * from "./wx-jssdk.js";
export declare const ready: WxJssdk["ready"];
export declare const reconfigure: WxJssdk["reconfigure"];
export declare const share: WxJssdk["share"];
export declare const call: WxJssdk["call"];
export declare const agentReady: WxJssdk["agentReady"];
export declare const WxJssdkError: WxJssdk["WxJssdkError"];
export type WxJssdkError = Failure;
