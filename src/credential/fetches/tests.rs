use super::*;
use crate::digest::Digester;

const CONFIG: &str = r#"{
    "authorization_server": {
        "issuer": "https://auth.example.com",
        "introspection": {
            "url": "https://auth.example.com/introspect",
            "cluster": "as",
            "client_id": "gw",
            "client_secret": "a-secret-of-the-gateway"
        }
    },
    "cache": {"max_entries": 2},
    "servers": {
        "own": {
            "resource": "https://gw.example.com/own",
            "credential": {
                "grant": "client_credentials",
                "url": "https://auth.example.com/token",
                "cluster": "as",
                "client_id": "gw",
                "client_secret": "b",
                "default_expires_in": "100s"
            }
        },
        "exchanged": {
            "resource": "https://gw.example.com/exchanged",
            "credential": {
                "grant": "token_exchange",
                "url": "https://auth.example.com/token",
                "cluster": "as",
                "client_id": "gw",
                "client_secret": "b"
            }
        }
    }
}"#;

/// One worker's, with the clock that the test turns.
struct World {
    config: Config,
    fetches: Fetches,
    digester: Digester,
    now_ms: u64,
    call: u32,
}

impl World {
    fn new() -> Self {
        let config = Config::parse(CONFIG.as_bytes(), &|_| None).unwrap();
        Self {
            fetches: Fetches::new(&config),
            config,
            digester: Digester::new("", ""),
            now_ms: 1_000_000,
            call: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            wall_ms: self.now_ms,
            steady_ms: self.now_ms,
        }
    }

    fn own(&self) -> Key {
        Key::of_server(self.config.servers.by_name(b"own").unwrap())
    }

    fn of(&self, caller: &str) -> Key {
        let server = self.config.servers.by_name(b"exchanged").unwrap();
        Key::of_caller(server, self.digester.of(caller.as_bytes()))
    }

    /// The root context makes the call for this one.
    fn ask(&mut self, key: Key) -> CallId {
        assert_eq!(self.fetches.unasked(9), [key]);
        assert!(
            self.fetches
                .callout(&key, &self.config, self.now())
                .is_some()
        );
        self.call = self.call.saturating_add(1);
        let call = CallId(self.call);
        self.fetches
            .asked(&key, call, self.now_ms, self.now_ms.saturating_add(2_000));
        assert!(!self.fetches.has_to_ask());
        call
    }

    fn land(&mut self, call: CallId, status: u16, body: &str) -> Option<Result<(), Fault>> {
        let key = self.fetches.of_call(call)?;
        let reply = Reply::Whole {
            status,
            content_type: Some(b"application/json"),
            retry_after: None,
            body: body.as_bytes(),
        };
        let now = self.now();
        self.fetches.land(
            key,
            &reply,
            &self.config,
            &|token| vec![self.digester.of(token)],
            now,
        )
    }

    /// Has it fetched for one request, with this lifetime.
    fn fetch(&mut self, key: Key, token: &str, expires_in: Option<u64>) {
        let subject = key.caller.map(|_| Secret::new(b"a-token-of-a-client"));
        let stream = StreamId(self.call);
        self.fetches.begin(key, subject, u64::MAX, Some(stream));
        let call = self.ask(key);
        assert_eq!(
            self.land(call, 200, &issued(token, expires_in)),
            Some(Ok(()))
        );
        let (settled, result) = self.fetches.ready().unwrap();
        assert_eq!((settled, result.is_ok()), (stream, true));
    }

    /// The token that is held.
    fn held(&mut self, key: Key) -> Option<String> {
        match self.fetches.find(&key, self.now()) {
            Known::Held(held) => Some(String::from_utf8(held.token().to_vec()).unwrap()),
            Known::Failed(_) | Known::Nothing => None,
        }
    }
}

fn issued(token: &str, expires_in: Option<u64>) -> String {
    let life = expires_in.map_or(String::new(), |life| format!(",\"expires_in\":{life}"));
    format!(
        r#"{{"access_token":"{token}","token_type":"Bearer"{life},
            "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}}"#
    )
}

#[test]
fn a_credential_is_used_until_just_before_it_expires() {
    for (expires_in, last_ms) in [(Some(10), 8_999), (Some(1_000), 994_999), (None, 94_999)] {
        let mut world = World::new();
        let key = world.own();
        let asked = world.now_ms;
        world.fetch(key, "a", expires_in);
        world.now_ms = asked + last_ms;
        assert_eq!(world.held(key).as_deref(), Some("a"), "{expires_in:?}");
        world.now_ms += 1;
        assert_eq!(world.held(key), None, "{expires_in:?}");
    }
}

#[test]
fn its_life_begins_when_it_is_asked_for() {
    let mut world = World::new();
    let key = world.own();
    world.fetches.begin(key, None, u64::MAX, None);
    let call = world.ask(key);
    world.now_ms += 1_500;
    // 900 ms of it could be used, and they are over.
    let landed = world.land(call, 200, &issued("a", Some(1)));
    assert_eq!(landed, Some(Err(Fault::Expired)));
    assert_eq!(world.held(key), None);
}

