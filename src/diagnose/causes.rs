//! The mistakes that a computation can prove, each with its cause and fix. To add one, add a row here, and
//! in `url_mistakes`, `framework_urls` or `value_mistakes.rs` the change that reproduces it.

use crate::error::Text;

/// A known mistake.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// A stable code in snake_case.
    pub(super) code: &'static str,
    pub(super) cause: Text,
    pub(super) fix: Text,
}

pub(super) const fn row(code: &'static str, cause: [&'static str; 2], fix: [&'static str; 2]) -> Cause {
    Cause { code, cause: Text::new(cause[0], cause[1]), fix: Text::new(fix[0], fix[1]) }
}

/// Fix for any change to the URL between the page and the hash.
const AS_IT_CAME: [&str; 2] = [
    "Sign the page's URL byte for byte as the page sent it: location.href.split('#')[0], encoded once with encodeURIComponent, decoded once by the web framework, then unchanged.",
    "请逐字节对页面传来的地址签名：location.href.split('#')[0] 经 encodeURIComponent 编码一次，由 Web 框架解码一次，之后不再做任何处理。",
];

/// Fix for a backend that builds the URL itself.
const FROM_THE_PAGE: [&str; 2] = [
    "Let the page send its own URL ('url=' + encodeURIComponent(location.href.split('#')[0])) and sign it; never build it from Host, scheme, path or Referer on the server.",
    "让页面传入自己的地址（'url=' + encodeURIComponent(location.href.split('#')[0])）并对它签名；不要在服务端用 Host、协议、路径或 Referer 拼接。",
];

/// Fix for a wrongly built string.
const THE_STRING: [&str; 2] = [
    "Hash exactly jsapi_ticket=T&noncestr=N&timestamp=S&url=U: names in lower case, in this order, values not encoded, no additional characters.",
    "只对 jsapi_ticket=T&noncestr=N&timestamp=S&url=U 计算：键名小写、顺序固定、值不编码，前后和中间不要有任何多余字符。",
];

/// Fix for a wrong hash.
const THE_HASH: [&str; 2] = [
    "The signature is the SHA-1 of the string, written as 40 lower-case hex digits.",
    "签名是该字符串的 SHA-1，写成 40 位小写十六进制。",
];

/// Fix for a value that is sent in another form than it was signed.
const ONE_VALUE: [&str; 2] = [
    "Create nonce and timestamp (in seconds) once, sign them, and send the same values to the page.",
    "随机串和时间戳（秒）只生成一次，用同一个值签名并返回给页面。",
];

/// Fix for a ticket that was altered before signing.
const THE_TICKET: [&str; 2] = [
    "Use the ticket of getticket's JSON answer unchanged, store it in a column of at least 512 characters, and do not sign without a ticket.",
    "ticket 直接取自 getticket 返回的 JSON，不做改动；数据库字段至少 512 字符；没有 ticket 时不要签名。",
];

pub(super) static FRAGMENT_KEPT: Cause = row("fragment_kept",
    ["the URL was signed with its fragment (# and after); WeChat verifies the part before it", "签名用的地址带有 # 及其后的内容，而微信校验时会去掉"],
    ["Send location.href.split('#')[0], or cut at the first # before signing.", "请传入 location.href.split('#')[0]，或在签名前从第一个 # 处截断。"]);
pub(super) static PERCENT_DECODED: Cause = row("percent_decoded",
    ["the address was percent-decoded once too often before it was signed", "地址在签名前被多解码了一次（%XX 变成了原字符）"], AS_IT_CAME);
pub(super) static CHARSET: Cause = row("another_charset",
    ["non-ASCII characters of the URL were converted with a charset other than UTF-8 (GBK, ISO-8859-1, ASCII)", "地址中的非 ASCII 字符没有按 UTF-8 处理（用了 GBK、ISO-8859-1 或 ASCII）"],
    ["Sign the URL in its escaped form, which is ASCII. Wherever text is converted to bytes, specify UTF-8: getBytes(StandardCharsets.UTF_8), URIEncoding=\"UTF-8\", never the platform's default.", "请对未解码的地址签名，此时全是 ASCII。凡是文本转字节处都要指定 UTF-8：getBytes(StandardCharsets.UTF_8)、URIEncoding=\"UTF-8\"，不要用平台默认编码。"]);
