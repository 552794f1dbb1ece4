# Each recipe is a cargo command or a small script: nothing here that could not
# be typed.

.DEFAULT_GOAL := help
.PHONY: help build

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

build: ## the filter, as shipped: target/wasm32-wasip1/release/mcp_token_guard.wasm
	cargo run --package pack
