//! URLs, taken apart but not changed: issuers and resources are compared by
//! others code point by code point.
//!
//! A URL is accepted only as a browser would write it itself. What a lenient
//! reader repairs (backslashes, `http:/host`, `0x7f.1`, dot segments) is an
//! error, so that there is one reading. None can have `"` or `\` in it, which
//! no client can be trusted to unescape in a challenge (RFC 9110 section
//! 5.6.4).

use url::Host;

use super::Resource;

/// An absolute URL, https or on loopback, in parts.
pub(super) struct WebUrl<'a> {
    /// `https` or `http`.
    pub(super) scheme: String,
    /// Host, and port where it is not the scheme's default; lower case.
    pub(super) authority: String,
    /// The path as it was written, possibly empty.
    pub(super) path: &'a str,
    /// `?` and the query as it was written, or nothing.
    pub(super) query: &'a str,
}

impl<'a> WebUrl<'a> {
    /// Takes it apart; the error is a sentence.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty; give an absolute https URL");
        }
        if !has_uri_characters(text) {
            return Err("has a character that a URL may not have; percent-encode it");
        }
        if text.contains('#') {
            return Err("has a fragment; remove `#` and what is behind it");
        }
        let (scheme, rest) = text
            .split_once("://")
            .map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest))
            .filter(|(scheme, _)| matches!(scheme.as_str(), "http" | "https"))
            .ok_or("is not an absolute URL; begin it with https://")?;
        let (authority, rest) = split_before(rest, &['/', '?']);
        if authority.contains('@') {
            return Err("has a user name or password; remove it");
        }
        let (path, query) = split_before(rest, &['?']);
        let default_port = if scheme == "https" { "443" } else { "80" };
        let (host, usual) = parse_authority(authority, default_port)?;
        if scheme == "http" && !is_loopback(&host) {
            return Err("is not https; http is for localhost, 127.0.0.0/8 and [::1] only");
        }
        if path.split('/').any(is_dots) {
            return Err("has a path that is not in its usual form; remove `.` and `..` from it");
        }
        Ok(Self {
            scheme,
            authority: usual,
            path,
            query,
        })
    }

    /// `scheme://authority`, as in `Origin`.
    fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// RFC 8707 section 2, RFC 9728 section 1.2: the identifier of a resource.
pub(super) fn resource(text: &str) -> Result<Resource, &'static str> {
    let url = WebUrl::parse(text)?;
    Ok(Resource {
        uri: text.to_owned(),
        origin: url.origin(),
        path: match url.path {
            "/" => String::new(),
            path => path.to_owned(),
        },
        query: url.query.to_owned(),
        authority: url.authority,
    })
}

/// RFC 8414 section 2: the identifier of an authorization server.
pub(super) fn issuer(text: &str) -> Result<String, &'static str> {
    if WebUrl::parse(text)?.query.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("has a query; an issuer has none")
    }
}

/// An origin as browsers serialize it (RFC 6454 section 6.2): compared as a
/// whole, so anything they would not send could never match.
pub(super) fn origin(text: &str) -> Result<String, &'static str> {
    if text == "null" {
        return Err("is `null`, which any sandboxed page can send; name the pages that may call");
    }
    if text.contains('*') {
        return Err("has a `*`; write each origin out");
    }
    let (scheme, host) = text
        .split_once("://")
        .ok_or("is not an origin; write it as scheme://host or scheme://host:port")?;
    if matches!(scheme, "http" | "https") {
        return match WebUrl::parse(text) {
            Ok(url) if url.origin() == text => Ok(text.to_owned()),
            Ok(_) => Err(
                "is not as browsers send it; write scheme://host in lower case, \
                          without a path, a final slash or a default port",
            ),
            Err(sentence) => Err(sentence),
        };
    }
    // Pages of browser extensions and of editors.
    let mut scheme = scheme.bytes();
    let is_scheme = scheme.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && scheme.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'));
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'));
    if is_scheme && is_host {
        Ok(text.to_owned())
    } else {
        Err("is not as browsers send it; write scheme://host in lower case, without a path")
    }
}