pub(super) static ENCODED: Cause = row("encoded_once_more",
    ["the address was signed in its percent-encoded form (http%3A%2F%2F…)", "签名用的是编码后的地址（http%3A%2F%2F…）"],
    ["Decode the parameter once before signing; most frameworks do that. Do not encode the values of the signed string.", "签名前应解码一次（一般由框架完成），待签名字符串中的值不要编码。"]);
pub(super) static DOUBLE_ENCODED: Cause = row("double_encoded",
    ["the address was percent-encoded twice", "地址被编码了两次"],
    ["Encode it once: encodeURIComponent(location.href), and let no router, axios params or template encode it again.", "只编码一次：encodeURIComponent(location.href)，不要再被路由、axios 的 params 或模板编码一遍。"]);
pub(super) static ESCAPES_ENCODED: Cause = row("escapes_encoded_again",
    ["each % of the address became %25: it was passed through encodeURI a second time", "地址中的 % 变成了 %25：又经过了一次 encodeURI"], AS_IT_CAME);
pub(super) static PLUS_TO_SPACE: Cause = row("plus_to_space",
    ["+, %20 and space of the URL were exchanged before signing", "地址中的 +、%20 与空格在签名前被互相替换"],
    ["Encode the URL with encodeURIComponent (+ becomes %2B), and decode it only once.", "请用 encodeURIComponent 传入地址（+ 会变成 %2B），并只解码一次。"]);
pub(super) static ESCAPE_CASE: Cause = row("escape_case_changed",
    ["the hex digits of the escapes changed their case (%E5 and %e5 are different bytes)", "转义的十六进制大小写被改变（%E5 与 %e5 不同）"], AS_IT_CAME);
pub(super) static HTML_ESCAPED: Cause = row("html_escaped",
    ["the address was HTML-escaped: & became &amp;", "地址被做了 HTML 转义：& 变成了 &amp;"],
    ["Switch the template's or the filter's escaping off for this value; hand it to the script as JSON.", "请对该值关闭模板或过滤器的 HTML 转义，以 JSON 形式传给脚本。"]);
pub(super) static JSON_ESCAPED: Cause = row("json_escaped",
    [r"the address was signed with JSON's escapes or quotes (\/ or \u0026)", r"签名用的地址带有 JSON 的转义或引号（\/、\u0026）"],
    ["Parse the JSON and sign the string inside it, not its source text.", "请先解析 JSON，对其中的字符串签名，而不是对 JSON 原文签名。"]);
pub(super) static CUT_AT_AMPERSAND: Cause = row("cut_at_ampersand",
    ["the address was cut at an &: its own parameters became parameters of the request", "地址在 & 处被截断：页面自己的参数变成了接口的参数"],
    ["Encode it: '/jssdk/config?url=' + encodeURIComponent(location.href.split('#')[0]).", "请先编码：'/jssdk/config?url=' + encodeURIComponent(location.href.split('#')[0])。"]);
pub(super) static QUERY_DROPPED: Cause = row("query_dropped",
    ["the address was signed without its query", "签名时丢掉了地址中 ? 之后的参数"], FROM_THE_PAGE);
pub(super) static QUERY_REORDERED: Cause = row("query_reordered",
    ["the parameters of the address were put in another order", "地址中的参数顺序被改变"], AS_IT_CAME);
pub(super) static QUERY_REENCODED: Cause = row("query_reencoded",
    ["the query was parsed and written again, with different bytes", "地址的参数被解析后重新拼接，字节已不相同"], AS_IT_CAME);
pub(super) static ARRAYS_REWRITTEN: Cause = row("array_parameters_rewritten",
    ["the array parameters of the URL (a[]=1&a[]=2) were parsed and written in another form", "地址中的数组参数（a[]=1&a[]=2）被解析后写成了另一种形式"], AS_IT_CAME);
pub(super) static DUPLICATES_DROPPED: Cause = row("duplicate_parameters_dropped",
    ["a repeated parameter of the URL lost all but one value", "地址中重复出现的参数只保留了一个值"], AS_IT_CAME);
