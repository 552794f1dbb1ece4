//! Tests of `authorization_servers`.

use super::*;

/// The servers' issuers, in order.
fn issuers(config: &Config) -> Vec<Vec<String>> {
    let servers = config.servers.iter();
    servers
        .map(|server| {
            let issuers = config
                .authorization_servers
                .issuers(&server.authorization_servers);
            issuers.map(str::to_owned).collect()
        })
        .collect()
}

fn errors(config: &Value) -> Vec<String> {
    let errors = parse(config).err().unwrap_or_default();
    errors.lines().map(str::to_owned).collect()
}

fn one_error(config: &Value, start: &str) {
    let errors = errors(config);
    assert!(
        errors.len() == 1 && errors[0].starts_with(start),
        "{start}: {errors:?}"
    );
}

#[test]
fn a_server_has_those_that_it_names_in_their_order() {
    let config = parse(&several()).unwrap();
    let (corp, partner) = ("https://corp.example.com", "https://partner.example.com");
    assert_eq!(issuers(&config), [vec![partner, corp], vec![corp]]);
    let config = parse(&least()).unwrap();
    assert_eq!(issuers(&config), [["https://auth.example.com"]]);
}

#[test]
fn where_there_is_one_it_need_not_be_named() {
    let mut one = without(several(), "authorization_servers.partner");
    one = without(one, "servers.github.authorization_servers");
    // Its secret will do for sessions as ever.
    one = without(one, "session_key");
    assert_eq!(issuers(&parse(&one).unwrap()).len(), 2);
    let two = without(several(), "servers.github.authorization_servers");
    one_error(&two, "servers.github.authorization_servers: is missing");
}

#[test]
fn either_one_or_several_are_there() {
    let both = with(
        several(),
        "authorization_server",
        least()["authorization_server"].clone(),
    );
    one_error(&both, "authorization_servers: is there beside");
    let neither = without(several(), "authorization_servers");
    one_error(&neither, "authorization_server: is missing");
    let none = with(several(), "authorization_servers", json!({}));
    one_error(&none, "authorization_servers: must have 1 to 16");
}

#[test]
fn names_are_of_those_that_there_are() {
    let at = "servers.github.authorization_servers";
    one_error(
        &with(several(), at, json!(["corp", "other"])),
        &format!("{at}[1]: is not the"),
    );
    one_error(
        &with(several(), at, json!("other")),
        &format!("{at}: is not the"),
    );
    one_error(
        &with(several(), at, json!([])),
        &format!("{at}: is an empty list"),
    );
    one_error(
        &with(several(), at, json!(["corp", "corp"])),
        &format!("{at}[1]: is in the list"),
    );
    one_error(
        &with(least(), at, json!("corp")),
        &format!("{at}: is not the"),
    );
    let partner = several()["authorization_servers"]["partner"].clone();
    let mut odd = several();
    odd["authorization_servers"]["a b"] = partner;
    odd["authorization_servers"]["a b"]["issuer"] = json!("https://other.example.com");
    one_error(&odd, "authorization_servers.a b: is not a name");
}

#[test]
fn there_are_sixteen_at_most() {
    let mut many = several();
    for number in 0..15 {
        let name = format!("as-{number}");
        let mut one = many["authorization_servers"]["corp"].clone();
        one["issuer"] = json!(format!("https://{name}.example.com"));
        many["authorization_servers"][&name] = one;
    }
    one_error(&many, "authorization_servers: must have 1 to 16");
    let sixteen = without(many, "authorization_servers.as-0");
    assert!(parse(&sixteen).is_ok());
}

#[test]
fn no_two_have_the_same_issuer() {
    let same = with(
        several(),
        "authorization_servers.partner.issuer",
        "https://corp.example.com",
    );
    one_error(
        &same,
        "authorization_servers.partner.issuer: is that of `corp`",
    );
}

#[test]
fn prefixes_at_one_server_do_not_overlap() {
    let at = "authorization_servers.corp.token_prefix";
    for prefix in ["ptn_", "ptn", "ptn_a"] {
        let overlapping = with(several(), at, prefix);
        one_error(
            &overlapping,
            "servers.github.authorization_servers[1]: has a token_prefix",
        );
    }
    assert!(parse(&with(several(), at, "corp_")).is_ok());
    // Where one of them counts only, they are not in each other's way.
    let apart = with(several(), "servers.github.authorization_servers", "partner");
    assert!(parse(&with(apart, at, "ptn_")).is_ok());
    for bad in ["", "a b", "a=", "é", &"a".repeat(65)] {
        one_error(&with(several(), at, bad), at);
    }
    // With one there is nobody to tell it from.
    refuses("authorization_server.token_prefix", "ptn_");
}

/// A secret that one of them knows binds nobody's sessions at another.
#[test]
fn several_need_a_session_key() {
    one_error(
        &without(several(), "session_key"),
        "session_key: is missing",
    );
}
