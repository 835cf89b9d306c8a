#!/usr/bin/env bash
# Checks the API description: it is valid OpenAPI 3.1, and schemathesis finds no answer of the running service (sandbox mode) that
# it does not describe. JSSDK_TEST_BIN: the binary, target/debug/wx-jssdk by default.
# SECONDS_EACH: time limit for each of the two listeners. SEED: selects other requests, the same on every machine.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD

binary=${JSSDK_TEST_BIN:-../../target/debug/wx-jssdk}
[ -x "$binary" ] || { echo "no $binary: build it (cargo build) or set JSSDK_TEST_BIN"; exit 1; }
binary=$(realpath "$binary")

# The tools, in their own environment, recreated when the requirements change.
venv=../../target/openapi-venv
if ! cmp -s requirements.txt $venv/installed; then
  rm -rf $venv
  mkdir -p ../../target
  python3 -m venv $venv
  $venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
  cp requirements.txt $venv/installed
fi
venv=$(realpath $venv)

work=$(mktemp -d)
cd "$work"
# Keys are guessed below on purpose, so the lockout is disabled.
WX_JSSDK__LIMITS__WRONG_KEYS=0 "$binary" serve --sandbox --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --sandbox-listen 127.0.0.1:0 >out 2>err &
service=$!
finish() {
  kill "$service" 2>/dev/null || true
  wait "$service" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# Its output once it listens: `admin     http://…`, `api key   wxk_…`.
said() { sed -n "s/^$1  *\([^ ]*\)$/\1/p" out; }
for _ in $(seq 300); do
  [ -n "$(said 'api key')" ] && break
  kill -0 "$service" 2>/dev/null || { echo "the service ended:"; cat out err; exit 1; }
  sleep 0.1
done
SANDBOX_KEY=$(said 'api key')
[ -n "$SANDBOX_KEY" ] || { echo "the service named no key:"; cat out err; exit 1; }
export SANDBOX_KEY
# Everything is on loopback, so proxies of this machine are ignored.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

"$venv/bin/python" - "$(said admin)/openapi.json" <<'PY'
import sys, urllib.request
open("openapi.json", "wb").write(urllib.request.urlopen(sys.argv[1], timeout=30).read())
PY
"$venv/bin/openapi-spec-validator" --schema 3.1 openapi.json

# The ids of the operations of one of the document's servers.
operations() {
  "$venv/bin/python" - "$1" <<'PY'
import json, sys
for item in json.load(open("openapi.json"))["paths"].values():
    for operation in item.values():
        if any(server["url"] == sys.argv[1] for server in operation["servers"]):
            print(operation["operationId"])
PY
}

# ask BASE SERVER: tests every operation of this listener.
ask() {
  local base=$1 tags=() operation
  for operation in $(operations "$2"); do tags+=(--include-operation-id "$operation"); done
  [ ${#tags[@]} -gt 10 ] || { echo "the description has too few operations for $2"; return 1; }
  "$venv/bin/schemathesis" --config-file "$here/schemathesis.toml" run openapi.json --url "$base" "${tags[@]}" \
    --header "Authorization: Bearer $SANDBOX_KEY" --phases examples,coverage,fuzzing \
    --seed "${SEED:-1}" --max-time "${SECONDS_EACH:-50}" --request-timeout 30 --suppress-health-check all --warnings off --no-color
}
failed=0
# Python's set order also influences the generated requests.
export PYTHONHASHSEED=${SEED:-1}
export SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1
ask "$(said public)" '{public}' >public.log 2>&1 &
public=$!
ask "$(said admin)" / || failed=1
wait "$public" || failed=1
cat public.log

kill -0 "$service" 2>/dev/null || { echo "the service ended:"; cat err; exit 1; }
if grep 'panicked' err; then echo 'the service panicked'; failed=1; fi
exit $failed
