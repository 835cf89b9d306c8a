#!/usr/bin/env bash
# Checks which files would be published, all that the build and the documents need and no others; and that Cargo reads the manifest in
# what .dockerignore leaves of the tree. Builds nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

list=$(cargo package --list --allow-dirty --locked --quiet)
has() { grep -qxF -- "$1" <<<"$list"; }
failed=0
complain() { echo "cargo package: $*"; failed=1; }

# Every tracked file of these folders must be in the package: it is compiled in or part of the documentation.
while read -r file; do
  has "$file" || complain "$file is left out"
# Except pictures that no document shows, and the benchmark's bare server, which is a separate package.
done < <(git ls-files src templates static openapi docs examples benches wx-jssdk.default.toml | grep -Ev '^(docs/images|benches/bare)/')

# No other files: no tests (they need Redis, a browser, SDKs), no fuzzing, no temporary files.
allowed='^(src|templates|static|openapi|docs|examples|benches)/|^(Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json|README(\.zh-CN)?\.md|(CHANGELOG|CONTRIBUTING)\.md|LICENSE-(MIT|APACHE)|wx-jssdk\.default\.toml)$'
while read -r file; do
  complain "$file does not belong in it"
done < <(grep -Ev "$allowed" <<<"$list" || true)
while read -r file; do
  [ -z "$file" ] || git ls-files --error-unmatch "$file" >/dev/null 2>&1 || complain "$file is not in git"
done < <(grep -E '^(src|templates|static|openapi|docs|examples|benches)/' <<<"$list")

# Links of all documents lead to files that are in the package.
for page in README.md README.zh-CN.md CHANGELOG.md CONTRIBUTING.md docs/*.md docs/zh/*.md; do
  while read -r link; do
    link=$(realpath -m --relative-to=. "$(dirname "$page")/$link")
    has "$link" || grep -q -- "^${link%/}/" <<<"$list" || complain "$page links to $link, which is not in it"
  done < <(grep -oE '\]\([^)#]+|(src|href)="[^"#]+' "$page" | sed -E 's/^(\]\(|(src|href)=")//' | grep -Ev '^(https?:|mailto:|/)' | sort -u)
done

# The build context of the Dockerfile. Its stage that compiles is replaced in packaging/image.sh, so only this check reads the manifest
# there: Cargo wants the file of each target, also of tests and benchmarks.
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
while read -r pattern; do
  git ls-files -z -- ":(literal)$pattern" | xargs -0 --no-run-if-empty cp --parents --target-directory "$context"
done < <(sed -n 's/^!//p' .dockerignore)
# `cargo metadata` would only leave such a target out.
cargo fetch --quiet --locked --target "$(rustc -vV | sed -n 's/^host: //p')" --manifest-path "$context/Cargo.toml" || {
  echo "docker build: .dockerignore leaves out a file that Cargo.toml names"
  failed=1
}

# The registry accepts 10 MB, compressed; this is less than a third of it then.
size=$(while read -r file; do [ -f "$file" ] && stat -c %s "$file"; done <<<"$list" | awk '{ sum += $1 } END { print sum }')
[ "$size" -lt 7000000 ] || complain "$size bytes are too much"
[ $failed = 0 ] && echo "cargo package: $(wc -l <<<"$list") files, $((size / 1024)) KiB"
exit $failed
