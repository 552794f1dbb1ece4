;; What calls into the host cost by themselves: for each request the calls that
;; the guard makes for one whose token is in its cache, in the same order and
;; with as much in them, and nothing besides. It decides nothing.
(module
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
  (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value"
    (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))

  (memory (export "memory") 16)
  ;; Where the host puts what it returns, from the start for each callback.
  (global $free (mut i32) (i32.const 65536))

  ;; 0: results of the host. The texts are behind them.
  (data (i32.const 64) "xds\00cluster_name")
  (data (i32.const 96) "authorization")
  (data (i32.const 128) "Bearer upstream-credential-0123456789")
  (data (i32.const 168) "x-mcp-subjectuser-1")
  (data (i32.const 192) "mcp_token_guard")
  (data (i32.const 224) "{\"server\":\"mcp-server\",\"outcome\":\"allowed\",\"sub\":\"user-1\",\"client_id\":\"client-1\",\"token\":\"0123456789ab\",\"request_id\":\"00000000-0000-4000-8000-000000000000\",\"cache\":\"hit\"}")
  (data (i32.const 448) "mcp_token_guard_cache.result.hit")
  (data (i32.const 512) "mcp_token_guard_requests.server.mcp-server.outcome.allowed")

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free
      (i32.and
        (i32.add (i32.add (global.get $free) (local.get $size)) (i32.const 7))
        (i32.const -8))))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $define (i32.const 0) (i32.const 448) (i32.const 32) (i32.const 32)))
    (drop (call $define (i32.const 0) (i32.const 512) (i32.const 58) (i32.const 36)))
    (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_delete") (param i32))
  (func $look (param $map i32)
    (global.set $free (i32.const 65536))
    (drop (call $pairs (local.get $map) (i32.const 0) (i32.const 4)))
    (drop (call $property (i32.const 64) (i32.const 16) (i32.const 0) (i32.const 4))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $look (i32.const 0))
    (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 8)))
    (drop (call $replace
      (i32.const 0) (i32.const 96) (i32.const 13) (i32.const 128) (i32.const 37)))
    (drop (call $replace
      (i32.const 0) (i32.const 168) (i32.const 13) (i32.const 181) (i32.const 6)))
    (drop (call $set_property (i32.const 192) (i32.const 15) (i32.const 224) (i32.const 170)))
    (drop (call $increment (i32.load (i32.const 32)) (i64.const 1)))
    (drop (call $increment (i32.load (i32.const 36)) (i64.const 1)))
    (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call $look (i32.const 2))
    (i32.const 0)))