pub(super) static NAMES_REWRITTEN: Cause = row("parameter_names_rewritten",
    ["the names of the parameters were changed: PHP writes a.b as a_b", "参数名被改变：PHP 会把 a.b 变成 a_b"], AS_IT_CAME);
pub(super) static PARAMETER_DROPPED: Cause = row("parameter_dropped",
    ["one or more parameters of the page's URL are missing in the signed URL", "签名用的地址比页面地址少了参数"],
    ["Read location.href when signing; no router, cache or proxy may remove a parameter.", "请在签名时读取 location.href，不要让路由、缓存或代理去掉参数。"]);
pub(super) static SHARE_PARAMETERS: Cause = row("share_parameters_added",
    ["WeChat added parameters when the page was shared (from=singlemessage, isappinstalled …), and the URL without them was signed", "分享后微信给地址加了参数（from=singlemessage、isappinstalled 等），而签名用的地址没有"],
    ["Read location.href in the page each time; never hard-code the address or take it from a template or cache.", "每次都在页面中读取 location.href，不要写死地址，也不要用模板或缓存中的地址。"]);
pub(super) static OAUTH_PARAMETERS: Cause = row("oauth_parameters",
    ["the page came back from OAuth with code and state in its address, and the URL without them (or the authorisation URL) was signed", "页面经网页授权跳转后地址带有 code 和 state，而签名用的是不带它们的地址（或授权地址）"],
    ["Sign the page's actual URL after the redirect, with code and state; or redirect to the clean URL first.", "请对授权跳转后的实际地址（含 code、state）签名；或先跳转到不带这两个参数的地址。"]);
pub(super) static TRAILING_SLASH: Cause = row("trailing_slash",
    ["a slash at the end of the path was added or removed", "路径末尾多了或少了一个 /"], AS_IT_CAME);
pub(super) static INDEX_FILE: Cause = row("index_file",
    ["the path was signed with, or without, the name of its index file", "签名用的路径多了或少了首页文件名（index.html 等）"], FROM_THE_PAGE);
pub(super) static SCHEME: Cause = row("scheme_swapped",
    ["http was signed for an https page, or vice versa: behind a proxy that terminates TLS, the server sees http", "页面与签名的协议不同（http / https）：在终止 TLS 的代理之后，服务端看到的是 http"], FROM_THE_PAGE);
pub(super) static PORT: Cause = row("port_changed",
    ["a port was added to the signed URL, or is missing in it", "签名用的地址多了或少了端口号"], FROM_THE_PAGE);
pub(super) static HOST: Cause = row("another_host",
    ["the host of the API, a proxy or a container was signed instead of the page's host", "签名用的是接口、代理或容器的主机名，而不是页面的"], FROM_THE_PAGE);
pub(super) static WWW: Cause = row("www_changed",
    ["www. was added to the signed URL, or is missing in it", "签名用的地址多了或少了 www."], FROM_THE_PAGE);
pub(super) static API_URL: Cause = row("api_url_signed",
    ["the URL of the signing request was signed instead of the page's URL", "签名用的是签名接口自己的地址，而不是页面地址"], FROM_THE_PAGE);
pub(super) static ORIGIN_ONLY: Cause = row("origin_only",
    ["only scheme and host were signed, the same for every page: the app signs a constant (location.origin, a setting) or the Referer of a cross-origin request, which contains only these", "只对协议和主机签名，每个页面都一样：程序用了固定地址（location.origin 或配置项），或跨域请求的 Referer（只有协议和主机）"], FROM_THE_PAGE);
pub(super) static SCHEME_MISSING: Cause = row("scheme_missing",
    ["the URL was signed without its scheme, or only its path was signed", "签名用的地址没有协议部分，或只有路径"],
    ["Sign the whole address: location.href.split('#')[0].", "请对完整地址签名：location.href.split('#')[0]。"]);
pub(super) static PATH_PREFIX: Cause = row("path_prefix_stripped",
    ["the first part of the path is missing: a proxy strips it before the server sees it", "路径缺少第一段：代理转发时去掉了前缀"], FROM_THE_PAGE);
pub(super) static PREFIX_ADDED: Cause = row("path_prefix_added",
    ["the signed path has an additional prefix: a proxy adds it to the path", "路径开头多了一段：代理转发时加上了前缀"], FROM_THE_PAGE);
