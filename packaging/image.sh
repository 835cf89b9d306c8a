#!/usr/bin/env bash
# Builds the image of the Dockerfile with buildah, without a daemon and without a registry: the Dockerfile's first stage is replaced
# by a directory with a binary that is built already. Then runs the image's root file system (image-test.mjs).
# packaging/image.sh BINARY
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/.."

tests/need.sh 'make image' buildah:buildah ip:iproute2 openssl:openssl node:nodejs
[ "$(id -u)" = 0 ] || { echo "make image needs root, to run the image's root file system"; exit 1; }
! readelf -l "$binary" | grep -q 'program interpreter' || { echo "$binary is not static"; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
archive="$PWD/target/dist/wx-jssdk-$version-$(uname -m)-image.tar"
work=$(mktemp -d)
buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
trap 'buildah rm --all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

mkdir -p "$work/build/out/store" "$(dirname "$archive")"
install "$binary" "$work/build/out/wx-jssdk"
strip "$work/build/out/wx-jssdk"
buildah build --quiet --isolation chroot --format docker --build-context "build=$work/build" --tag "wx-jssdk:$version" . >/dev/null
rm -f target/dist/*-image.tar
buildah push --quiet "wx-jssdk:$version" "docker-archive:$archive:wx-jssdk:$version"

container=$(buildah from "wx-jssdk:$version")
buildah inspect "$container" >"$work/container.json"
root=$(buildah mount "$container")
# A network of its own: the test may use any port, also DNS's.
timeout 120 unshare --net bash -c 'ip link set lo up && exec node packaging/image-test.mjs "$@"' image-test "$root" "$work/container.json"
echo "image: $archive, $(du -h "$archive" | cut -f1). docker load <$archive"
