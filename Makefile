# Each recipe is a cargo command or a small script: nothing here that could not
# be typed.

.DEFAULT_GOAL := help
.PHONY: help build run demo test lint interop common standards clippy envoy deny bench check \
	prometheus fuzz versions image release delivery chaos

# The first of four ports for `make run` and `make demo`.
PORT ?= 18000

# How long `make fuzz` gives each law.
SECONDS_EACH ?= 60

# What `make common` runs of `make interop`: test names with these in them.
COMMON = from_issue_to_revocation with_credentials

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-10s  %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

build: ## build the filter: target/wasm32-wasip1/release/mcp_token_guard.wasm
	@command -v cargo >/dev/null || { echo 'make: there is no cargo on the path: install Rust from https://rustup.rs, then try again.' >&2; exit 1; }
	cargo run --package pack

run: build envoy ## show it: Envoy with the filter between an MCP client and an MCP server, until Ctrl-C
	cargo run --package mcp-token-guard-tests --bin demo -- --port $(PORT) --stay

demo: build envoy ## the same, but exit when it has been shown: 0 if all went as said
	cargo run --package mcp-token-guard-tests --bin demo -- --port $(PORT)

test: build envoy ## run every test: units, the native core, an in-process Wasm host, real Envoy
	cargo test --workspace

interop: build envoy ## run the guard among authorization servers and MCP clients from npm and PyPI
	wasm-tests/interop/get
	cargo test --package mcp-token-guard-tests --test interop

common: build envoy ## the part of `interop` that CI runs: every server, a client of each language
	wasm-tests/interop/get --without-browser
	cargo test --package mcp-token-guard-tests --test interop -- $(COMMON)

check: ## check a configuration: make check FILE=envoy/envoy.yaml (plugin JSON, Envoy, Istio or Envoy Gateway)
	@cargo run --quiet --features command --bin mcp-token-guard -- check $(FILE)

prometheus: build envoy ## try alerts and labels with a real Prometheus, from Debian
	wasm-tests/prometheus/get
	cargo test --package mcp-token-guard-tests --test prometheus

versions: build ## run the table of scenarios in every Envoy that is in use
	wasm-tests/versions

fuzz: ## look for bytes that break a law of wasm-tests/laws (SECONDS_EACH=60, EXECUTIONS; needs nightly Rust and cargo-fuzz)
	wasm-tests/fuzz/run $(SECONDS_EACH)

image: build ## build the module's OCI image in target/image and print its digest (needs buildah)
	@envoy/image

release: build ## make module, image, bill of materials and checksums in target/release-files
	@envoy/release

delivery: build envoy ## run the image through a registry and the sample of Compose on podman, as root
	wasm-tests/delivery/get
	cargo test --package mcp-token-guard-tests --test delivery

standards: build envoy ## run every test, and print which proves which row of the standards with what result
	wasm-tests/interop/get
	-cargo test --workspace --no-fail-fast 2>&1 | tee target/standards.log
	-cargo test --package mcp-token-guard-tests --test interop 2>&1 | tee -a target/standards.log
	RESULTS=$(CURDIR)/target/standards.log cargo test --package mcp-token-guard-tests --test standards -- --nocapture

bench: build envoy ## measure what it costs beside what else could do its work, in real Envoy
	cargo run --package mcp-token-guard-tests --bin bench

chaos: build envoy ## faults, floods, updates, a dying VM and a soak of SOAK_SECONDS (1800); PART=... for one of them
	ulimit -n $$(ulimit -Hn) && cargo run --package mcp-token-guard-tests --bin chaos -- $(PART)

lint: clippy ## check format, lints and docs
	cargo fmt --all --check
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

clippy:
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --features command --bin mcp-token-guard -- -D warnings
	cargo clippy --package mcp-token-guard-tests --test interop --test prometheus --test delivery -- -D warnings
	cargo clippy --target wasm32-wasip1 -- -D warnings

envoy: ## get Envoy, and print where it is
	@envoy/get

deny: ## check licences and sources of the crates (needs cargo-deny)
	cargo deny check bans licenses sources