pub(super) static SCRIPT_PATH: Cause = row("script_path_signed",
    ["the path of the rewritten script was signed (PHP_SELF, SCRIPT_NAME or index.php?s=…) instead of the page's path", "签名用的是重写后的脚本路径（PHP_SELF、SCRIPT_NAME 或 index.php?s=…），而不是页面路径"], FROM_THE_PAGE);
pub(super) static PATH_DECODED: Cause = row("path_decoded",
    ["the decoded path was signed (getServletPath, request.path, URL.Path); the client keeps the escapes", "签名用的路径是服务端解码后的（getServletPath、request.path、URL.Path），而客户端保留 %XX"], FROM_THE_PAGE);
pub(super) static PATH_REENCODED: Cause = row("path_reencoded",
    ["the path was decoded and escaped again by other rules, with different bytes", "路径被解码后按另一套规则重新编码，字节已不相同"], FROM_THE_PAGE);
pub(super) static PATH_PARAMETERS: Cause = row("path_parameters_dropped",
    ["the path lost its parameters (;jsessionid=…): servlets match without them", "路径丢掉了 ; 之后的参数（如 ;jsessionid=…）：Servlet 匹配时会去掉"], FROM_THE_PAGE);
pub(super) static SLASHES_MERGED: Cause = row("slashes_merged",
    ["consecutive slashes were merged (nginx, servlets and path.Clean do that)", "连续的 / 被合并成一个（nginx、Servlet、path.Clean 会这样做）"], FROM_THE_PAGE);
pub(super) static QUESTION_ENCODED: Cause = row("question_mark_encoded",
    ["the ? before the query was escaped: path and query were passed on as one path", "? 被编码成 %3F：路径和参数被当作一个路径传递"], FROM_THE_PAGE);
pub(super) static PATH_DROPPED: Cause = row("path_dropped",
    ["the path is missing in the signed URL, but its query is present", "签名用的地址没有路径，只有参数"], FROM_THE_PAGE);
pub(super) static LANDING: Cause = row("landing_url_signed",
    ["the address of the first page load was signed: right for WeChat on iOS, wrong for every other client", "签名用的是首次加载的地址：iOS 微信校验的就是它，其他客户端校验的是当前地址"],
    ["Elsewhere than on iOS, call wx.config again with the current address after each route change. If the client returns the URL that it checked (realAuthUrl), sign exactly that one.", "iOS 以外的客户端，路由变化后请用当前地址重新 wx.config。若客户端给出了它校验的地址（realAuthUrl），就对该地址签名。"]);
pub(super) static LOWER_CASED: Cause = row("url_lower_cased",
    ["the address was changed to lower case", "地址被转成了小写"], AS_IT_CAME);
pub(super) static NEWLINE: Cause = row("newline_or_blank",
    ["a line break or blank before or after the URL was hashed with it", "地址前后有换行或空格，被一起计算"],
    ["Trim the address, and hash the string without a line break (echo -n, not echo).", "请去掉地址前后的空白；计算时不要带换行（用 echo -n 而不是 echo）。"]);
pub(super) static DOUBLE_QUESTION: Cause = row("double_question_mark",
    ["a ? was added to the signed URL, or is missing in it", "签名用的地址多了或少了一个 ?"], AS_IT_CAME);
pub(super) static NULL_QUERY: Cause = row("null_query_added",
    ["the URL was built from its parts, with ?null for a page without a query", "地址是用各部分拼接的，页面没有参数，末尾却拼上了 ?null"], FROM_THE_PAGE);
pub(super) static EMPTY_TAIL: Cause = row("empty_query_changed",
    ["an empty part of the query (a ? or & at the end, a name without a value) was added or removed", "地址末尾的 ?、& 或没有值的参数被添加或去掉"], AS_IT_CAME);
pub(super) static URL_MISSING: Cause = row("url_was_missing",
    ["the signing function received no URL: it signed an empty string, undefined or null", "签名函数没有收到地址：对空串、undefined 或 null 签了名"],
    ["Check the name of the parameter that carries the address (query or body), and refuse to sign without it.", "请检查传地址的参数名和位置（query 或 body），没有地址时应拒绝签名。"]);
