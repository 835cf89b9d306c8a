# wx-jssdk: the commands of a developer and of CI. Each works on a fresh Debian machine with Rust.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BROWSER := tests/browser
NPM_EXAMPLES := examples/vue examples/react examples/wecom
# Feature sets that an embedder may choose; each has to compile and to be clean alone.
FEATURES := "" actix diagnose file redis sandbox actix,file,redis,sandbox server

# Each takes any bytes; see fuzz/src.
FUZZ_TARGETS := page_url query upstream config diagnose central
FUZZ_SECONDS ?= 60

.PHONY: help run check test bench soak fuzz package deps deny types browser

help:
	@echo 'make run     the service with a simulated WeChat: http://127.0.0.1:8080/'
	@echo 'make check   formatting, lints over the feature sets, documentation, licences, the client script'\''s types'
	@echo 'make test    every test, with Redis, a browser and public SDKs; installs what is missing'
	@echo 'make soak    ten minutes of load while everything goes wrong in turn'
	@echo 'make bench   signing against a bare route and nginx; reads, memory, start, size: 5 minutes'
	@echo 'make fuzz    each fuzz target for FUZZ_SECONDS (60); installs cargo-fuzz where it is missing'
	@echo 'make package what would be published, built from its own archive'

run:
	cargo run --release -- serve --sandbox

check: deny types
	cargo fmt --all --check
	for features in $(FEATURES); do \
	  echo "== clippy, features: $${features:-none}"; \
	  cargo clippy --quiet --locked --no-default-features --features "$$features" -- -D warnings; \
	done
	cargo clippy --locked --all-targets --all-features -- -D warnings
	tests/package.sh
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --all-features --quiet

# Advisories need the internet (a database on GitHub): `cargo deny check advisories`, where there is some.
deny:
	@cargo deny --version >/dev/null 2>&1 || { echo 'installing cargo-deny'; cargo install --quiet --locked cargo-deny; }
	cargo deny --log-level error --locked check licenses bans sources

# The client script's type definitions against a page that uses them. Needs npm.
types:
	@command -v npm >/dev/null || tests/deps.sh
	@cd $(BROWSER) && { [ -x node_modules/.bin/tsc ] || npm ci --silent --no-audit --no-fund; }
	cd $(BROWSER) && npm run --silent types

test: deps
	cargo test --locked --all-features
	cargo test --locked --all-features --test store --test cluster --test faults --test operations --test restart -- --ignored
	SOAK_SECONDS=60 cargo test --locked --all-features --test soak -- --ignored
	WX_JSSDK_BIN="$(CURDIR)/target/debug/wx-jssdk" tests/sdk/run.sh
	WX_JSSDK_BIN="$(CURDIR)/target/debug/wx-jssdk" tests/openapi/run.sh
	cd $(BROWSER) && WX_JSSDK_BIN="$(CURDIR)/target/debug/wx-jssdk" npm test

# SOAK_SECONDS=3600 make soak: an hour of it.
soak: deps
	cargo test --locked --release --all-features --test soak -- --ignored --nocapture

# On a machine with nothing else to do; benches/run.mjs says how it measures. BENCH_ROUNDS=3 BENCH_SECONDS=1 for a quick look.
bench:
	@benches/deps.sh
	node benches/run.mjs

# On the stable toolchain: coverage by the compiler's own pass, without a sanitizer (there is no unsafe code of ours to watch). What
# is found lies in fuzz/artifacts; mend it, and keep it as fuzz/corpus/TARGET/found-WHAT: tests/fuzz_corpus.rs replays it.
fuzz:
	@cargo fuzz --version >/dev/null 2>&1 || { echo 'installing cargo-fuzz'; cargo install --quiet --locked cargo-fuzz; }
	cargo fuzz build -s none
	for target in $(FUZZ_TARGETS); do \
	  echo "== $$target, $(FUZZ_SECONDS) s"; \
	  cargo fuzz run -s none $$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -max_len=20000 \
	    -dict=fuzz/dict/$$target.dict -print_final_stats=1; \
	done

# What is in the archive, and that it builds from there alone.
package:
	tests/package.sh
	cargo package --locked --allow-dirty

# What the tests with Redis and a browser need: installed where that may be done, named otherwise.
deps:
	@tests/deps.sh
	@for folder in $(BROWSER) $(NPM_EXAMPLES); do (cd $$folder && npm ci --silent --no-audit --no-fund); done
