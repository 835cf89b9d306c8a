// Correct signing code per backend language, shown with a proven mistake.

export const SAMPLES = [
  {
    name: "JS",
    code: `// In the page. Take location.href now, encode it once.
const url = location.href.split('#')[0];
const answer = await fetch('/jssdk/config?url=' + encodeURIComponent(url));
wx.config(await answer.json());`,
  },
  {
    name: "Node",
    code: `const url = req.query.url.split('#')[0];      // already decoded, once
const nonceStr = crypto.randomBytes(8).toString('hex');
const timestamp = String(Math.floor(Date.now() / 1000));
const string = \`jsapi_ticket=\${ticket}&noncestr=\${nonceStr}&timestamp=\${timestamp}&url=\${url}\`;
const signature = crypto.createHash('sha1').update(string).digest('hex');
res.json({ appId, timestamp, nonceStr, signature });`,
  },
  {
    name: "PHP",
    code: `$url = explode('#', $_GET['url'])[0];          // already decoded, once
$nonceStr = bin2hex(random_bytes(8));
$timestamp = (string) time();
$string = "jsapi_ticket=$ticket&noncestr=$nonceStr&timestamp=$timestamp&url=$url";
$signature = sha1($string);
echo json_encode(compact('appId', 'timestamp', 'nonceStr', 'signature'));`,
  },
  {
    name: "Java",
    code: `String url = request.getParameter("url").split("#")[0];   // already decoded, once
String nonceStr = UUID.randomUUID().toString().replace("-", "");
String timestamp = Long.toString(System.currentTimeMillis() / 1000);
String string = "jsapi_ticket=" + ticket + "&noncestr=" + nonceStr
    + "&timestamp=" + timestamp + "&url=" + url;
byte[] hash = MessageDigest.getInstance("SHA-1").digest(string.getBytes(StandardCharsets.UTF_8));
String signature = HexFormat.of().formatHex(hash);`,
  },
  {
    name: "Python",
    code: `url = request.args["url"].split("#")[0]        # already decoded, once
nonce_str = secrets.token_hex(8)
timestamp = str(int(time.time()))
string = f"jsapi_ticket={ticket}&noncestr={nonce_str}&timestamp={timestamp}&url={url}"
signature = hashlib.sha1(string.encode()).hexdigest()
return {"appId": app_id, "timestamp": timestamp, "nonceStr": nonce_str, "signature": signature}`,
  },
  {
    name: "Go",
    code: `url, _, _ := strings.Cut(r.URL.Query().Get("url"), "#")   // already decoded, once
nonceStr := rand.Text()
timestamp := strconv.FormatInt(time.Now().Unix(), 10)
str := fmt.Sprintf("jsapi_ticket=%s&noncestr=%s&timestamp=%s&url=%s", ticket, nonceStr, timestamp, url)
signature := fmt.Sprintf("%x", sha1.Sum([]byte(str)))`,
  },
];

/** Returns the sample to show first: the page's if the fix concerns the URL, else the last one chosen. */
export function firstSample(fix, lastChosen) {
  if (/location\.href/.test(fix)) return 0;
  return lastChosen || 1;
}
