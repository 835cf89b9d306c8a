#!/usr/bin/env bash
# Installs the Debian package of target/dist, starts it by the unit's own start line (systemd need not be process 1), signs a page,
# upgrades and purges it. Two minutes at most; removes what it installed. Needs root on Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
deb=$(realpath target/dist/wx-jssdk_*.deb)
archive=$(realpath target/dist/wx-jssdk-*-linux.tar.gz)

if [ "${1:-}" != inside ]; then
  [ "$(id -u)" = 0 ] && command -v dpkg >/dev/null || { echo "make dist-test needs root on Debian"; exit 1; }
  if dpkg -s wx-jssdk >/dev/null 2>&1 || [ -e /etc/wx-jssdk ] || [ -e /var/lib/wx-jssdk ]; then
    echo "wx-jssdk is installed on this machine: purge it first"
    exit 1
  fi
  tests/need.sh 'make dist-test' adduser:adduser curl:curl ip:iproute2 mandb:man-db
  # A network of its own: the ports are free, and nothing is reached but this machine.
  exec timeout 120 unshare --net "$0" inside
fi
ip link set lo up

work=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  dpkg --purge wx-jssdk >/dev/null 2>&1 || true
  rm -rf "$work" /etc/wx-jssdk
}
trap cleanup EXIT
fail() { echo "dist-test: $*" >&2; exit 1; }

# --- the archive ---
(cd target/dist && sha256sum --quiet --check SHA256SUMS)
tar -xzf "$archive" -C "$work" --strip-components=1
for file in wx-jssdk wx-jssdk.default.toml LICENSE-MIT LICENSE-APACHE man/wx-jssdk-serve.1 \
  README{,.zh-CN}.md docs/{,zh/}DEPLOYMENT.md \
  completions/{wx-jssdk.bash,wx-jssdk.fish,_wx-jssdk} systemd/wx-jssdk.{service,socket}; do
  [ -s "$work/$file" ] || fail "the archive lacks $file"
done
[[ "$("$work/wx-jssdk" --version)" == "wx-jssdk $(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" ]] || fail "wrong version"
bash -c "source $work/completions/wx-jssdk.bash && complete -p wx-jssdk" >/dev/null
grep -q 'safe.domain' "$work/man/wx-jssdk-serve.1"

# --- the documents, dependencies and scripts of the package ---
contents=$(dpkg-deb --contents "$deb")
for file in README{,.zh-CN}.md docs/{,zh/}DEPLOYMENT.md; do
  grep -q " ./usr/share/doc/wx-jssdk/$file$" <<<"$contents" || fail "the package lacks $file"
done
dpkg-deb --field "$deb" Depends | grep -q 'libc6 (>= ' || fail "the package does not name its C library"
dpkg-deb --control "$deb" "$work/control"
restarts=$(grep --no-filename -o 'deb-systemd-invoke .*' "$work"/control/{preinst,postinst} 2>/dev/null || true)
[[ "$restarts" == 'deb-systemd-invoke try-restart wx-jssdk.service >'* ]] && [ "$(wc -l <<<"$restarts")" = 1 ] ||
  fail "an upgrade must restart the service only, else it closes the ports: $restarts"
grep -B1 'deb-systemd-invoke stop' "$work/control/prerm" | grep -q '= remove ' || fail "an upgrade stops the units"

# --- install ---
dpkg --install "$deb" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log"; fail "cannot be installed"; }
[ "$(stat -c '%U:%G %a' /etc/wx-jssdk/wx-jssdk.toml)" = 'root:wx-jssdk 640' ] || fail "the configuration's owner is wrong"
[ "$(stat -c '%a' /etc/wx-jssdk)" = 750 ] || fail "/etc/wx-jssdk is open"
man -w wx-jssdk-serve >/dev/null
unit=/usr/lib/systemd/system/wx-jssdk.service
if command -v systemd-analyze >/dev/null; then systemd-analyze verify "$unit" 2>&1 | grep -i wx-jssdk && fail "the unit has mistakes"; fi

