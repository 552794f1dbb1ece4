//! `credential` of a server: a token of ours for it, and where it is fetched.

use core::time::Duration;

use url::form_urlencoded::byte_serialize;

use super::cursor::{Members, Node, Reader, each};
use super::uri;
use super::{Endpoint, Fetch, Grant, Role, endpoint, scope};

/// Reads `credential`.
pub(super) fn read(node: &Node<'_>, role: Option<Role>, reader: &mut Reader<'_>) -> Option<Fetch> {
    let mut members = node.object(reader)?;
    let grant = members
        .require("grant", reader)
        .and_then(|node| node.word(reader, GRANTS));
    let (endpoint, _) = endpoint::read(&mut members, None, reader);
    let scope = members.or("scope", Vec::new(), reader, |node, reader| {
        node.strings(reader, scope::token)
    });
    let audience = names(&mut members, "audience", reader, |text| match text {
        "" => Err("is empty; give an audience or remove it"),
        text => Ok(text.to_owned()),
    });
    let resource = names(&mut members, "resource", reader, |text| {
        if uri::is_absolute(text) {
            Ok(text.to_owned())
        } else {
            Err("is not an absolute URI without a fragment")
        }
    });
    let lifetime = members.or("default_expires_in", MINUTE, reader, |node, reader| {
        node.duration(reader, Duration::from_secs(1)..=Duration::from_secs(3_600))
    });
    members.finish(reader);
    if grant == Some(Grant::TokenExchange) && role.is_some_and(|role| role != Role::Gateway) {
        reader.report(
            &node.path.key("grant"),
            "is token_exchange, which needs the client's token where the credential is set; use \
             it in the role gateway, or client_credentials",
        );
        return None;
    }
    let (scope, audience, resource) = (scope?, audience?, resource?);
    let mut targets = String::new();
    if !scope.is_empty() {
        parameter(&mut targets, "scope", &scope.join(" "));
    }
    for one in &audience {
        parameter(&mut targets, "audience", one);
    }
    for one in &resource {
        parameter(&mut targets, "resource", one);
    }
    Some(fetch(grant?, endpoint?, targets, lifetime?))
}

fn fetch(grant: Grant, endpoint: Endpoint, targets: String, lifetime: Duration) -> Fetch {
    Fetch {
        grant,
        endpoint,
        targets,
        default_expires_in: lifetime,
    }
}

/// One text or a list of them, which may not be empty.
fn names(
    members: &mut Members<'_>,
    name: &'static str,
    reader: &mut Reader<'_>,
    read: fn(&str) -> Result<String, &'static str>,
) -> Option<Vec<String>> {
    members.or(name, Vec::new(), reader, |node, reader| {
        let items = node.one_or_list();
        if items.is_empty() {
            reader.report(&node.path, "is an empty list; name one or remove it");
            return None;
        }
        each(&items, reader, read)
    })
}

/// One more parameter of a form.
fn parameter(form: &mut String, name: &str, value: &str) {
    form.push('&');
    form.push_str(name);
    form.push('=');
    form.extend(byte_serialize(value.as_bytes()));
}

/// `grant`.
const GRANTS: &[(&str, Grant)] = &[
    ("client_credentials", Grant::ClientCredentials),
    ("token_exchange", Grant::TokenExchange),
];

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn read_as(role: Role, more: &str) -> Result<Fetch, String> {
        let text = format!(
            r#"{{"url":"https://as.example/token","cluster":"as","client_id":"a",
                "client_secret":"b"{more}}}"#
        );
        let json = json::parse(text.as_bytes()).unwrap();
        let mut reader = Reader::new(&|_| None);
        let fetch = read(&Node::root(&json), Some(role), &mut reader);
        reader.finish(fetch).map_err(|errors| errors.to_string())
    }

    #[test]
    fn what_is_asked_for_is_form_encoded() {
        let fetch = read_as(
            Role::Gateway,
            r#","grant":"token_exchange","scope":["a","b:c"],"audience":["x y","z"],
               "resource":"https://up.example/mcp?a=b""#,
        )
        .unwrap();
        assert_eq!(fetch.grant, Grant::TokenExchange);
        assert_eq!(
            fetch.targets,
            "&scope=a+b%3Ac&audience=x+y&audience=z&resource=https%3A%2F%2Fup.example%2Fmcp%3Fa%3Db"
        );
        assert_eq!(fetch.default_expires_in, MINUTE);
        let plain = read_as(Role::Gateway, r#","grant":"client_credentials""#).unwrap();
        assert_eq!(plain.targets, "");
    }

    #[test]
    fn mistakes_are_found() {
        for more in [
            "",
            r#","grant":"authorization_code""#,
            r#","grant":"client_credentials","scope":"a""#,
            r#","grant":"client_credentials","scope":["a b"]"#,
            r#","grant":"client_credentials","audience":[]"#,
            r#","grant":"client_credentials","audience":"""#,
            r#","grant":"client_credentials","resource":"/mcp""#,
            r#","grant":"client_credentials","resource":"https://up.example/#a""#,
            r#","grant":"client_credentials","default_expires_in":"0s""#,
            r#","grant":"client_credentials","subject_token":"a""#,
            r#","grant":"client_credentials","token":"a""#,
        ] {
            assert!(read_as(Role::Gateway, more).is_err(), "{more}");
        }
        let all = r#","grant":"client_credentials","scope":["a"],"audience":"x","resource":["urn:a:b"],
            "default_expires_in":"5m""#;
        assert!(read_as(Role::Gateway, all).is_ok());
    }

    /// An injector has no token of the client's, and at a verifier none is set.
    #[test]
    fn tokens_are_exchanged_in_the_role_gateway_only() {
        for role in [Role::Injector, Role::Verifier] {
            let error = read_as(role, r#","grant":"token_exchange""#).unwrap_err();
            assert!(error.starts_with("grant: "), "{error}");
            assert!(read_as(role, r#","grant":"client_credentials""#).is_ok());
        }
    }
}
