// `make bench`: compares the signing route with a bare actix-web route and with nginx, and the gateway with nginx's proxy_pass;
// measures signing and reading in the library, memory, start-up time and size. Writes benches/result.json, the tables of docs/PERFORMANCE.md and the sentence in the READMEs.
//
// Each server has one worker thread on one core; wrk has the other core. The servers take turns in short slices, so that other
// load on the machine affects all of them alike. Each round gives one ratio, and the median of the rounds is reported. CPU time
// per request is read from the kernel: it is reliable on a busy machine as well.

import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = path.resolve(import.meta.dirname, '..')
const option = (name, otherwise) => Number(process.env[name] ?? otherwise)
const ROUNDS = option('BENCH_ROUNDS', 15)
const SECONDS = option('BENCH_SECONDS', 3)
const STARTS = option('BENCH_STARTS', 9)
const CONNECTIONS = 16
const SERVER_CORE = '0'
const LOAD_CORE = os.cpus().length > 1 ? '1' : '0'
const PROGRAM = path.join(root, 'target/release/wx-jssdk')
const BARE = path.join(root, 'target/bare/release/bare')
const PAGE = '/jssdk/config?url=' + encodeURIComponent('https://www.demo.example.com/goods/detail?id=20260001&from=singlemessage&isappinstalled=0')

const home = mkdtempSync(path.join(os.tmpdir(), 'wx-jssdk-bench-'))
const started = new Set()

