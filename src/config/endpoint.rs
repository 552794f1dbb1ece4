//! An OAuth endpoint: where it is, how it is reached, and how we say there who
//! we are.

use core::time::Duration;
use std::rc::Rc;

use super::Endpoint;
use super::client_auth::{self, KeySource};
use super::cursor::{Members, Reader};
use super::uri::WebUrl;

/// Reads `url`, `cluster`, `timeout` and what [`client_auth`] knows. The caller
/// may have more keys in the same object, and says when it is finished.
/// `issuer` is whom client assertions are for, where nothing else is
/// configured; without one that has to be.
pub(super) fn read(
    members: &mut Members<'_>,
    issuer: Option<&str>,
    reader: &mut Reader<'_>,
) -> (Option<Endpoint>, KeySource) {
    let url = members
        .require("url", reader)
        .and_then(|node| node.parsed(reader, |text| WebUrl::parse(text).map(|url| (text, url))));
    let cluster = members
        .require("cluster", reader)
        .and_then(|node| node.parsed(reader, cluster));
    let timeout = members.or("timeout", Duration::from_secs(2), reader, |node, reader| {
        node.duration(reader, Duration::from_millis(10)..=Duration::from_secs(30))
    });
    let (auth, key) = client_auth::read(members, issuer, reader);
    let (Some((text, url)), Some(cluster), Some(timeout), Some(auth)) =
        (url, cluster, timeout, auth)
    else {
        return (None, key);
    };
    let path = if url.path.is_empty() { "/" } else { url.path };
    let endpoint = Endpoint {
        url: text.to_owned(),
        cluster,
        path: format!("{path}{}", url.query),
        scheme: url.scheme,
        authority: url.authority,
        auth: Rc::new(auth),
        timeout,
    };
    (Some(endpoint), key)
}

fn cluster(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("is empty; give the name of the Envoy cluster that reaches the authorization server")
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::cursor::Node;
    use crate::json;

    fn endpoint_of(url: &str) -> Endpoint {
        let text = format!(r#"{{"url":"{url}","cluster":"as","auth_method":"none"}}"#);
        let json = json::parse(text.as_bytes()).unwrap();
        let mut reader = Reader::new(&|_| None);
        let mut members = Node::root(&json).object(&mut reader).unwrap();
        let (endpoint, _) = read(&mut members, None, &mut reader);
        members.finish(&mut reader);
        reader.finish(endpoint).unwrap()
    }

    #[test]
    fn the_url_becomes_what_a_call_needs() {
        let one = endpoint_of("https://AS.example:8443/oauth2/introspect?x=1");
        assert_eq!(
            (one.scheme.as_str(), one.authority.as_str()),
            ("https", "as.example:8443")
        );
        assert_eq!(one.path, "/oauth2/introspect?x=1");
        let root = endpoint_of("http://127.0.0.1:9000");
        assert_eq!((root.scheme.as_str(), root.path.as_str()), ("http", "/"));
        assert_eq!(root.url, "http://127.0.0.1:9000");
    }
}
