//! The in-process host is itself held to what real Envoy was seen to do, with
//! modules of a few lines: were it to get lax, the tests of the filter would
//! prove nothing.

use mcp_token_guard_tests::host::{Host, LoadError, Request, State, StreamId};

/// The root context is 1, streams count from 2.
const FIRST: u32 = 2;

/// A module whose callbacks do this. `Pause` is 1.
fn module(request: &str, tick: &str, response: &str) -> String {
    format!(
        r#"(module
  (import "env" "proxy_send_local_response"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $act_for (param i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $period (param i32) (result i32)))
  (import "env" "proxy_remove_header_map_value"
    (func $remove_value (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func $reply (drop (call $send (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))))
  (func $resume (drop (call $continue (i32.const 0))))
  (func $remove (drop (call $remove_value (i32.const 0) (i32.const 0) (i32.const 3))))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
    (drop (call $period (i32.const 1))) (i32.const 1))
  (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32) {request})
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_tick") (param i32) (local $id i32) {tick})
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) {response})
  (data (i32.const 0) "x-a"))"#
    )
}

/// A worker with such a module.
fn host(request: &str, tick: &str, response: &str) -> Host {
    Host::load(module(request, tick, response).as_bytes(), &[], "", "test").unwrap()
}

/// Answers this many streams in one callback.
fn replies(count: u32) -> String {
    let last = FIRST + count;
    format!(
        "(local.set $id (i32.const {FIRST})) (loop $next \
         (if (i32.eqz (call $act_for (local.get $id))) (then (call $reply))) \
         (local.set $id (i32.add (local.get $id) (i32.const 1))) \
         (br_if $next (i32.lt_u (local.get $id) (i32.const {last}))))"
    )
}

/// A request of which nothing is remarkable.
fn get() -> Request {
    Request::new([(":method", "GET"), (":path", "/"), ("x-a", "1")])
}

/// So many requests, answered by one tick. The host, and the streams.
fn crowd(size: u32) -> (Host, Vec<StreamId>) {
    let mut host = host("(i32.const 1)", &replies(size), "(i32.const 0)");
    host.lenient();
    let streams = (0..size).map(|_| host.request(get())).collect();
    host.tick();
    (host, streams)
}

const PAUSE: &str = "(i32.const 1)";
const CONTINUE: &str = "(i32.const 0)";

#[test]
fn three_hundred_replies_in_one_callback_are_survived_and_ten_more_are_not() {
    let (host, streams) = crowd(300);
    assert_eq!(host.trap(), None);
    let answered = |s: &StreamId| matches!(host.state(*s), State::Replied(_));
    assert!(streams.iter().all(answered));
    let (host, _) = crowd(310);
    assert!(host.trap().unwrap().contains("Maximum call stack"));
}

#[test]
fn sixty_four_settled_streams_are_the_most() {
    assert!(crowd(64).0.violations().is_empty());
    let (host, _) = crowd(65);
    assert!(host.violations()[0].contains("more than 64"));
}

#[test]
fn a_local_reply_overrides_what_the_callback_returns() {
    let mut host = host("(call $reply) (i32.const 0)", "", CONTINUE);
    let stream = host.request(get());
    assert!(matches!(host.state(stream), State::Replied(r) if r.status == 403));
}

#[test]
#[should_panic(expected = "that has a local reply")]
fn a_reply_and_a_resume_are_reported() {
    host("(call $reply) (call $resume) (i32.const 1)", "", CONTINUE).request(get());
}

#[test]
#[should_panic(expected = "that has been let go")]
fn a_reply_after_a_resume_is_reported() {
    let tick = "(drop (call $act_for (i32.const 2))) (call $resume) (call $reply)";
    let mut host = host(PAUSE, tick, CONTINUE);
    host.request(get());
    host.tick();
}

#[test]
#[should_panic(expected = "out of reach")]
fn a_header_that_is_changed_after_a_resume_is_reported() {
    let tick = "(drop (call $act_for (i32.const 2))) (call $resume) (call $remove)";
    let mut host = host(PAUSE, tick, CONTINUE);
    host.request(get());
    host.tick();
}

#[test]
#[should_panic(expected = "out of reach")]
fn request_headers_are_out_of_reach_in_the_response() {
    let mut host = host(CONTINUE, "", "(call $remove) (i32.const 0)");
    let stream = host.request(get());
    host.response(stream, 200, [("content-length", "0")], true);
}

#[test]
#[should_panic(expected = "without a verdict")]
fn a_request_that_leaves_without_a_verdict_is_reported() {
    host(CONTINUE, "", CONTINUE).request(get().undecided());
}

#[test]
fn nothing_can_be_done_to_a_stream_that_has_ended() {
    // Traps if the host says that the context is still there.
    let tick = "(if (i32.eqz (call $act_for (i32.const 2))) (then unreachable))";
    let mut host = host(PAUSE, tick, CONTINUE);
    let stream = host.request(get());
    host.disconnect(stream);
    host.tick();
    assert_eq!(host.state(stream), State::Closed);
}

#[test]
fn continue_from_the_body_lets_the_head_go_only_where_envoy_is_told_so() {
    for early in [false, true] {
        let mut host = host(PAUSE, "", CONTINUE);
        if early {
            host.stop_iteration_only();
        }
        let stream = host.request(get().more_follows());
        host.body(stream, b"x", true);
        let left = matches!(host.state(stream), State::Forwarded(_));
        assert_eq!(left, early);
    }
}

#[test]
fn a_trap_answers_its_request_and_leaves_the_others_hanging() {
    // The second request dies.
    let request = "(if (i32.eq (local.get $id) (i32.const 3)) (then unreachable)) (i32.const 1)";
    let mut host = host(request, "", CONTINUE);
    host.lenient();
    let [first, second, third] = [(); 3].map(|()| host.request(get()));
    assert!(host.trap().unwrap().contains("unreachable"));
    assert_eq!(host.state(first), State::Paused);
    for stream in [second, third] {
        assert!(matches!(host.state(stream), State::Replied(r) if r.status == 503));
    }
}

#[test]
fn an_import_that_envoy_does_not_have_is_refused_at_load() {
    let unknown = r#"(module (import "env" "proxy_surprise" (func))
        (func (export "proxy_abi_version_0_2_1")))"#;
    let error = Host::load(unknown.as_bytes(), &[], "", "test").unwrap_err();
    assert!(matches!(&error, LoadError::Module(why) if why.contains("proxy_surprise")));
    let silent = Host::load(b"(module)", &[], "", "test").unwrap_err();
    assert!(matches!(silent, LoadError::Module(_)));
}

#[test]
fn a_function_that_the_host_does_not_model_is_reported_when_it_is_called() {
    let shared = r#"(module
        (import "env" "proxy_get_status" (func $f (param i32 i32 i32) (result i32)))
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
          (call $f (i32.const 0) (i32.const 0) (i32.const 0))))"#;
    let error = Host::load(shared.as_bytes(), &[], "", "test").unwrap_err();
    assert!(matches!(&error, LoadError::Trap(why) if why.contains("proxy_get_status")));
}
