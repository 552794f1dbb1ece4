# The module alone, as Istio and Envoy Gateway fetch it: an image whose one layer
# has it as `plugin.wasm`. `make image` builds it with buildah, the same to the
# bit each time; from the project's root, after `make build`, docker does too,
# with another digest each time:
#
#   docker build -f envoy/module.Dockerfile target/wasm32-wasip1/release
FROM scratch
COPY --chown=0:0 --chmod=0644 mcp_token_guard.wasm /plugin.wasm
