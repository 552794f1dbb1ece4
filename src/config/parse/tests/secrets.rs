//! Where secrets come from, and that none is shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::config::proto;

#[test]
fn the_environment_is_for_secrets_and_header_values_only() {
    for (path, value) in [
        ("authorization_server.issuer", json!("https://${env:TOKEN}")),
        (
            "authorization_server.introspection.url",
            json!("https://a/${env:TOKEN}"),
        ),
        (
            "authorization_server.introspection.client_id",
            json!("${env:TOKEN}"),
        ),
        (
            "authorization_server.introspection.cluster",
            json!("${env:TOKEN}"),
        ),
        ("servers.github.resource", json!("https://a/${env:TOKEN}")),
        ("servers.github.cluster", json!("${env:TOKEN}")),
        ("role", json!("${env:TOKEN}")),
        ("cache.ttl", json!("${env:TOKEN}")),
    ] {
        assert!(refuses(path, value).contains("works in client_secret"));
    }
}

/// SECRET-a.
#[test]
fn unset_and_empty_variables_are_named() {
    for path in [
        "authorization_server.introspection.client_secret",
        "session_key",
        "servers.github.default_headers.X-Key",
    ] {
        assert!(refuses(path, json!("${env:UNSET_ONE}")).contains("`UNSET_ONE`"));
        assert!(refuses(path, json!("a${env:EMPTY}")).contains("`EMPTY`"));
        refuses(path, json!("${env:TOKEN"));
        refuses(path, json!("${file:TOKEN}"));
        refuses(path, json!(""));
    }
}

#[test]
fn session_keys_are_long_enough_and_two_at_most() {
    let long = "0123456789abcdef";
    assert_eq!(accepts("session_key", json!(long)).session_keys.len(), 1);
    let two = accepts("session_key", json!([long, "${env:KEY}"]));
    assert!(two.session_keys[0].matches(long.as_bytes()));
    assert_eq!(two.session_keys.len(), 2);
    for value in [
        json!("0123456789abcde"),
        json!([long, "short"]),
        json!([]),
        json!([long, long, long]),
    ] {
        refuses("session_key", value);
    }
}

#[test]
fn a_session_key_is_required_where_there_is_no_client_secret() {
    let introspection = |extra: Value| {
        let mut introspection = json!({"url": "https://a/", "cluster": "a"});
        introspection
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        with(least(), "authorization_server.introspection", introspection)
    };
    for auth in [
        json!({"auth_method": "none"}),
        json!({"auth_method": "bearer", "token": "${env:TOKEN}"}),
    ] {
        let errors = parse(&introspection(auth.clone())).unwrap_err();
        assert!(errors.starts_with("session_key: is missing"), "{errors}");
        let config = with(introspection(auth), "session_key", json!("${env:KEY}"));
        assert!(parse(&config).is_ok());
    }
}

/// SECRET-a.
#[test]
fn debug_of_a_configuration_shows_no_secret() {
    let mut config = example();
    config["servers"]["github"]["default_headers"]["X-Key"] = json!(format!("literal {CANARY}"));
    for auth in [
        json!({"auth_method": "client_secret_basic", "client_id": "a", "client_secret": CANARY}),
        json!({"auth_method": "client_secret_post", "client_id": "a", "client_secret": CANARY}),
        json!({"auth_method": "client_secret_jwt", "client_id": "a", "client_secret": [CANARY.repeat(2), CANARY.repeat(3)]}),
        json!({"auth_method": "bearer", "token": CANARY}),
    ] {
        let mut introspection = json!({"url": "https://a/", "cluster": "a"});
        introspection
            .as_object_mut()
            .unwrap()
            .extend(auth.as_object().unwrap().clone());
        let config = with(
            config.clone(),
            "authorization_server.introspection",
            introspection,
        );
        let config = parse(&config).unwrap();
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains(CANARY));
        let pair = STANDARD.encode(format!("a:{CANARY}"));
        assert!(!shown.contains(&pair));
    }
}

/// SECRET-a: at every place, whatever is wrong with it.
#[test]
fn no_error_shows_a_value() {
    let example = example();
    let mut paths = Vec::new();
    leaves(&example, "", &mut paths);
    for path in paths {
        for value in [
            CANARY.to_owned(),
            format!("{CANARY} x"),
            format!("{CANARY}\r\n"),
            format!("{CANARY}é\"\\"),
            format!("${{env:{CANARY}"),
            format!("${{{CANARY}}}"),
            format!("${{env:{CANARY} }}"),
            format!("http://{CANARY}.example/{CANARY}"),
            format!("https://{CANARY}:x@a/"),
            format!("https://a:{CANARY}/"),
            format!("https://a/{CANARY}#{CANARY}"),
            format!("*{CANARY}*"),
            format!("12{CANARY}"),
            "${env:LINE}".to_owned(),
            "a ${env:TOKEN} ".to_owned(),
        ] {
            for value in [json!(value), json!([value]), json!([[value]])] {
                let mut config = example.clone();
                *config.pointer_mut(&path).unwrap() = value;
                match parse(&config) {
                    Ok(config) => assert!(!format!("{:?}", config.session_keys).contains(CANARY)),
                    Err(errors) => assert!(!errors.contains(CANARY), "{path}: {errors}"),
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Config::parse(&bytes, &env).is_err());
    }

    /// SECRET-a: a damaged configuration is refused or loads, and in neither
    /// case shows what the environment has.
    #[test]
    fn damaged_configurations_show_no_secret(
        as_struct in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = example().to_string().into_bytes();
        if as_struct {
            bytes = proto::tests::encode(&json::parse(&bytes).unwrap());
        }
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let shown = match Config::parse(&bytes, &env) {
            Ok(config) => format!("{config:?}"),
            Err(errors) => format!("{errors} {errors:?}"),
        };
        prop_assert!(!shown.contains(CANARY));
    }
}