pub(super) static OTHER_URL: Cause = row("another_url_signed",
    ["the backend signed the URL in its answer, and the page is on another URL", "后端签名用的是返回内容中的地址，与页面的实际地址不同"], FROM_THE_PAGE);

pub(super) static PREVIOUS_TICKET: Cause = row("previous_ticket",
    ["the previous jsapi_ticket was used", "签名用的是上一个 jsapi_ticket"],
    ["A cache keeps the ticket longer than its expires_in, or two servers each keep their own: use one source, and cache only for the remaining lifetime.", "有缓存超过了 expires_in，或多台服务器各自缓存：请从同一处获取，并按剩余有效期缓存。"]);
pub(super) static OTHER_ACCOUNT: Cause = row("ticket_of_another_account",
    ["the ticket of another account was used", "签名用的是其他账号的 ticket"],
    ["The ticket must belong to the appId of wx.config, or to the agentid of wx.agentConfig: check how the account is chosen, and the cache key.", "ticket 必须属于 wx.config 中的 appId，或 wx.agentConfig 中的 agentid：请检查账号的选择以及缓存键是否区分账号和应用。"]);
pub(super) static CARD_TICKET: Cause = row("card_ticket_for_jsapi",
    ["the wx_card ticket was used", "签名用的是卡券 ticket（wx_card）"],
    ["Call getticket with type=jsapi for wx.config, and keep the two tickets under different keys.", "wx.config 要用 getticket 的 type=jsapi，两种 ticket 要用不同的缓存键。"]);
pub(super) static AGENT_TICKET: Cause = row("agent_ticket_for_jsapi",
    ["the app's agent_config ticket was used for wx.config", "wx.config 使用了应用的 agent_config ticket"],
    ["wx.config requires the corp's ticket (get_jsapi_ticket); the app's (ticket/get?type=agent_config) is for wx.agentConfig.", "wx.config 用企业 ticket（get_jsapi_ticket），应用 ticket（ticket/get?type=agent_config）只用于 wx.agentConfig。"]);
pub(super) static CORP_TICKET: Cause = row("jsapi_ticket_for_agent",
    ["the corp's jsapi_ticket was used for wx.agentConfig", "wx.agentConfig 使用了企业的 jsapi_ticket"],
    ["wx.agentConfig requires the app's ticket: ticket/get?type=agent_config with the app's own access token.", "wx.agentConfig 要用应用的 ticket：以该应用的 access_token 调用 ticket/get?type=agent_config。"]);
pub(super) static ACCESS_TOKEN: Cause = row("access_token_for_ticket",
    ["the access token was used as the ticket", "把 access_token 当作 ticket 使用"],
    ["Fetch a ticket with it first: getticket?type=jsapi&access_token=….", "请先用它换取 ticket：getticket?type=jsapi&access_token=…。"]);
pub(super) static PASTED_TICKET: Cause = row("ticket_not_current",
    ["the ticket in the signed string is not the account's current ticket", "参与计算的字符串中的 ticket 不是该账号当前有效的 ticket"],
    ["Check the source of the backend's ticket: a cache that outlives the ticket, a second server that refreshes its own, or another account's appId. Use the single source that refreshes it.", "请检查后端的 ticket 来源：缓存超过了有效期、另一台服务器各自刷新，或用了其他账号的 appId；应统一从唯一负责刷新的地方获取。"]);
pub(super) static TICKET_BLANK: Cause = row("ticket_with_newline",
    ["a line break, blank, quotes or byte order mark surround the ticket", "ticket 前后有换行、空格、引号或 BOM"], THE_TICKET);
pub(super) static TICKET_MISSING: Cause = row("ticket_was_missing",
    ["there was no ticket when signing: an empty string, undefined or null was used", "签名时没有 ticket：其位置是空串、undefined 或 null"], THE_TICKET);
pub(super) static TICKET_CUT: Cause = row("ticket_cut",
    ["the ticket was truncated", "ticket 被截断"], THE_TICKET);
pub(super) static TICKET_CASE: Cause = row("ticket_case_changed",
    ["the ticket changed its case", "ticket 的大小写被改变"], THE_TICKET);

pub(super) static MILLISECONDS: Cause = row("timestamp_in_milliseconds",
    ["the timestamp is in milliseconds on one side and in seconds on the other", "时间戳一处是毫秒，另一处是秒"], ONE_VALUE);
