#!/usr/bin/env bash
# Checks that the tools of `make bench` are present. As root on Debian it installs missing ones; otherwise it
# names them.
set -euo pipefail

missing=()
need() { # command package
  command -v "$1" >/dev/null || missing+=("$2")
}
PATH=$PATH:/usr/sbin
need wrk wrk
need nginx nginx-light
need node nodejs
need taskset util-linux

[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  exit 0
fi
echo "make bench needs: ${missing[*]}"
echo "On Debian or Ubuntu: sudo apt-get install --no-install-recommends ${missing[*]}"
exit 1