#[test]
fn own_credentials_are_refreshed_by_the_clock_if_they_are_used() {
    for (expires_in, due_ms) in [(10, 8_000), (100, 80_000), (1_000, 970_000)] {
        for used in [true, false] {
            let mut world = World::new();
            let key = world.own();
            let asked = world.now_ms;
            world.fetches.begin(key, None, u64::MAX, None);
            let call = world.ask(key);
            world
                .land(call, 200, &issued("a", Some(expires_in)))
                .unwrap()
                .unwrap();
            assert!(world.fetches.is_idle());
            if used {
                assert!(world.held(key).is_some());
                assert!(!world.fetches.is_idle());
            }
            world.now_ms = asked + due_ms - 1;
            world.fetches.refresh(9, world.now());
            assert!(!world.fetches.has_to_ask());
            world.now_ms += 1;
            world.fetches.refresh(0, world.now());
            assert!(!world.fetches.has_to_ask(), "there is no room");
            world.fetches.refresh(9, world.now());
            world.fetches.refresh(9, world.now());
            assert_eq!(world.fetches.unasked(9).len(), usize::from(used));
            if used {
                let call = world.ask(key);
                assert_eq!(world.held(key).as_deref(), Some("a"));
                world
                    .land(call, 200, &issued("b", Some(10)))
                    .unwrap()
                    .unwrap();
                assert_eq!(world.held(key).as_deref(), Some("b"));
            }
        }
    }
}

#[test]
fn a_failed_refresh_is_held_off_and_takes_nothing_away() {
    let mut world = World::new();
    let key = world.own();
    world.fetch(key, "a", Some(10));
    world.now_ms += 8_000;
    world.fetches.refresh(9, world.now());
    let call = world.ask(key);
    assert_eq!(world.land(call, 500, ""), Some(Err(Fault::Status)));
    assert_eq!(world.held(key).as_deref(), Some("a"));
    world.now_ms += 999;
    world.fetches.refresh(9, world.now());
    assert!(!world.fetches.has_to_ask());
    world.now_ms += 1;
    // It has expired meanwhile: the next request fetches it.
    assert!(matches!(
        world.fetches.find(&key, world.now()),
        Known::Nothing
    ));
}

#[test]
fn a_failure_is_held_off_for_a_second_or_as_long_as_is_said() {
    for (status, off_ms) in [(500, 1_000), (400, 1_000), (429, 2_000)] {
        let mut world = World::new();
        let key = world.own();
        world.fetches.begin(key, None, u64::MAX, Some(StreamId(7)));
        assert!(world.fetches.join(&key, StreamId(8)));
        assert_eq!(world.fetches.waiting(), 2);
        let call = world.ask(key);
        assert!(world.land(call, status, "").unwrap().is_err());
        assert_eq!(world.fetches.waiting(), 0);
        for stream in [7, 8] {
            let (settled, result) = world.fetches.ready().unwrap();
            assert_eq!((settled, result.is_err()), (StreamId(stream), true));
        }
        assert!(world.fetches.ready().is_none());
        world.now_ms += off_ms - 1;
        let find = |world: &mut World| world.fetches.find(&key, world.now());
        assert!(matches!(find(&mut world), Known::Failed(_)), "{status}");
        world.now_ms += 1;
        assert!(matches!(find(&mut world), Known::Nothing), "{status}");
    }
}

#[test]
fn a_rejected_credential_is_dropped_when_it_is_a_second_old() {
    for exchanged in [false, true] {
        let mut world = World::new();
        let key = if exchanged {
            world.of("x")
        } else {
            world.own()
        };
        world.fetch(key, "a", Some(300));
        let Known::Held(held) = world.fetches.find(&key, world.now()) else {
            panic!("not held");
        };
        held.reject();
        world.now_ms += 999;
        assert_eq!(world.held(key).as_deref(), Some("a"));
        world.now_ms += 1;
        assert_eq!(world.held(key), None);
        // A late refusal of the old one does nothing to the new one.
        world.fetch(key, "b", Some(300));
        held.reject();
        world.now_ms += 5_000;
        assert_eq!(world.held(key).as_deref(), Some("b"));
    }
}

#[test]
fn an_exchanged_credential_is_of_one_caller_and_ends_with_its_token() {
    let mut world = World::new();
    let (one, other) = (world.of("one"), world.of("other"));
    world.fetch(one, "a", Some(300));
    assert_eq!(world.held(one).as_deref(), Some("a"));
    assert_eq!(world.held(other), None);
    let ends = world.now_ms + 5_000;
    let subject = Some(Secret::new(b"a-token-of-a-client"));
    world.fetches.begin(other, subject, ends, None);
    let call = world.ask(other);
    world
        .land(call, 200, &issued("b", Some(300)))
        .unwrap()
        .unwrap();
    world.now_ms = ends - 1;
    assert!(world.held(other).is_some());
    world.now_ms = ends;
    assert_eq!(world.held(other), None);
}