pub(super) static OTHER_TIME: Cause = row("another_timestamp",
    ["the signed timestamp differs from the one that was sent: the clock was read twice", "签名用的时间戳与返回的不同：取了两次时间"], ONE_VALUE);
pub(super) static TIME_ZONE: Cause = row("timestamp_in_local_time",
    ["the signed timestamp is off by hours or half hours: local time was used as UTC", "签名用的时间戳相差若干小时或半小时：把本地时间当作了 UTC"], ONE_VALUE);
pub(super) static TIME_AS_TEXT: Cause = row("timestamp_written_otherwise",
    ["the timestamp was formatted differently when signed (quotes, decimals, blanks), or was missing", "签名时时间戳的写法不同（引号、小数、空白）或为空"], ONE_VALUE);
pub(super) static TWO_NONCES: Cause = row("two_nonces",
    ["the answer has two different nonces under two spellings, and the one that wx.config does not read was signed", "返回中有两种写法、两个不同的随机串，签名用的是 wx.config 不读取的那个"], ONE_VALUE);
pub(super) static TWO_TIMES: Cause = row("two_timestamps",
    ["the answer has two different timestamps under two spellings, and the one that wx.config does not read was signed", "返回中有两种写法、两个不同的时间戳，签名用的是 wx.config 不读取的那个"], ONE_VALUE);
pub(super) static NONCE_CASE: Cause = row("nonce_case_changed",
    ["the nonce changed its case between signing and sending", "随机串在签名与返回之间大小写被改变"], ONE_VALUE);
pub(super) static NONCE_BLANK: Cause = row("nonce_trimmed",
    ["blanks, quotes or a line break around the nonce differ between signing and sending", "随机串前后的空白、引号或换行在签名与返回时不一致"], ONE_VALUE);
pub(super) static NONCE_ROUNDED: Cause = row("nonce_rounded",
    ["the answer has the nonce as a number, and JavaScript reads numbers above 2^53 only approximately", "返回的随机串是数字，超过 2^53 的数字在 JavaScript 中会丢失精度"],
    ["Send nonceStr as a string.", "请以字符串形式返回 nonceStr。"]);
pub(super) static NONCE_MISSING: Cause = row("nonce_was_missing",
    ["the nonce was missing when it was signed", "签名时没有随机串"], ONE_VALUE);

pub(super) static NONCE_NAME: Cause = row("nonce_name",
    ["the nonce is not named noncestr in the signed string; nonceStr is its name in wx.config only", "待签名字符串中的随机串没有写成 noncestr；nonceStr 只是 wx.config 中的写法"], THE_STRING);
pub(super) static TICKET_NAME: Cause = row("ticket_name",
    ["the ticket is not named jsapi_ticket in the signed string", "待签名字符串中的 ticket 没有写成 jsapi_ticket"], THE_STRING);
pub(super) static TIMESTAMP_NAME: Cause = row("timestamp_name",
    ["the timestamp is not named timestamp in the signed string", "待签名字符串中的时间戳没有写成 timestamp"], THE_STRING);
pub(super) static UNSORTED: Cause = row("parameters_unsorted",
    ["the parameters of the signed string are in another order", "待签名字符串的参数顺序不对"], THE_STRING);
pub(super) static VALUES_ONLY: Cause = row("values_only",
    ["only the values were hashed, without their names: that is the rule for cards", "只对值做了计算，没有键名：那是卡券签名的规则"], THE_STRING);
pub(super) static SEPARATOR: Cause = row("separator",
    ["the parameters of the signed string are not joined by one &", "待签名字符串的参数没有用单个 & 连接"], THE_STRING);
pub(super) static TIMES_ENTITY: Cause = row("times_entity",
    ["&timestamp became ×tamp: the string was processed as HTML, where &times is an entity", "&timestamp 变成了 ×tamp：字符串经过了 HTML，&times 被当作实体"], THE_STRING);
pub(super) static STRAY: Cause = row("stray_separator",
    ["the signed string has a ? or & before or after it", "待签名字符串的前面或后面多了 ? 或 &"], THE_STRING);
pub(super) static BOM: Cause = row("byte_order_mark",
    ["the signed string begins with a byte order mark", "待签名字符串前有 BOM"], THE_STRING);