# The simulated WeChat, and five lines.
/usr/bin/wx-jssdk sandbox --secret 0c79e1fa963cd80cc0be99b20a18faeb >/dev/null &
pids+=($!)
echo 0c79e1fa963cd80cc0be99b20a18faeb >"$work/secret"
install -m 640 -g wx-jssdk "$work/secret" /etc/wx-jssdk/main.secret
cat >>/etc/wx-jssdk/wx-jssdk.toml <<'TOML'
upstream.weixin = "http://127.0.0.1:8082"
[accounts.main]
app_id = "wx0123456789abcdef"
secret_file = "main.secret"
js_safe_domains = ["example.com"]
TOML

# What systemd would do: User, StateDirectory, WorkingDirectory, ExecStart.
setting() { sed -n "s/^$1=//p" "$unit"; }
user=$(setting User)
install -d -o "$user" -g "$user" -m "$(setting StateDirectoryMode)" "/var/lib/$(setting StateDirectory)"
start() {
  read -ra line <<<"$(setting ExecStart)"
  (cd "$(setting WorkingDirectory)" && umask "$(setting UMask)" &&
    exec setpriv --reuid "$user" --regid "$user" --init-groups --no-new-privs --bounding-set=-all "${line[@]}" >>"$work/service.log" 2>&1) &
  service=$!
  pids+=("$service")
  for _ in $(seq 100); do
    /usr/bin/wx-jssdk healthcheck >/dev/null 2>&1 && return
    kill -0 "$service" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/service.log"
  fail "the service does not start"
}
sign() { curl -sf 'http://127.0.0.1:8080/jssdk/config?url=https%3A%2F%2Fexample.com%2Fpage' | grep -Eq '"signature":"[0-9a-f]{40}"' || fail "no signature"; }
token_calls() { curl -sf http://127.0.0.1:8082/sandbox/state | grep -o '"/cgi-bin/stable_token":[0-9]*'; }
start
sign
before=$(token_calls)

# --- upgrade: a later version over the running one, then a restart ---
mkdir "$work/next"
dpkg-deb --raw-extract "$deb" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
dpkg-deb -Znone --build "$work/next" "$work/next.deb" >/dev/null
dpkg --install "$work/next.deb" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log"; fail "cannot be upgraded"; }
sign
grep -q 'app_id = "wx0123456789abcdef"' /etc/wx-jssdk/wx-jssdk.toml || fail "the upgrade replaced the configuration"
[ "$(stat -c '%U:%G %a' /etc/wx-jssdk/main.secret)" = 'root:wx-jssdk 640' ] || fail "the upgrade changed a permission"
kill "$service" && wait "$service" || fail "the service does not end with 0"
start
sign
[ "$(token_calls)" = "$before" ] || fail "the restart called WeChat: $before, then $(token_calls)"
kill "$service" && wait "$service"

# --- a configuration that was deleted and is installed again ---
rm /etc/wx-jssdk/wx-jssdk.toml
dpkg --force-confmiss --install "$work/next.deb" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log"; fail "cannot be installed again"; }
[ "$(stat -c '%U:%G %a' /etc/wx-jssdk/wx-jssdk.toml)" = 'root:wx-jssdk 640' ] || fail "the service cannot read a new configuration"

# --- purge ---
dpkg --purge wx-jssdk >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log"; fail "cannot be purged"; }
[ "$(stat -c '%U:%G %a' /etc/wx-jssdk/main.secret)" = 'root:root 600' ] || fail "another user may get to read the secret that is left"
rm /etc/wx-jssdk/main.secret && { rmdir /etc/wx-jssdk 2>/dev/null || [ ! -e /etc/wx-jssdk ]; }
for path in /etc/wx-jssdk /var/lib/wx-jssdk /usr/bin/wx-jssdk "$unit" /usr/share/doc/wx-jssdk; do
  [ ! -e "$path" ] || fail "$path is left"
done
! getent passwd wx-jssdk >/dev/null || fail "the user is left"
echo "deb: installed, signed a page, upgraded without a call to WeChat, purged"