/// The host, and with its port as they are usually written: upper case and a
/// default port are dropped. Written in any other way they are an error.
fn parse_authority(authority: &str, default_port: &str) -> Result<(Host, String), &'static str> {
    let invalid = "has no valid host or port; correct it";
    let unusual = "has a host or port that is not in its usual form; write it as browsers do";
    let written = authority.to_ascii_lowercase();
    // A colon in brackets is one of an IPv6 address.
    let (name, port) = match written.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (written.as_str(), None),
    };
    if name.contains('%') {
        return Err(unusual);
    }
    let host = Host::parse(name).map_err(|_| invalid)?;
    let number = match port {
        None => None,
        Some("") => return Err(unusual),
        Some(port) => Some(port.parse::<u16>().map_err(|_| invalid)?),
    };
    if host.to_string() != name || number.map(|number| number.to_string()).as_deref() != port {
        return Err(unusual);
    }
    let usual = if port == Some(default_port) {
        name.to_owned()
    } else {
        written
    };
    Ok((host, usual))
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether browsers take this segment of a path for `.` or `..`.
fn is_dots(segment: &str) -> bool {
    let mut rest = segment;
    let mut dots: u8 = 0;
    while !rest.is_empty() && dots < 3 {
        let Some(behind) = [".", "%2e", "%2E"]
            .iter()
            .find_map(|dot| rest.strip_prefix(dot))
        else {
            return false;
        };
        rest = behind;
        dots = dots.saturating_add(1);
    }
    matches!(dots, 1 | 2)
}

/// RFC 3986 section 4.3: a scheme, something behind it, and no fragment.
pub(super) fn is_absolute(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut letters = scheme.bytes();
    letters
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.is_empty()
        && !text.contains('#')
        && has_uri_characters(text)
}

/// RFC 3986 section 2, `%` with its two digits only.
fn has_uri_characters(text: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte);
    let mut pieces = text.split('%');
    let first = pieces.next().unwrap_or_default();
    first.bytes().all(plain)
        && pieces.all(|piece| match piece.as_bytes() {
            [high, low, rest @ ..] => {
                high.is_ascii_hexdigit()
                    && low.is_ascii_hexdigit()
                    && rest.iter().copied().all(plain)
            }
            _ => false,
        })
}

