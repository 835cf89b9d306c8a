#!/usr/bin/env bash
# Checks for what `make test` needs besides Rust. As root on Debian it installs what is missing; otherwise it says what to install.
set -euo pipefail

missing=()
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(:postgresql)
# Chromium does too, with twice the processor time.
command -v chromium-headless-shell >/dev/null || { [ "$(id -u)" != 0 ] && command -v chromium >/dev/null; } || missing+=(:chromium-headless-shell)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(:python3-venv)
fc-list 2>/dev/null | grep -qi 'noto.*cjk' || missing+=(:fonts-noto-cjk :fontconfig)

# promtool, unpacked from the prometheus package: installing the package would start a server.
tools="$(cd "$(dirname "$0")/.." && pwd)/target/tools"
get_promtool() {
  command -v promtool >/dev/null && return
  [ -x "$tools/promtool" ] && return
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  local unpacked status=0
  unpacked="$(mktemp -d)"
  chmod 755 "$unpacked"
  (cd "$unpacked" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && install -D usr/bin/promtool "$tools/promtool") >/dev/null 2>&1 || status=1
  rm -rf "$unpacked"
  return $status
}
if ! get_promtool; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && get_promtool || missing+=(:prometheus)
fi

"$(dirname "$0")/need.sh" 'make test' redis-server:redis-server psql:postgresql-client mariadbd:mariadb-server-core \
  mariadb:mariadb-client-core setpriv:util-linux pkill:procps nginx:nginx-light node:nodejs npm:npm openssl:openssl \
  prlimit:util-linux systemd-analyze:systemd python3:python3 "${missing[@]}" || {
  echo "'cargo test' alone needs only Rust."
  exit 1
}