function start(command, args, environment = {}, core = SERVER_CORE) {
  const child = spawn('taskset', ['-c', core, command, ...args], {
    cwd: home, env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stderr.resume()
  started.add(child)
  child.once('exit', () => started.delete(child))
  return child
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await ended
  clearTimeout(late)
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Requests until it gets a 200. Returns the text and the elapsed milliseconds. */
async function answered(url, begun = performance.now()) {
  for (;;) {
    try {
      const answer = await fetch(url)
      const text = await answer.text()
      if (answer.status === 200) return { text, took: performance.now() - begun }
    } catch {
      // not listening yet
    }
    if (performance.now() - begun > 60_000) throw new Error(`no answer from ${url}`)
    await sleep(1)
  }
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

/** Returns the process and its children, as nginx's worker is a child. */
function family(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  return [pid, ...children.flatMap(family)]
}

/** Returns the CPU time of all threads, in nanoseconds. */
function onProcessor(pid) {
  const threads = family(pid).flatMap((one) => readdirSync(`/proc/${one}/task`).map((thread) => `/proc/${one}/task/${thread}/schedstat`))
  return threads.reduce((sum, file) => sum + Number(readFileSync(file, 'utf8').split(' ')[0]), 0)
}

const kilobytes = (pid, field) => Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`${field}:\\s+(\\d+)`))[1])

const loadSigning = (side, environment) => load(side, side.url, ['-s', path.join(root, 'benches/urls.lua')], environment)

function load(side, url, options, environment = {}, attempts = 3) {
  const before = onProcessor(side.child.pid)
  const said = execFileSync('taskset', ['-c', LOAD_CORE, 'wrk', '-t1', `-c${CONNECTIONS}`, `-d${SECONDS}s`, '--latency', ...options, url], { encoding: 'utf8', env: { ...process.env, ...environment } })
  // Timeouts alone: the machine stood still for seconds.
  const stoodStill = /connect 0, read 0, write 0, timeout/.test(said) && !/Non-2xx/.test(said)
  if (stoodStill && attempts > 1) {
    console.error(`${side.name}: measured again after timeouts`)
    return load(side, url, options, environment, attempts - 1)
  }
  if (/Non-2xx|Socket errors/.test(said)) throw new Error(`${side.name}: ${said}`)
  const requests = Number(said.match(/(\d+) requests in/)[1])
  const [, median, unit] = said.match(/50%\s+([\d.]+)(us|ms|s)/)
  return {
    rate: Number(said.match(/Requests\/sec:\s+([\d.]+)/)[1]),
    cpu: (onProcessor(side.child.pid) - before) / requests,
    latency: Number(median) * { us: 1, ms: 1_000, s: 1_000_000 }[unit],
  }
}

async function sandbox() {
  const port = await freePort()
  const child = start(PROGRAM, ['sandbox', '--listen', `127.0.0.1:${port}`])
  let said = ''
  child.stdout.on('data', (chunk) => { said += chunk })
  while (!/^secret\s+\S+$/m.test(said)) await sleep(5)
  return { child, url: `http://127.0.0.1:${port}`, secret: said.match(/^secret\s+(\S+)$/m)[1] }
}

/** Starts the program as an operator does: all checks on, file store, default log. */
async function service(wechat) {
  const [port, adminPort] = [await freePort(), await freePort()]
  writeFileSync(path.join(home, 'wx-jssdk.toml'), `
[server]
listen = "127.0.0.1:${port}"
admin_listen = "127.0.0.1:${adminPort}"
workers = 1
[upstream]
weixin = "${wechat.url}"
qyapi = "${wechat.url}"
[accounts.main]
app_id = "wx0123456789abcdef"
secret = "${wechat.secret}"
js_safe_domains = ["demo.example.com"]
`)
  chmodSync(path.join(home, 'wx-jssdk.toml'), 0o600)
  const url = `http://127.0.0.1:${port}`
  const run = () => start(PROGRAM, ['serve'])
  let child = run()
  await answered(url + PAGE)
  const starts = []
  for (let n = 0; n < STARTS; n += 1) {
    await stop(child)
    const begun = performance.now()
    child = run()
    starts.push((await answered(url + PAGE, begun)).took)
  }
  child.stdout.resume()
  await sleep(500)
  return { name: 'wx-jssdk', child, url, start: median(starts), idle: kilobytes(child.pid, 'VmRSS') }
}

async function bare(body) {
  const port = await freePort()
  writeFileSync(path.join(home, 'body.json'), body)
  const child = start(BARE, [`127.0.0.1:${port}`, '1', 'body.json'])
  return { name: 'bare', child, url: `http://127.0.0.1:${port}` }
}

async function nginx(body) {
  const port = await freePort()
  const child = startNginx('constant', SERVER_CORE, `server { listen 127.0.0.1:${port}; location = /jssdk/config { default_type application/json; return 200 '${body}'; } }`)
  return { name: 'nginx', child, url: `http://127.0.0.1:${port}` }
}

/**
 * Verifies a signature of the loaded service with the simulated WeChat's ticket, so that the measured work
 * was correct.
 */
async function verify(url, wechat) {
  const config = JSON.parse((await answered(url + PAGE)).text)
  const state = JSON.parse((await answered(`${wechat.url}/sandbox/state`)).text)
  const ticket = state.apps.find((app) => app.app_id === config.appId).tickets.jsapi.value
  const text = `jsapi_ticket=${ticket}&noncestr=${config.nonceStr}&timestamp=${config.timestamp}&url=${config.url}`
  if (createHash('sha1').update(text).digest('hex') !== config.signature) throw new Error('a wrong signature')
}

function build() {
  const cargo = (args, environment) => execFileSync('cargo', args, { cwd: root, env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' })
  cargo(['build', '--release', '--locked'], { CARGO_TARGET_DIR: path.join(root, 'target') })
  cargo(['build', '--release', '--locked', '--manifest-path', 'benches/bare/Cargo.toml'], { CARGO_TARGET_DIR: path.join(root, 'target/bare') })
  return JSON.parse(cargo(['bench', '--locked', '--bench', 'core']))
}

async function throughput() {
  const wechat = await sandbox()
  const ours = await service(wechat)
  const body = (await answered(ours.url + PAGE)).text
  const sides = [ours, await bare(body), await nginx(body)]
  for (const side of sides) await answered(side.url + PAGE)
  const rounds = []
  for (let round = -1; round < ROUNDS; round += 1) {
    const order = sides.map((_, n) => sides[(n + round + sides.length) % sides.length])
    const figures = Object.fromEntries(order.map((side) => [side.name, loadSigning(side)]))
    if (round >= 0) rounds.push(figures) // round -1 is the warm-up
  }
  await verify(ours.url, wechat)
  const loaded = kilobytes(ours.child.pid, 'VmHWM')
  for (const child of [...started]) await stop(child)
  const of = (name, figure) => median(rounds.map((round) => round[name][figure]))
  const side = (name) => ({ requests_per_second: Math.round(of(name, 'rate')), cpu_ns_per_request: Math.round(of(name, 'cpu')) })
  const against = (name) => ({
    throughput: Number(median(rounds.map((round) => round['wx-jssdk'].rate / round[name].rate)).toFixed(3)),
    cpu: Number(median(rounds.map((round) => round[name].cpu / round['wx-jssdk'].cpu)).toFixed(3)),
  })
  return {
    http: { body_bytes: Buffer.byteLength(body), rounds: ROUNDS, seconds: SECONDS, connections: CONNECTIONS, 'wx-jssdk': side('wx-jssdk'), bare: side('bare'), nginx: side('nginx'), ratio_to_bare: against('bare'), ratio_to_nginx: against('nginx') },
    process: { idle_kib: ours.idle, loaded_peak_kib: loaded, warm_start_ms: Number(ours.start.toFixed(1)), binary_bytes: statSync(PROGRAM).size },
  }
}

/** Writes an nginx configuration with these servers and starts it on this core. */
function startNginx(name, core, servers) {
  const folder = path.join(home, name)
  for (const directory of ['logs', 'temp']) mkdirSync(path.join(folder, directory), { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((one) => `${one}_temp_path temp/${one};`).join(' ')
  const user = process.getuid() === 0 ? 'user root;' : ''
  writeFileSync(path.join(folder, 'nginx.conf'), `${user} worker_processes 1; daemon off; pid nginx.pid; error_log stderr error;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000; client_max_body_size 100m; sendfile on; ${temporary} ${servers} }`)
  return start('nginx', ['-p', folder, '-c', path.join(folder, 'nginx.conf'), '-e', 'stderr'], { PATH: `${process.env.PATH}:/usr/sbin` }, core)
}

const json = (location, body) => `location = ${location} { default_type application/json; return 200 '${body}'; }`
/** Locations of a simulated WeChat that gives every app the same token and ticket. */
const CREDENTIALS = `${json('/cgi-bin/stable_token', JSON.stringify({ access_token: 'A'.repeat(130), expires_in: 7200 }))}
    ${json('/cgi-bin/ticket/getticket', JSON.stringify({ errcode: 0, errmsg: 'ok', ticket: 'T'.repeat(86), expires_in: 7200 }))}`

const ACCOUNTS = 10_000
/** How a service with many accounts is started. */
const MEMORY = { default: {}, huge_pages: { _RJEM_MALLOC_CONF: 'thp:always' } }

/** Compares pages of 10,000 accounts in turn with pages of one of them, at the same service. */
async function manyAccounts() {
  const wechat = await freePort()
  startNginx('accounts', LOAD_CORE, `server { listen 127.0.0.1:${wechat}; ${CREDENTIALS} }`)
  const sides = []
  for (const [name, environment] of Object.entries(MEMORY)) {
    const [port, adminPort] = [await freePort(), await freePort()]
    const file = path.join(home, `${name}.toml`)
    const accounts = Array.from({ length: ACCOUNTS }, (_, n) => `
[accounts.a${String(n).padStart(4, '0')}]
app_id = "wx${n.toString(16).padStart(16, '0')}"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
js_safe_domains = ["demo.example.com"]`)
    writeFileSync(file, `
[server]
listen = "127.0.0.1:${port}"
admin_listen = "127.0.0.1:${adminPort}"
workers = 1
[store]
kind = "memory"
[upstream]
weixin = "http://127.0.0.1:${wechat}"
qyapi = "http://127.0.0.1:${wechat}"
${accounts.join('')}
`)
    chmodSync(file, 0o600)
    const child = start(PROGRAM, ['serve', '--config', file], environment)
    child.stdout.resume()
    const status = `http://127.0.0.1:${adminPort}/status.json?limit=1&part=summary`
    const begun = performance.now()
    while (JSON.parse((await answered(status)).text).summary.ok < ACCOUNTS) {
      if (performance.now() - begun > 120_000) throw new Error('not every account got its credentials')
      await sleep(100)
    }
    sides.push({ name, child, url: `http://127.0.0.1:${port}` })
  }
  const rounds = []
  for (let round = -1; round < Math.ceil(ROUNDS / 3); round += 1) {
    const figures = {}
    for (const side of round % 2 ? sides : [...sides].reverse()) {
      const [one, all] = [1, ACCOUNTS].map((accounts) => loadSigning(side, { ACCOUNTS: String(accounts) }))
      figures[side.name] = { throughput: all.rate / one.rate, cpu: one.cpu / all.cpu }
    }
    if (round >= 0) rounds.push(figures)
  }
  const resident = Object.fromEntries(sides.map((side) => [side.name, kilobytes(side.child.pid, 'VmRSS')]))
  for (const child of [...started]) await stop(child)
  const of = (name, figure) => Number(median(rounds.map((round) => round[name][figure])).toFixed(3))
  return Object.fromEntries(Object.keys(MEMORY).map((name) => [name, { throughput: of(name, 'throughput'), cpu: of(name, 'cpu'), resident_kib: resident[name] }]))
}

const KILOBYTE = JSON.stringify({ list: 'x'.repeat(989) })
const KEY = 'wxk_0123456789012345678901234567890123456789all'
/** The calls that are measured: a small JSON answer, a large file, a large upload. */
const CALLS = {
  small: { path: '/cgi-bin/user/get', options: [] },
  download: { path: '/cgi-bin/media/get', options: [] },
  upload: { path: '/cgi-bin/media/upload', options: ['-s', path.join(root, 'benches/upload.lua')] },
}

/**
 * Compares the gateway with nginx's proxy_pass: both on one core, WeChat's part is a second nginx beside wrk. Neither writes a log
 * line per call.
 */
async function gateway() {
  const [wechat, proxy, port, adminPort] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const files = path.join(home, 'files/cgi-bin/media')
  mkdirSync(files, { recursive: true })
  writeFileSync(path.join(files, 'get'), Buffer.alloc(1 << 20, 'wx-jssdk'))
  chmodSync(home, 0o755)
  startNginx('wechat', LOAD_CORE, `server { listen 127.0.0.1:${wechat}; root ${path.join(home, 'files')}; default_type image/jpeg;
    ${CREDENTIALS}
    ${json(CALLS.small.path, KILOBYTE)} ${json(CALLS.upload.path, '{"errcode":0}')} }`)
  const proxying = startNginx('proxy', SERVER_CORE, `upstream wechat { server 127.0.0.1:${wechat}; keepalive 64; keepalive_requests 1000000000; }
    server { listen 127.0.0.1:${proxy}; location / { proxy_pass http://wechat; proxy_http_version 1.1; proxy_set_header Connection ""; } }`)
  const file = path.join(home, 'gateway.toml')
  writeFileSync(file, `
[server]
listen = "127.0.0.1:${port}"
admin_listen = "127.0.0.1:${adminPort}"
workers = 1
[[server.api_keys]]
name = "bench"
sha256 = "${createHash('sha256').update(KEY).digest('hex')}"
calls = ["/"]
[gateway]
calls_per_second = 0
[log]
requests = "off"
[store]
kind = "memory"
[upstream]
weixin = "http://127.0.0.1:${wechat}"
qyapi = "http://127.0.0.1:${wechat}"
[accounts.main]
app_id = "wx0123456789abcdef"
secret = "0c79e1fa963cd80cc0be99b20a18faeb"
js_safe_domains = ["demo.example.com"]
`)
  chmodSync(file, 0o600)
  const child = start(PROGRAM, ['serve', '--config', file])
  child.stdout.resume()
  const sides = [
    { name: 'wx-jssdk', child, url: `http://127.0.0.1:${adminPort}` },
    { name: 'nginx', child: proxying, url: `http://127.0.0.1:${proxy}` },
  ]
  const address = (side, call) => `${side.url}${call.path}?access_token=${KEY}`
  for (const side of sides) await answered(address(side, CALLS.small))
  const rounds = []
  for (let round = -1; round < Math.ceil(ROUNDS / 3); round += 1) {
    const figures = {}
    for (const [name, call] of Object.entries(CALLS)) {
      const order = round % 2 ? sides : [...sides].reverse()
      figures[name] = Object.fromEntries(order.map((side) => [side.name, load(side, address(side, call), call.options)]))
    }
    if (round >= 0) rounds.push(figures)
  }
  for (const one of [...started]) await stop(one)
  const compared = (name) => {
    const of = (side, figure) => median(rounds.map((round) => round[name][side][figure]))
    return {
      throughput: Number(median(rounds.map((round) => round[name]['wx-jssdk'].rate / round[name].nginx.rate)).toFixed(3)),
      cpu: Number(median(rounds.map((round) => round[name].nginx.cpu / round[name]['wx-jssdk'].cpu)).toFixed(3)),
      requests_per_second: Math.round(of('wx-jssdk', 'rate')),
      median_us: Math.round(of('wx-jssdk', 'latency')),
      nginx_median_us: Math.round(of('nginx', 'latency')),
    }
  }
  return Object.fromEntries(Object.keys(CALLS).map((name) => [name, compared(name)]))
}

const ENGLISH = {
  line: (rate, ratio) => `With every check enabled, one worker thread signs ${rate} requests a second, ${ratio} × an actix-web route that returns a constant: [PERFORMANCE](docs/PERFORMANCE.md).`,
  rate: (rate) => `${(Math.floor(rate / 1000) * 1000).toLocaleString('en-US')}`,
  measured: (date, { cores, model, system }) => `Measured ${date} on ${cores} cores of ${model}, ${system}, by \`make bench\`.`,
  throughput: ['one worker thread, 1,000 URLs, medians', 'requests/s', 'CPU time per request'],
  ours: '`GET /jssdk/config`, every check enabled',
  compared: (rounds) => [`wx-jssdk compared with, in the same round (median of ${rounds} rounds)`, 'requests/s', 'requests per second of CPU time'],
  bare: (bytes) => `an actix-web route that returns ${bytes} constant bytes`,
  nginx: 'nginx returning the same bytes (`return 200`)',
  accounts: ['pages of 10,000 accounts in turn compared with pages of one of them, in the same round', 'requests/s', 'requests per second of CPU time', 'resident memory'],
  default: 'by default',
  huge_pages: 'with huge pages',
  passed: ['the gateway compared with nginx `proxy_pass`, 16 connections, in the same round', 'calls/s', 'calls per second of CPU time', 'median answer, gateway / nginx'],
  small: 'a call with a JSON answer of 1 KB',
  download: 'a call with an answer of 1 MiB',
  upload: 'a call with a body of 1 MiB',
  costs: ['the library, without HTTP', '1 account', '10,000 accounts'],
  read: 'read a credential that is in memory',
  sign: 'sign a page',
  signature: 'the signature alone (SHA-1 of the same bytes alone)',
  step: 'one pass of the refresh loop over all accounts, with nothing due',
  own: ['the process', ''],
  idle: 'resident memory, idle',
  peak: 'resident memory, peak under full load',
  start: 'from start to the first signed answer, credentials in the file store',
  binary: 'the stripped binary',
}

const CHINESE = {
  line: (rate, ratio) => `全部校验开启时，单个工作线程每秒签名 ${rate}次，是 actix-web 返回固定内容时的 ${ratio} 倍：[PERFORMANCE](docs/zh/PERFORMANCE.md)。`,
  rate: (rate) => `${(Math.floor(rate / 1000) / 10).toFixed(1)} 万`,
  measured: (date, { cores, model, system }) => `${date} 在 ${cores} 核 ${model}、${system} 上用 \`make bench\` 测得。`,
  throughput: ['单个工作线程、1,000 个 URL，取中位数', '请求/秒', '每个请求的 CPU 时间'],
  ours: '`GET /jssdk/config`，全部校验开启',
  compared: (rounds) => [`wx-jssdk 与下列各项在同一轮内之比（${rounds} 轮的中位数）`, '请求/秒', '每秒 CPU 时间的请求数'],
  bare: (bytes) => `actix-web 路由直接返回 ${bytes} 字节固定内容`,
  nginx: 'nginx 返回同样内容（`return 200`）',
  accounts: ['10,000 个账号依次签名与只用其中一个账号在同一轮内之比', '请求/秒', '每秒 CPU 时间的请求数', '常驻内存'],
  default: '默认',
  huge_pages: '使用大页',
  passed: ['网关与 nginx `proxy_pass` 在同一轮内之比（16 个连接）', '调用/秒', '每秒 CPU 时间的调用数', '响应时间中位数：网关 / nginx'],
  small: '返回 1 KB JSON 的调用',
  download: '返回 1 MiB 的调用',
  upload: '上传 1 MiB 的调用',
  costs: ['只测库，不含 HTTP', '1 个账号', '10,000 个账号'],
  read: '读取内存中的凭证',
  sign: '签名一个页面',
  signature: '仅计算签名（括号内：对同样字节仅计算 SHA-1）',
  step: '刷新循环检查全部账号一遍（没有到期的）',
  own: ['进程', ''],
  idle: '空闲时常驻内存',
  peak: '满载时常驻内存峰值',
  start: '从启动到返回第一个签名（凭证已在文件存储中）',
  binary: '去除符号后的可执行文件',
}

/**
 * Returns the tables of docs/PERFORMANCE.md. The other sides get paired ratios only: medians of different
 * rounds must not be divided.
 */
function tables({ date, machine, http, accounts, gateway, nanoseconds: ns, process: own }, words) {
  const row = (cells) => `| ${cells.join(' | ')} |`
  const head = (cells) => `${row(cells)}\n${row(['---', ...Array(cells.length - 1).fill('---:')])}`
  const mib = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`
  const number = (n) => n.toLocaleString('en-US')
  const ours = http['wx-jssdk']
  const ratio = (label, { throughput, cpu }) => row([label, `${throughput.toFixed(2)} ×`, `${cpu.toFixed(2)} ×`])
  const milliseconds = (us) => (us / 1000).toFixed(2)
  const passed = (label, of) => row([label, `${of.throughput.toFixed(2)} ×`, `${of.cpu.toFixed(2)} ×`, `${milliseconds(of.median_us)} / ${milliseconds(of.nginx_median_us)} ms`])
  return [
    words.measured(date, machine), '',
    head(words.throughput),
    row([words.ours, number(ours.requests_per_second), `${(ours.cpu_ns_per_request / 1000).toFixed(2)} µs`]), '',
    head(words.compared(http.rounds)),
    ratio(words.bare(http.body_bytes), http.ratio_to_bare),
    ratio(words.nginx, http.ratio_to_nginx), '',
    head(words.accounts),
    ...Object.entries(accounts).map(([name, of]) => row([words[name], `${of.throughput.toFixed(2)} ×`, `${of.cpu.toFixed(2)} ×`, mib(of.resident_kib * 1024)])), '',
    head(words.passed),
    ...Object.keys(CALLS).map((name) => passed(words[name], gateway[name])), '',
    head(words.costs),
    row([words.read, `${ns.read_of_1} ns`, `${number(ns.read_of_10000)} ns`]),
    row([words.sign, `${ns.page_signed_of_1} ns`, `${number(ns.page_signed_of_10000)} ns`]),
    row([words.signature, `${ns.signature} ns (${ns.bare_sha1} ns)`, '']),
    row([words.step, '', `${(ns.idle_keeper_step_of_10000 / 1e6).toFixed(1)} ms`]), '',
    head(words.own),
    row([words.idle, mib(own.idle_kib * 1024)]),
    row([words.peak, mib(own.loaded_peak_kib * 1024)]),
    row([words.start, `${own.warm_start_ms} ms`]),
    row([words.binary, mib(own.binary_bytes)]),
  ].join('\n')
}

const line = ({ http }, words) => words.line(words.rate(http['wx-jssdk'].requests_per_second), http.ratio_to_bare.throughput.toFixed(2))

/** Replaces the text between a document's marks. */
function quote(file, text) {
  const document = path.join(root, file)
  const marked = /(<!-- benchmarks[^>]*-->\n)[^]*(<!-- \/benchmarks -->)/
  writeFileSync(document, readFileSync(document, 'utf8').replace(marked, (_, begin, end) => `${begin}${text}\n${end}`))
}

function writeDocuments(result) {
  quote('README.md', line(result, ENGLISH))
  quote('README.zh-CN.md', line(result, CHINESE))
  quote('docs/PERFORMANCE.md', tables(result, ENGLISH))
  quote('docs/zh/PERFORMANCE.md', tables(result, CHINESE))
}

// `node benches/run.mjs --documents` rewrites the documents from benches/result.json, without measuring.
if (process.argv.includes('--documents')) {
  writeDocuments(JSON.parse(readFileSync(path.join(root, 'benches/result.json'), 'utf8')))
  process.exit()
}

try {
  const nanoseconds = build()
  const measured = { ...await throughput(), accounts: await manyAccounts(), gateway: await gateway() }
  const machine = { cores: os.cpus().length, model: os.cpus()[0].model.trim(), system: `${os.type()} ${os.release().split('-')[0]}` }
  const result = { date: new Date().toISOString().slice(0, 10), machine, load_average: os.loadavg()[0], ...measured, nanoseconds }
  writeFileSync(path.join(root, 'benches/result.json'), JSON.stringify(result, null, 2) + '\n')
  writeDocuments(result)
  console.log(tables(result, ENGLISH))
} finally {
  for (const child of [...started]) await stop(child)
  rmSync(home, { recursive: true, force: true })
}