#[test]
fn exchanged_credentials_are_bounded_and_push_out_no_own_one() {
    let mut world = World::new();
    let own = world.own();
    world.fetch(own, "own", Some(300));
    for caller in 0..200 {
        let key = world.of(&caller.to_string());
        world.fetch(key, &format!("token-{caller}"), Some(300));
    }
    let held = (0..200).filter(|caller| {
        let key = world.of(&caller.to_string());
        world.held(key).is_some()
    });
    assert_eq!(held.count(), 2);
    assert!(world.held(own).is_some());
    assert!(
        world.fetches.ours.len() <= 2 * FEW,
        "{}",
        world.fetches.ours.len()
    );
}

#[test]
fn what_is_held_or_goes_with_a_request_is_ours() {
    let mut world = World::new();
    let key = world.own();
    world.fetch(key, "a", Some(300));
    let (first, second) = (world.digester.of(b"a"), world.digester.of(b"b"));
    assert!(world.fetches.holds(&first) && !world.fetches.holds(&second));
    let live = world.fetches.find(&key, world.now());
    world.fetch(key, "b", Some(300));
    assert!(world.fetches.holds(&first) && world.fetches.holds(&second));
    drop(live);
    assert!(!world.fetches.holds(&first));
}

#[test]
fn a_call_goes_on_when_all_have_left_and_is_given_up_when_it_is_overdue() {
    let mut world = World::new();
    let key = world.own();
    world.fetches.begin(key, None, u64::MAX, Some(StreamId(1)));
    let call = world.ask(key);
    world.fetches.leave(&key, StreamId(1));
    assert_eq!((world.fetches.waiting(), world.fetches.in_flight()), (0, 1));
    world.now_ms += 2_999;
    assert!(world.fetches.overdue(world.now()).is_empty());
    world.now_ms += 1;
    assert_eq!(world.fetches.overdue(world.now()), [key]);
    let now = world.now();
    let landed = world
        .fetches
        .land(key, &Reply::Broken, &world.config, &|_| Vec::new(), now);
    assert_eq!(landed, Some(Err(Fault::Unreachable)));
    // The answer comes after all, and is nobody's.
    assert_eq!(world.land(call, 200, &issued("late", Some(300))), None);
    assert_eq!(world.held(key), None);
    assert!(world.fetches.ready().is_none());
}

/// One secret is refused: the other is tried, once, and goes first from then on.
#[test]
fn of_two_secrets_the_other_is_tried_where_one_is_refused() {
    const REFUSED: &str = r#"{"error":"invalid_client"}"#;
    let two = CONFIG.replace(r#""client_secret": "b""#, r#""client_secret": ["b", "c"]"#);
    let config = || Config::parse(two.as_bytes(), &|_| None).unwrap();
    let world = || World {
        fetches: Fetches::new(&config()),
        config: config(),
        ..World::new()
    };
    let begun = |world: &mut World| {
        let key = world.own();
        let stream = StreamId(1);
        world.fetches.begin(key, None, u64::MAX, Some(stream));
        world.ask(key)
    };
    for (status, body) in [(400, REFUSED), (500, "")] {
        let mut world = world();
        let call = begun(&mut world);
        let landed = world.land(call, status, body);
        if status == 400 {
            assert_eq!(landed, None);
            assert!(world.fetches.has_to_ask() && !world.fetches.has_ready());
            let call = world.ask(world.own());
            let landed = world.land(call, status, body);
            assert_eq!(landed, Some(Err(Fault::ClientRefused)));
        } else {
            assert!(matches!(landed, Some(Err(_))), "{landed:?}");
        }
        assert!(world.fetches.has_ready() && !world.fetches.has_to_ask());
        assert_eq!(world.fetches.notices().count(), 0);
    }
    let mut world = world();
    let call = begun(&mut world);
    assert_eq!(world.land(call, 401, REFUSED), None);
    let call = world.ask(world.own());
    let landed = world.land(call, 200, &issued("t", Some(300)));
    assert_eq!(landed, Some(Ok(())));
    let notices: Vec<String> = world.fetches.notices().collect();
    let [notice] = &notices[..] else {
        panic!("{notices:?}");
    };
    assert!(notice.contains("secret"), "{notice}");
    assert_eq!(world.fetches.notices().count(), 0);
}

#[test]
fn what_is_ours_is_forgotten_when_it_is_gone() {
    let mut world = World::new();
    for number in 0..1_000 {
        let key = world.of(&number.to_string());
        world.fetch(key, &number.to_string(), Some(300));
        // The last two are kept, and no other is forgotten for that.
        for kept in [number, number.max(1) - 1] {
            let digest = world.digester.of(kept.to_string().as_bytes());
            assert!(world.fetches.holds(&digest), "{kept} at {number}");
        }
    }
    // Two are kept, and so many dead ones at most.
    assert!(
        world.fetches.ours.len() <= FEW + 1,
        "{}",
        world.fetches.ours.len()
    );
}
