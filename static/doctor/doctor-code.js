// Correct signing code per backend language, shown with a proven mistake.

import { t } from "./language.js";

const DECODED = t("already decoded, once", "框架已解码一次，不要再解码");

export const SAMPLES = [
  {
    name: "JS",
    code: `// ${t("In the page: take the address now, encode it once.", "在页面中：取当前地址，只编码一次。")}
const url = location.href.split('#')[0];
const query = '?url=' + encodeURIComponent(url);
const config = await (await fetch('/jssdk/config' + query)).json();
wx.config({ jsApiList: ['updateAppMessageShareData'], ...config });`,
  },
  {
    name: "Node",
    code: `// ${DECODED}
const url = req.query.url.split('#')[0];
const nonceStr = crypto.randomBytes(8).toString('hex');
const timestamp = String(Math.floor(Date.now() / 1000));
const string = \`jsapi_ticket=\${ticket}&noncestr=\${nonceStr}\`
  + \`&timestamp=\${timestamp}&url=\${url}\`;
const signature = crypto.createHash('sha1').update(string).digest('hex');
res.json({ appId, timestamp, nonceStr, signature });`,
  },
  {
    name: "PHP",
    code: `// ${DECODED}
$url = explode('#', $_GET['url'])[0];
$nonceStr = bin2hex(random_bytes(8));
$timestamp = (string) time();
$string = "jsapi_ticket=$ticket&noncestr=$nonceStr"
    . "&timestamp=$timestamp&url=$url";
$signature = sha1($string);
echo json_encode(compact('appId', 'timestamp', 'nonceStr', 'signature'));`,
  },
  {
    name: "Java",
    code: `// ${DECODED}
String url = request.getParameter("url").split("#")[0];
String nonceStr = UUID.randomUUID().toString().replace("-", "");
String timestamp = Long.toString(System.currentTimeMillis() / 1000);
String string = "jsapi_ticket=" + ticket + "&noncestr=" + nonceStr
    + "&timestamp=" + timestamp + "&url=" + url;
byte[] hash = MessageDigest.getInstance("SHA-1")
    .digest(string.getBytes(StandardCharsets.UTF_8));
String signature = HexFormat.of().formatHex(hash);`,
  },
  {
    name: "Python",
    code: `# ${DECODED}
url = request.args["url"].split("#")[0]
nonce_str = secrets.token_hex(8)
timestamp = str(int(time.time()))
string = (f"jsapi_ticket={ticket}&noncestr={nonce_str}"
          f"&timestamp={timestamp}&url={url}")
signature = hashlib.sha1(string.encode()).hexdigest()
return {"appId": app_id, "timestamp": timestamp,
        "nonceStr": nonce_str, "signature": signature}`,
  },
  {
    name: "Go",
    code: `// ${DECODED}
url, _, _ := strings.Cut(r.URL.Query().Get("url"), "#")
nonceStr := rand.Text()
timestamp := strconv.FormatInt(time.Now().Unix(), 10)
str := fmt.Sprintf("jsapi_ticket=%s&noncestr=%s&timestamp=%s&url=%s",
	ticket, nonceStr, timestamp, url)
signature := fmt.Sprintf("%x", sha1.Sum([]byte(str)))`,
  },
];

/** Returns the sample to show first: the page's if the fix concerns the URL, else the last one chosen. */
export function firstSample(fix, lastChosen) {
  if (/location\.href/.test(fix)) return 0;
  return lastChosen || 1;
}

// Comment, string, keyword, number; a `#` starts a comment only at the start of a line.
const TOKENS =
  /(\/\/[^\n]*|^#[^\n]*)|("[^"\n]*"|'[^'\n]*'|`[^`\n]*`)|\b(const|await|new|return|String|byte|echo|import|from)\b|\b(\d+)\b/gm;
const COLOURS = ["c", "s", "k", "n"];

/** Returns the code as coloured pieces. */
export function coloured(code) {
  const pieces = [];
  let end = 0;
  let found;
  while ((found = TOKENS.exec(code))) {
    const kind = COLOURS.find((_, at) => found[at + 1]);
    pieces.push(code.slice(end, found.index));
    pieces.push(Object.assign(document.createElement("span"), { className: kind, textContent: found[0] }));
    end = found.index + found[0].length;
  }
  return [...pieces, code.slice(end)];
}
