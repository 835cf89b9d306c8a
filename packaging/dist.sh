#!/usr/bin/env bash
# Builds target/dist: the archive, the Debian package and their SHA-256 sums, from a binary that is built already.
# packaging/dist.sh BINARY
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name="wx-jssdk-$version-$(uname -m)-linux"
# cargo-deb's metadata in Cargo.toml names this folder.
stage=target/dist/stage
# Also those of earlier versions.
rm -rf "$stage" target/dist/*.tar.gz target/dist/*.deb
mkdir -p "$stage/systemd" "$stage/docs/zh"

install "$binary" "$stage/wx-jssdk"
strip "$stage/wx-jssdk"
# Man pages and completions, by an example that is built as the tests are.
cargo run --quiet --locked --all-features --example manual -- "$stage"
cp README.md README.zh-CN.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE wx-jssdk.default.toml "$stage"
cp docs/*.md "$stage/docs"
cp docs/zh/*.md "$stage/docs/zh"
cp examples/systemd/wx-jssdk.{service,socket} "$stage/systemd"

# Equal inputs give an equal archive.
time=$(git log -1 --format=%ct 2>/dev/null || date +%s)
tar --create --gzip --file "target/dist/$name.tar.gz" --directory target/dist --transform "s,^stage,$name," \
  --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" stage

# The package has a user of its own for the service, so that a secret file in /etc/wx-jssdk works without LoadCredential.
mkdir "$stage/debian"
sed -e '1,/^\[Unit\]/{/^#/d}' -e 's,/usr/local/bin/,/usr/bin/,' -e '/^# A dynamic user/s/.*/# store.path is relative to \/var\/lib\/wx-jssdk./' \
  -e 's/^DynamicUser=yes/User=wx-jssdk/' -e '/^# Read by root at/,/^#LoadCredential/d' \
  examples/systemd/wx-jssdk.service >"$stage/debian/wx-jssdk.service"
cp examples/systemd/wx-jssdk.socket "$stage/debian"
cargo deb --version >/dev/null 2>&1 || { echo 'installing cargo-deb'; cargo install --quiet --locked cargo-deb; }
cargo deb --quiet --no-build --no-strip --output target/dist/

rm -rf "$stage"
(cd target/dist && sha256sum -- *.tar.gz *.deb "${name%linux}image.tar" 2>/dev/null >SHA256SUMS || true; cat SHA256SUMS)
