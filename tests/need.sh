#!/usr/bin/env bash
# Checks for the commands that WHAT needs. As root on Debian it installs the missing packages; otherwise it names them.
# tests/need.sh WHAT [COMMAND]:PACKAGE…    (no COMMAND: the package is missing)
set -euo pipefail
what=$1
shift

PATH=$PATH:/usr/sbin # where Debian keeps nginx
missing=()
for need; do
  command -v "${need%%:*}" >/dev/null || missing+=("${need#*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing: ${missing[*]}"
  apt-get update -qq
  # RUNLEVEL=1: no service is started; the tests start their own.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  exit 0
fi
echo "$what needs: ${missing[*]}"
echo "On Debian or Ubuntu: sudo apt-get install --no-install-recommends ${missing[*]}"
exit 1
