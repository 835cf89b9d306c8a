#!/usr/bin/env bash
# Tests public SDKs against the service in sandbox mode: starts it on free ports, runs the tests, stops it.
# JSSDK_TEST_BIN: the binary, target/debug/wx-jssdk by default.
set -euo pipefail
cd "$(dirname "$0")"

binary=${JSSDK_TEST_BIN:-../../target/debug/wx-jssdk}
[ -x "$binary" ] || { echo "no $binary: build it (cargo build) or set JSSDK_TEST_BIN"; exit 1; }

# The SDKs. The Python SDKs get a virtual environment, and wechatpy 2 a folder; both are recreated when the requirements change.
if ! cat requirements*.txt | cmp -s - .venv/installed; then
  rm -rf .venv .wechatpy2
  python3 -m venv .venv
  pip() { .venv/bin/pip install --quiet --disable-pip-version-check "$@"; }
  pip --requirement requirements.txt
  pip --no-deps --target .wechatpy2 --requirement requirements-wechatpy2.txt
  cat requirements*.txt >.venv/installed
fi
npm ci --silent --no-audit --no-fund

work=$(mktemp -d)
"$binary" serve --sandbox --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --sandbox-listen 127.0.0.1:0 \
  >"$work/out" 2>"$work/err" &
service=$!
finish() {
  status=$?
  [ "$status" = 0 ] || tail -n 40 "$work/err"
  kill "$service" 2>/dev/null || true
  wait "$service" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# Its output once it listens: `admin     http://…`, `sandbox   http://…`, `api key   wxk_…`.
said() { sed -n "s/^$1  *\([^ ]*\)$/\1/p" "$work/out"; }
for _ in $(seq 200); do
  [ -n "$(said 'api key')" ] && break
  kill -0 "$service" 2>/dev/null || { echo "the service ended:"; cat "$work/out" "$work/err"; exit 1; }
  sleep 0.1
done
WX_CENTER=$(said admin) WX_SANDBOX=$(said sandbox) WX_API_KEY=$(said 'api key')
[ -n "$WX_API_KEY" ] || { echo "the service named no key:"; cat "$work/out" "$work/err"; exit 1; }
export WX_CENTER WX_SANDBOX WX_API_KEY
# Everything is on loopback, so proxies of this machine are ignored.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

.venv/bin/python -m unittest --verbose wechatpy_test weixin_python_test py_wecom_toolkit_test
PYTHONPATH=.wechatpy2 .venv/bin/python -m unittest --verbose wechatpy_test
npm test --silent
