//! Headers to set and to strip.

use super::*;

/// RFC9113-8.2.1-a, RFC9113-8.2-a.
#[test]
fn bad_headers_are_named_and_never_shown() {
    let path = "servers.github.default_headers";
    for value in [" a", "a ", "a\r\nb", "a\0", "${env:LINE}", "Bearer é"] {
        let errors = refuses(path, json!({"X-Key": value}));
        assert!(
            errors.starts_with("servers.github.default_headers.X-Key: "),
            "{errors}"
        );
        assert!(!errors.contains(CANARY));
    }
    for name in [
        ":path",
        "Host",
        "content-length",
        "Transfer_Encoding",
        "connection",
        "a b",
        "",
    ] {
        refuses(path, json!({name: "x"}));
        refuses("strip_headers", json!([name]));
        refuses("identity_headers", json!({name: "sub"}));
    }
    let config = accepts(path, json!({"X-API-KEY": "k"}));
    assert_eq!(github(&config).default_headers[0].0, "x-api-key");
    let too_long = format!("{CANARY}{}", "a".repeat(8_192));
    assert!(!refuses(path, json!({"a": too_long})).contains(CANARY));
}

#[test]
fn one_header_is_there_once_however_it_is_written() {
    refuses(
        "servers.github.default_headers",
        json!({"X-Key": "a", "x_key": "b"}),
    );
    refuses("strip_headers", json!(["x-key", "X-KEY"]));
    refuses("identity_headers", json!({"x-key": "sub", "X_Key": "sub"}));
}

#[test]
fn identity_headers_are_neither_credentials_nor_default_headers() {
    for name in [
        "Authorization",
        "proxy_authorization",
        "cookie",
        "DPoP",
        "X-Access-Token",
    ] {
        refuses("identity_headers", json!({name: "sub"}));
    }
    refuses("identity_headers", json!({"x-sub": ""}));
    let config = with(least(), "identity_headers", json!({"x_key": "sub"}));
    let config = with(
        config,
        "servers.github.default_headers",
        json!({"X-Key": "a"}),
    );
    let errors = parse(&config).unwrap_err();
    assert!(errors.starts_with("servers.github.default_headers.X-Key: is set by identity_headers"));
}

#[test]
fn credentials_are_what_is_secret_in_default_headers() {
    let headers = json!({
        "Authorization": "Bearer literal",
        "X-Key": "${env:TOKEN}",
        "X-Legacy": "Basic abc",
        "X-Plain": "public"
    });
    let config = with(least(), "servers.github.default_headers", headers);
    let config = parse(&with(config, "strip_headers", json!(["x_legacy"]))).unwrap();
    let mut credentials: Vec<_> = github(&config)
        .credentials
        .iter()
        .map(|one| String::from_utf8(one.expose().to_vec()).unwrap())
        .collect();
    credentials.sort_unstable();
    assert_eq!(credentials, ["abc", &format!("{CANARY}-TOKEN"), "literal"]);
}
