# Commands for developers and CI. Each works on a fresh Debian machine with Rust.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BROWSER := tests/browser
NPM_EXAMPLES := examples/vue examples/react examples/wecom
# Feature sets that an embedder may choose; each must compile without warnings.
FEATURES := "" actix axum diagnose file platform redis sql sandbox actix,file,redis,sql,sandbox server

# See fuzz/src.
FUZZ_TARGETS := page_url query upstream config diagnose central
FUZZ_SECONDS ?= 60

# Modules that `make quick` leaves out.
SLOW_TESTS := limits:: doctor:: durability:: behind:: secrets:: memory:: crowd::

# PROFILE=dev for a quick try of image and dist.
TARGET := $(shell rustc -vV | sed -n 's/^host: //p')
PROFILE ?= release
OUTPUT := $(abspath $(or $(CARGO_TARGET_DIR),target))
BINARY := $(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/wx-jssdk
# Kernels for aarch64 have pages of 4 to 64 KiB, and jemalloc must be built for the largest.
BUILD := $(if $(filter aarch64-%,$(TARGET)),JEMALLOC_SYS_WITH_LG_PAGE=16 )cargo build --profile $(PROFILE) --locked

.PHONY: help run quick check test bench soak fuzz package static image dist dist-test deps deny types

help:
	@echo 'make run     the service with a simulated WeChat: http://127.0.0.1:8080/'
	@echo 'make quick   formatting, lints of the library, and the tests of library, broker and API: under a minute when warm'
	@echo 'make check   formatting, lints over the feature sets, documentation, licences, the client script'\''s types'
	@echo 'make test    every test, with Redis, databases, a browser and public SDKs; installs what is missing'
	@echo 'make soak    ten minutes of load while one fault after the other is injected'
	@echo 'make bench   compare signing with a bare route and nginx; measure reads, memory, start-up, size: 7 minutes'
	@echo 'make fuzz    each fuzz target for FUZZ_SECONDS (60); installs cargo-fuzz if missing'
	@echo 'make package what would be published, built from its archive'
	@echo 'make image   the container image, without a daemon; runs its root file system and gets a signature. Root on Debian'
	@echo 'make dist    target/dist: archive, Debian package, SHA-256 sums'
	@echo 'make dist-test  image and dist, then installs, starts, upgrades and purges the package. Root on Debian'

run:
	cargo run --release -- serve --sandbox

# Without the tests that wait for time limits, measure memory, serve hundreds of accounts, write a trace of everything, or search for
# the mistake behind a signature.
quick:
	cargo fmt --all --check
	cargo clippy --quiet --locked --all-features --lib -- -D warnings
	cargo test --quiet --locked --all-features --lib --test broker --test api -- $(addprefix --skip ,$(SLOW_TESTS))

check: deny types
	cargo fmt --all --check
	for features in $(FEATURES); do \
	  echo "== clippy, features: $${features:-none}"; \
	  cargo clippy --quiet --locked --no-default-features --features "$$features" -- -D warnings; \
	done
	cargo clippy --locked --all-targets --all-features -- -D warnings
	tests/package.sh
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --all-features --quiet

# Advisories need a database on GitHub; check them with internet access: `cargo deny check advisories`.
deny:
	@cargo deny --version >/dev/null 2>&1 || { echo 'installing cargo-deny'; cargo install --quiet --locked cargo-deny; }
	cargo deny --log-level error --locked check licenses bans sources

# Checks the client script's types against a page that uses them. Needs npm.
types:
	@command -v npm >/dev/null || tests/deps.sh
	@cd $(BROWSER) && { [ -x node_modules/.bin/tsc ] || npm ci --silent --no-audit --no-fund; }
	cd $(BROWSER) && npm run --silent types

test: deps
	cargo test --locked --all-features
	cargo test --locked --all-features --test store --test cli -- --ignored
	SOAK_SECONDS=60 cargo test --locked --all-features --test soak -- --ignored
	JSSDK_TEST_BIN="$(OUTPUT)/debug/wx-jssdk" tests/sdk/run.sh
	JSSDK_TEST_BIN="$(OUTPUT)/debug/wx-jssdk" tests/openapi/run.sh
	cd $(BROWSER) && JSSDK_TEST_BIN="$(OUTPUT)/debug/wx-jssdk" npm test

# For an hour: SOAK_SECONDS=3600 make soak.
soak: deps
	cargo test --locked --release --all-features --test soak -- --ignored --nocapture

# Needs an idle machine; docs/PERFORMANCE.md says how it measures. BENCH_ROUNDS=3 BENCH_SECONDS=1 for a quick look.
bench:
	@tests/need.sh 'make bench' wrk:wrk nginx:nginx-light node:nodejs taskset:util-linux
	node benches/run.mjs

# On the stable toolchain, with the compiler's coverage and without a sanitizer (this crate has no unsafe code). Findings are written
# to fuzz/artifacts; fix them and keep them as fuzz/corpus/TARGET/found-WHAT: tests/sign/fuzz_corpus.rs replays them.
fuzz:
	@cargo fuzz --version >/dev/null 2>&1 || { echo 'installing cargo-fuzz'; cargo install --quiet --locked cargo-fuzz; }
	cargo fuzz build -s none
	for target in $(FUZZ_TARGETS); do \
	  echo "== $$target, $(FUZZ_SECONDS) s"; \
	  cargo fuzz run -s none $$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -max_len=20000 \
	    -dict=fuzz/dict/$$target.dict -print_final_stats=1; \
	done

# Checks what is in the archive, and that it builds from there.
package:
	tests/package.sh
	cargo package --locked --allow-dirty

# For the image, whose root is empty. With an explicit target, the flag does not reach build scripts and procedural macros, which
# cannot be static.
static:
	export RUSTFLAGS='-C target-feature=+crt-static'; $(BUILD) --target $(TARGET)

# The Dockerfile builds the binary in an image with Rust, from Docker Hub. Here and in CI, buildah replaces that stage by the binary
# of `make static` (--build-context build=…) and carries out the rest of the same Dockerfile, from scratch: no registry, no daemon.
image: static
	packaging/image.sh $(OUTPUT)/$(TARGET)/$(BINARY)

# Not static: the plug-ins that nsswitch.conf may name for host names crash a static program whose glibc is not the machine's. What is
# built runs with the glibc of this machine or a later one; .github/workflows/release.yml builds on an old distribution.
dist:
	$(BUILD)
	packaging/dist.sh $(OUTPUT)/$(BINARY)

dist-test: image dist
	packaging/dist-test.sh

# Installs what the tests with Redis and a browser need, or names it if it may not be installed.
deps:
	@tests/deps.sh
	@for folder in $(BROWSER) $(NPM_EXAMPLES); do (cd $$folder && npm ci --silent --no-audit --no-fund); done
