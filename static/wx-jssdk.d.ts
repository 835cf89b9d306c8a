// Types of wx-jssdk.js. It sets a global and exports no value, so that one file serves <script> and import alike:
//
//   import "/jssdk/wx-jssdk.js";      // or <script src="/jssdk/wx-jssdk.js"></script>
//   const wx = await wxJssdk.ready({ apis: ["chooseImage"] });

/** What the signing endpoint and the client can answer; an unknown code of the endpoint is passed on as it is. */
export type WxJssdkErrorCode =
  | "not_in_wechat"
  | "sdk_not_loaded"
  | "endpoint_unreachable"
  | "page_not_allowed"
  | "unknown_account"
  | "unsupported_credential"
  | "missing_url"
  | "bad_url"
  | "rate_limited"
  | "account_misconfigured"
  | "upstream_unavailable"
  | "upstream_quota"
  | "invalid_signature"
  | "domain_not_bound"
  | "config_field_missing"
  | "config_failed"
  | "offline_verifying"
  | "permission_denied"
  | "function_not_exist"
  | "api_failed"
  | "cancelled_by_user"
  | "timeout"
  | (string & {});

/** One sentence in both languages. */
export interface Bilingual {
  readonly en: string;
  readonly zh: string;
}

/** Every failure of this script. */
export interface WxJssdkError extends Error {
  readonly name: "WxJssdkError";
  readonly code: WxJssdkErrorCode;
  readonly cause: Bilingual;
  readonly fix: Bilingual;
  /** What the client (or the network) said, word for word. */
  readonly errMsg?: string;
  /** The interface that was called. */
  readonly api?: string;
  /** The address that was signed, and the page's when it was refused. */
  readonly signedUrl?: string;
  readonly currentUrl?: string;
  /** Of the endpoint: what was asked, its HTTP status (0: none), seconds of Retry-After, its problem document. */
  readonly address?: string;
  readonly status?: number;
  readonly retryAfter?: number;
  readonly problem?: Readonly<Record<string, unknown>>;
}

export interface ReadyOptions {
  /** Interfaces for jsApiList; the account's own list if left out. */
  apis?: readonly string[];
  /** Open tags, such as "wx-open-launch-weapp". */
  openTags?: readonly string[];
  /** The account that signs; the server's default if left out. */
  account?: string;
  /** Where the scope is, such as "/jssdk"; by default the directory of this script. */
  endpoint?: string;
  /** wx.config's debug: every answer is alerted. */
  debug?: boolean;
  /** Sign anew after pushState, replaceState and popstate, where the client checks the current address; share() and call() wait for it. */
  autoReconfigure?: boolean;
}

export interface ShareCard {
  title: string;
  desc?: string;
  /** By default this page. Its domain must be a JS safe domain. */
  link?: string;
  imgUrl?: string;
}

/** jweixin itself. What is not named here is there as well. */
export interface Wx {
  config(config: Record<string, unknown>): void;
  ready(callback: () => void): void;
  error(callback: (res: { errMsg: string }) => void): void;
  checkJsApi(args: { jsApiList: string[]; success?: (res: WxResult) => void }): void;
  invoke?(name: string, args: object, callback: (res: Record<string, unknown>) => void): void;
  on?(event: string, callback: (res: Record<string, unknown>) => void): void;
  miniProgram: Record<string, (args?: unknown) => void>;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [api: string]: any;
}

export interface WxResult {
  errMsg: string;
  [field: string]: unknown;
}

/** The answers whose fields are known; every other interface gives WxResult. */
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
  /** Configures (again, if options are given) and fulfils with jweixin once the client accepts the signature. */
  ready(options?: ReadyOptions): Promise<Wx>;
  /** Signs the page's present address anew: after a route change. */
  reconfigure(): Promise<Wx>;
  /** Sets the card for friends and for the timeline. */
  share(card: ShareCard): Promise<void>;
  /** Calls one interface, after ready(). `timeout` in ms, 0 for none: the default where the user has to act. */
  call<Name extends keyof WxResults>(name: Name, args?: object, options?: { timeout?: number }): Promise<WxResults[Name]>;
  call(name: string, args?: object, options?: { timeout?: number }): Promise<WxResult>;
  /**
   * WeCom's agentConfig, after config, for the page's present address: to be called again after a route. `account` and `endpoint`
   * count where ready() was not called before.
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
