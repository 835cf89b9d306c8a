// Types of wx-jssdk.js. It sets a global and exports no value, so one file works for <script> and import:
//
//   import "wx-jssdk-client";      // or <script src="/jssdk/wx-jssdk.js"></script>
//   const wx = await wxJssdk.ready({ apis: ["chooseImage"] });

/**
 * Errors of the signing endpoint, the client and this script. Unknown codes of the endpoint are passed on
 * unchanged.
 */
export type WxJssdkErrorCode =
  | "not_in_wechat"
  | "no_bridge"
  | "sdk_not_loaded"
  | "endpoint_unreachable"
  | "page_not_allowed"
  | "account_required"
  | "unknown_account"
  | "accounts_not_loaded"
  | "unsupported_credential"
  | "missing_url"
  | "bad_url"
  | "rate_limited"
  | "account_misconfigured"
  | "upstream_unavailable"
  | "upstream_quota"
  | "invalid_signature"
  | "domain_not_bound"
  | "trusted_domain_mismatch"
  | "config_field_missing"
  | "config_failed"
  | "offline_verifying"
  | "permission_denied"
  | "function_not_exist"
  | "api_failed"
  | "cancelled_by_user"
  | "timeout"
  | (string & {});

/** A text in both languages. */
export interface Bilingual {
  readonly en: string;
  readonly zh: string;
}

/** The error type of this script. */
export interface WxJssdkError extends Error {
  readonly name: "WxJssdkError";
  /** Code, cause and fix, in the page's language (`lang` of its html element, else the browser's). */
  readonly message: string;
  readonly code: WxJssdkErrorCode;
  readonly cause: Bilingual;
  readonly fix: Bilingual;
  /** The client's or the network's error text, verbatim. */
  readonly errMsg?: string;
  /** The client's whole answer, if it gave one. */
  readonly answer?: Readonly<Record<string, unknown>>;
  /** Name of the interface that was called. */
  readonly api?: string;
  /** The URL that was signed, and the page's URL at the refusal. */
  readonly signedUrl?: string;
  readonly currentUrl?: string;
  /** Endpoint errors: request URL, HTTP status (0: no answer), Retry-After in seconds, problem document. */
  readonly address?: string;
  readonly status?: number;
  readonly retryAfter?: number;
  readonly problem?: Readonly<Record<string, unknown>>;
}

export interface ReadyOptions {
  /** Interfaces for jsApiList, in addition to those of earlier calls; default: the account's list. */
  apis?: readonly string[] | undefined;
  /** Open tags, such as "wx-open-launch-weapp", in addition to those of earlier calls. */
  openTags?: readonly string[] | undefined;
  /** Account that signs; default: the server's. */
  account?: string | undefined;
  /** Path of the scope, such as "/jssdk"; default: the directory of this script. */
  endpoint?: string | undefined;
  /** wx.config's debug: alerts every answer. */
  debug?: boolean | undefined;
  /**
   * Signs again after pushState, replaceState and popstate, if the client checks the current URL or the page uses
   * open tags, whose permission ends with the route; share() and call() wait for it.
   */
  autoReconfigure?: boolean | undefined;
  /** Time in ms that the client may take to answer wx.config; default 10000, 0 means no timeout. */
  timeout?: number | undefined;
  /** Called at each step of configuring, for logs and diagnosis. */
  onStep?: ((step: ReadyStep) => void) | undefined;
}

/** In this order; signing and loading run side by side. After `config` the promise resolves or rejects. */
export type ReadyStep =
  | { step: "sign"; url: string }
  | { step: "signed"; url: string; answer: Readonly<Record<string, unknown>> }
  | { step: "load"; address: string }
  /** Without an address: the page had loaded jweixin itself. */
  | { step: "loaded"; address?: string }
  /** What wx.config gets; the listener may change it. */
  | { step: "config"; config: Record<string, unknown> }
  /** The client refused this URL; the other one is signed. */
  | { step: "retry"; error: WxJssdkError };

export interface ShareCard {
  title: string;
  desc?: string | undefined;
  /** Default: this page with its fragment, location.href. Its domain must be a JS safe domain. */
  link?: string | undefined;
  imgUrl?: string | undefined;
}

/** jweixin. It also has the functions that are not listed here. */
export interface Wx {
  config(config: Record<string, unknown>): void;
  ready(callback: () => void): void;
  error(callback: (res: { errMsg: string }) => void): void;
  checkJsApi(args: { jsApiList: string[]; success?: (res: WxResult) => void }): void;
  invoke?(name: string, args: object, callback: (res: Record<string, unknown>) => void): void;
  on?(event: string, callback: (res: Record<string, unknown>) => void): void;
  miniProgram: {
    getEnv(callback: (res: { miniprogram: boolean }) => void): void;
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    [name: string]: (args?: any) => void;
  };
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [api: string]: any;
}

export interface WxResult {
  errMsg: string;
  [field: string]: unknown;
}

/** Answers with known fields; every other interface returns WxResult. */
export interface WxResults {
  checkJsApi: WxResult & { checkResult: Record<string, boolean> };
  chooseImage: WxResult & { localIds: string[] };
  getLocalImgData: WxResult & { localData: string };
  uploadImage: WxResult & { serverId: string };
  downloadImage: WxResult & { localId: string };
  getLocation: WxResult & { latitude: number | string; longitude: number | string };
  getNetworkType: WxResult & { networkType: string };
  scanQRCode: WxResult & { resultStr: string };
  stopRecord: WxResult & { localId: string };
  translateVoice: WxResult & { translateResult: string };
}

export interface WxJssdk {
  /** Configures (again, if options are given) and resolves with jweixin once the client accepts the signature. */
  ready(options?: ReadyOptions): Promise<Wx>;
  /** Signs the page's current URL again, after a route change. */
  reconfigure(): Promise<Wx>;
  /** Sets the share card for friends and for Moments; in WeCom also that of the button to WeChat (微信). */
  share(card: ShareCard): Promise<void>;
  /**
   * Calls one interface after ready(), by the client's bridge if jweixin lacks it. `timeout` in ms, 0 means no
   * timeout; default: 10000 for names that begin with check, getNet, update, hide or show, else 0.
   */
  call<Name extends keyof WxResults>(name: Name, args?: object, options?: { timeout?: number | undefined }): Promise<WxResults[Name]>;
  call(name: string, args?: object, options?: { timeout?: number | undefined }): Promise<WxResult>;
  /**
   * Runs WeCom's agentConfig after config, for the page's current URL. Call it again after a route change.
   * `account` and `endpoint` apply if ready() was not called before; `apis` replaces those of earlier calls.
   */
  agentReady(options?: Pick<ReadyOptions, "apis" | "account" | "endpoint" | "debug">): Promise<Wx>;
  readonly WxJssdkError: new (code: WxJssdkErrorCode, more?: Partial<WxJssdkError>) => WxJssdkError;
}

declare global {
  const wxJssdk: WxJssdk;
  interface Window {
    readonly wxJssdk: WxJssdk;
  }
}
