#!/usr/bin/env bash
# What would be published: everything the build and the README name, and nothing else. Builds nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

list=$(cargo package --list --allow-dirty --locked --quiet)
has() { grep -qxF -- "$1" <<<"$list"; }
failed=0
complain() { echo "cargo package: $*"; failed=1; }

# Every file of these folders that is in git, since each is compiled in or part of the crate's documentation.
while read -r file; do
  has "$file" || complain "$file is left out"
# But the pictures that the READMEs do not show, and the bare server of the benchmark, which is a package of its own.
done < <(git ls-files src templates static docs examples benches wx-jssdk.default.toml | grep -Ev '^(docs/images|benches/bare)/')

# Nothing from elsewhere: no tests (they need Redis, a browser, SDKs), no fuzzing, no leftovers.
allowed='^(src|templates|static|docs|examples|benches)/|^(Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json|README(\.zh-CN)?\.md|CHANGELOG\.md|LICENSE-(MIT|APACHE)|wx-jssdk\.default\.toml)$'
while read -r file; do
  complain "$file does not belong in it"
done < <(grep -Ev "$allowed" <<<"$list" || true)
while read -r file; do
  [ -z "$file" ] || git ls-files --error-unmatch "$file" >/dev/null 2>&1 || complain "$file is not in git"
done < <(grep -E '^(src|templates|static|docs|examples|benches)/' <<<"$list")

# Links of the READMEs and of the documents lead to files that are there too.
for page in README.md README.zh-CN.md CHANGELOG.md; do
  while read -r link; do
    has "$link" || grep -q -- "^${link%/}/" <<<"$list" || complain "$page links to $link, which is not in it"
  done < <(grep -oE '\]\([^)#]+|(src|href)="[^"#]+' "$page" | sed -E 's/^(\]\(|(src|href)=")//' | grep -Ev '^(https?:|mailto:|/)' | sort -u)
done

# A crate of this kind is well below what the registry takes (10 MB).
size=$(while read -r file; do [ -f "$file" ] && stat -c %s "$file"; done <<<"$list" | awk '{ sum += $1 } END { print sum }')
[ "$size" -lt 5000000 ] || complain "$size bytes are too much"
[ $failed = 0 ] && echo "cargo package: $(wc -l <<<"$list") files, $((size / 1024)) KiB"
exit $failed