pub(super) static STRING_ENCODED: Cause = row("string_encoded",
    ["the whole signed string was percent-encoded before hashing", "整个待签名字符串在计算前被编码"], THE_STRING);
pub(super) static STRING_CASE: Cause = row("string_case_changed",
    ["the whole signed string was changed to lower or upper case", "整个待签名字符串被转成了小写或大写"], THE_STRING);
pub(super) static PARAMETER_MISSING: Cause = row("parameter_missing",
    ["one of the four parameters is missing in the signed string", "待签名字符串缺少四个参数之一"], THE_STRING);
pub(super) static APP_ID_ADDED: Cause = row("app_id_added",
    ["the app id was added to the signed string", "待签名字符串中多了 appid"], THE_STRING);
pub(super) static PAYMENT_KEY: Cause = row("payment_key_added",
    ["the string was built as for a payment, with &key= at its end", "按支付签名的规则拼接了字符串，末尾带 &key="], THE_STRING);
pub(super) static UTF16: Cause = row("utf16_hashed",
    ["the string was hashed as UTF-16, not as UTF-8", "字符串按 UTF-16 而不是 UTF-8 计算"], THE_STRING);

pub(super) static UPPER_HEX: Cause = row("upper_case_hex",
    ["the signature is written in upper-case hex", "签名是大写的十六进制"], THE_HASH);
pub(super) static ZEROS_LOST: Cause = row("hex_zeros_lost",
    ["zeros are missing in the signature's hex: bytes below 16 were written with one digit, or the number without its leading zeros", "签名的十六进制丢了 0：小于 16 的字节只写了一位，或整个数去掉了前导 0"],
    ["Write each byte with two digits (String.format(\"%02x\", b), not Integer.toHexString or BigInteger.toString(16)): always 40 digits.", "每个字节都要写成两位（用 String.format(\"%02x\", b)，不要用 Integer.toHexString 或 BigInteger.toString(16)），总长固定 40 位。"]);
pub(super) static MD5: Cause = row("md5_for_sha1",
    ["MD5 was used instead of SHA-1", "用了 MD5 而不是 SHA-1"], THE_HASH);
pub(super) static SHA256: Cause = row("sha256_for_sha1",
    ["SHA-256 was used instead of SHA-1", "用了 SHA-256 而不是 SHA-1"], THE_HASH);
pub(super) static SHA512: Cause = row("sha512_for_sha1",
    ["SHA-512 was used instead of SHA-1", "用了 SHA-512 而不是 SHA-1"], THE_HASH);
pub(super) static HMAC: Cause = row("hmac_for_sha1",
    ["an HMAC with the ticket as its key was used: that is the rule for payments; here the ticket is in the string, and SHA-1 has no key", "用了以 ticket 为密钥的 HMAC：那是支付类接口的规则；这里 ticket 在字符串中，SHA-1 不带密钥"], THE_HASH);
pub(super) static HASHED_TWICE: Cause = row("hashed_twice",
    ["the hash was hashed again", "对字符串的哈希又做了一次哈希"], THE_HASH);
pub(super) static HEX_SEPARATED: Cause = row("hex_with_separators",
    ["the signature's digits are separated by dashes or colons (BitConverter.ToString writes them)", "签名的十六进制之间有 - 或 :（BitConverter.ToString 的输出）"], THE_HASH);
pub(super) static HEX_SIGN_EXTENDED: Cause = row("hex_sign_extended",
    ["bytes above 127 were written as negative numbers (ffffff9d for 9d)", "大于 127 的字节被当作负数输出（9d 变成 ffffff9d）"],
    ["Use unsigned bytes: String.format(\"%02x\", b & 0xff); in C use unsigned char.", "请按无符号字节输出：String.format(\"%02x\", b & 0xff)；C 语言用 unsigned char。"]);
pub(super) static BASE64: Cause = row("base64_for_hex",
    ["the hash is written in Base64, not in hex", "哈希写成了 Base64 而不是十六进制"], THE_HASH);
pub(super) static SIGNATURE_BLANK: Cause = row("signature_with_blanks",
    ["blanks or quotes surround the signature", "签名前后有空白或引号"], THE_HASH);
