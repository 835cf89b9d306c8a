#!/usr/bin/env bash
# Checks for what `make test` needs besides Rust. As root on Debian it installs what is missing; otherwise it says what to install.
set -euo pipefail

PATH="$PATH:/usr/sbin" # where Debian keeps nginx
missing=()
need() { # command package
  command -v "$1" >/dev/null || missing+=("$2")
}
need redis-server redis-server
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
need psql postgresql-client
need mariadbd mariadb-server-core
need mariadb mariadb-client-core
need setpriv util-linux
need pkill procps
need nginx nginx-light
need node nodejs
need npm npm
need openssl openssl
need prlimit util-linux
need systemd-analyze systemd
need python3 python3
# Chromium does too, with twice the processor time.
command -v chromium-headless-shell >/dev/null || { [ "$(id -u)" != 0 ] && command -v chromium >/dev/null; } || missing+=(chromium-headless-shell)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fc-list 2>/dev/null | grep -qi 'noto.*cjk' || missing+=(fonts-noto-cjk fontconfig)

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
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && get_promtool || missing+=(prometheus)
fi

[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing: ${missing[*]}"
  apt-get update -qq
  # RUNLEVEL=1: no service is started; the tests start their own.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  exit 0
fi
echo "make test needs: ${missing[*]}"
echo "On Debian or Ubuntu: sudo apt-get install --no-install-recommends ${missing[*]}"
echo "'cargo test' alone needs only Rust."
exit 1