/// What stands before the first of these characters, and the rest with it.
fn split_before<'a>(text: &'a str, characters: &[char]) -> (&'a str, &'a str) {
    text.find(characters)
        .and_then(|place| text.split_at_checked(place))
        .unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_resource_is_taken_apart_and_kept_as_it_is() {
        let whole = resource("https://GW.example.com:443/GitHub/mcp?x=1").unwrap();
        assert_eq!(whole.uri, "https://GW.example.com:443/GitHub/mcp?x=1");
        assert_eq!(whole.origin, "https://gw.example.com");
        assert_eq!(whole.authority, "gw.example.com");
        assert_eq!(whole.path, "/GitHub/mcp");
        assert_eq!(whole.query, "?x=1");
        let port = resource("https://gw.example.com:8443").unwrap();
        assert_eq!(port.origin, "https://gw.example.com:8443");
        assert_eq!((port.path, port.query), (String::new(), String::new()));
    }

    /// INTEROP-slash: a lone slash is an empty path; others stay.
    #[test]
    fn only_a_lone_slash_is_dropped() {
        assert_eq!(resource("https://gw.example.com/").unwrap().path, "");
        assert_eq!(resource("https://gw.example.com/a/").unwrap().path, "/a/");
        assert_eq!(resource("https://gw.example.com?x").unwrap().query, "?x");
    }

    /// RFC8707-2-a.
    #[test]
    fn a_resource_is_absolute_and_has_no_fragment() {
        for text in [
            "",
            "mcp.example.com",
            "/mcp",
            "//mcp.example.com",
            "https:mcp.example.com",
            "https:/mcp.example.com",
            "https://",
            "https:///mcp",
            "https://x#f",
            "https://x/#",
            "urn:mcp:github",
            "ftp://mcp.example.com",
            "https://:443",
            "https://x:",
            "https://x:0443",
            "https://x:99999",
            "https://x:y",
        ] {
            assert!(resource(text).is_err(), "{text}");
        }
    }

    /// OAUTH21-1.5-a, RFC9728-7.1-a.
    #[test]
    fn http_is_for_loopback_only() {
        for text in [
            "http://localhost",
            "http://localhost:8080/mcp",
            "http://LOCALHOST/",
            "http://127.0.0.1:1",
            "http://127.255.0.1",
            "http://[::1]:8080/mcp",
            "https://xn--bcher-kva.example/",
            "https://192.0.2.1/",
            "https://[2001:db8::1]/",
            "HTTPS://GW.EXAMPLE.COM/mcp",
        ] {
            assert!(resource(text).is_ok(), "{text}");
        }
        for text in [
            "http://mcp.example.com",
            "HTTP://mcp.example.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://128.0.0.1",
            "http://[::2]",
            "http://0.0.0.0",
            "http://foo.localhost",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(resource(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for text in [
            "https://user@x",
            "https://user:pass@x",
            "https://x@",
            "https://a\\b",
            "https://x/a\\..",
            "https://x/a/../b",
            "https://x/./a",
            "https://x/%2e%2e/b",
            "https://x/..",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://[0:0:0:0:0:0:0:1]/",
            "https://x/%",
            "https://x/%4",
            "https://x/%zz",
            "https://x/ a",
            " https://x",
            "https://x ",
            "https://x\n",
            "https://x/\t",
            "https://é",
            "https://%78/",
            "https://x/é",
        ] {
            assert!(resource(text).is_err(), "{text}");
        }
    }

    /// RFC9110-5.6.4-a: nothing in a challenge would have to be escaped.
    #[test]
    fn quotes_and_backslashes_are_refused() {
        for text in [
            "https://x/\"",
            "https://x/?\"",
            "https://x/?\\",
            "https://\"x",
            "https://x/<>",
        ] {
            assert!(resource(text).is_err(), "{text}");
            assert!(issuer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_issuer_has_no_query_and_is_kept_as_it_is() {
        assert_eq!(
            issuer("https://A.example/x/").unwrap(),
            "https://A.example/x/"
        );
        for text in ["https://a?b", "https://a/?", "https://a#b", "http://a", "a"] {
            assert!(issuer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_as_browsers_send_it() {
        for text in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://localhost:6274",
            "http://127.0.0.1",
            "http://[::1]:80800",
        ] {
            assert_eq!(origin(text).is_ok(), !text.ends_with("80800"), "{text}");
        }
        for text in [
            "chrome-extension://abcdefgh",
            "vscode-webview://1a-2b",
            "https://a.example.",
        ] {
            assert!(origin(text).is_ok(), "{text}");
        }
        for text in [
            "*",
            "null",
            "",
            "https://*.example.com",
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://app.example.com?x",
            "https://app.example.com#",
            "https://App.example.com",
            "HTTPS://app.example.com",
            "https://app.example.com:443",
            "http://localhost:80",
            "app.example.com",
            "https://u@app.example.com",
            "file://",
            "https://a.example https://b.example",
            "https://a.example,https://b.example",
            "http://app.example.com",
            "x-y://Abc",
            "1x://a",
            "x://a/",
            "x://a:1",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parts_make_the_whole(text in "https?://[a-zA-Z0-9.:\\[\\]@-]{0,20}[!-~]{0,20}") {
            let _ = origin(&text);
            let _ = issuer(&text);
            if let Ok(url) = WebUrl::parse(&text) {
                let end = format!("{}{}", url.path, url.query);
                prop_assert!(text.ends_with(&end));
                let again = format!("{}{}{}", url.origin(), url.path, url.query);
                let again = WebUrl::parse(&again).map(|again| again.origin());
                prop_assert_eq!(again, Ok(url.origin()));
            }
        }

        /// What is accepted is a URL that browsers do not change but for upper
        /// case, a default port and an empty path; and all such are accepted.
        #[test]
        fn a_url_is_accepted_as_browsers_write_it(
            text in "https?://[a-c0-3xX.:%\\[\\]-]{0,9}(:[0-9]{1,5})?(/[a.%2eE]{0,7}){0,3}"
        ) {
            let plain = !text.contains('#') && has_uri_characters(&text);
            // No host is written with `%`, and what url makes of one is not
            // asked: idna_adapter asserts in debug builds that it is lower case.
            let escaped_host = text.split('/').nth(2).is_some_and(|host| host.contains('%'));
            let usual = !escaped_host && !text.contains(":///") && url::Url::parse(&text).is_ok_and(|url| {
                let (scheme, rest) = text.split_once("://").unwrap();
                let (authority, path) = split_before(rest, &['/']);
                let port = if scheme == "https" { ":443" } else { ":80" };
                let authority = authority.to_ascii_lowercase();
                let authority = authority.strip_suffix(port).unwrap_or(&authority);
                let path = if path.is_empty() { "/" } else { path };
                url.as_str() == format!("{scheme}://{authority}{path}")
                    && (scheme == "https" || url.host().is_some_and(|host| is_loopback(&host.to_owned())))
            });
            prop_assert_eq!(WebUrl::parse(&text).is_ok(), plain && usual, "{}", text);
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in ".{0,60}") {
            let _ = origin(&text);
            let _ = resource(&text);
        }
    }
}
