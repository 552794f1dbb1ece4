//! Which calls of a server need which scopes.

use crate::access::RequiredScope;
use crate::fields::percent_decode;
use crate::introspection::Claims;

/// The rules of one server, the first that matches applies.
#[derive(Debug)]
pub(crate) struct Rules(pub(crate) Vec<Rule>);

/// What some calls need.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Methods of JSON-RPC.
    pub(crate) methods: Vec<Glob>,
    /// Tools, prompts and resources; none is all calls, also those that are for
    /// none of these.
    pub(crate) names: Option<Vec<Glob>>,
    /// Scopes, besides those of the server; none where nobody may.
    pub(crate) scopes: Option<Vec<RequiredScope>>,
}

/// A text, exact or with one `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    prefix: String,
    /// What stands behind the `*`.
    suffix: Option<String>,
    /// The same of a URI, as a server can read it.
    reading: (String, Option<String>),
}

/// What is decided of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It needs what these rules ask for, by their places: one, none for the
    /// handshake, two where its name can be read in two ways.
    Rules(Vec<usize>),
    /// Nobody may.
    Refused,
}

/// Where a method has the name of what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `params.name`.
    Name,
    /// `params.uri`.
    Uri,
}

/// Methods with a name, and where it is.
pub(crate) const NAMED: &[(&str, Naming)] = &[
    ("prompts/get", Naming::Name),
    ("resources/read", Naming::Uri),
    ("resources/subscribe", Naming::Uri),
    ("resources/unsubscribe", Naming::Uri),
    ("tools/call", Naming::Name),
];

/// Where this method has its name, if it has one.
pub(crate) fn naming(method: &str) -> Option<Naming> {
    let named = NAMED.iter().find(|(known, _)| *known == method);
    named.map(|(_, naming)| *naming)
}

/// Whether the name of this method is in `Mcp-Name` from 2026-07-28 on.
pub(crate) fn has_header(method: &str) -> bool {
    matches!(method, "prompts/get" | "resources/read" | "tools/call")
}

/// Methods by which client and server get to know each other: they do nothing
/// and tell nothing that a rule could be meant to keep.
fn is_handshake(method: &str) -> bool {
    matches!(method, "initialize" | "ping" | "server/discover")
        || method.starts_with("notifications/")
}

impl Glob {
    /// Reads a pattern; the error is a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (prefix, suffix) = match text.split_once('*') {
            None => (text, None),
            Some((_, suffix)) if suffix.contains('*') => {
                return Err("has more than one `*`; a pattern may have one");
            }
            Some((prefix, suffix)) => (prefix, Some(suffix)),
        };
        let reading =
            decoded(prefix).zip(suffix.map_or(Some(None), |text| decoded(text).map(Some)));
        Ok(Self {
            prefix: prefix.to_owned(),
            suffix: suffix.map(str::to_owned),
            reading: reading.ok_or("is not UTF-8 where `%` escapes are decoded; correct them")?,
        })
    }

    /// Whether this text is meant.
    pub(crate) fn matches(&self, text: &str) -> bool {
        is_between(text, &self.prefix, self.suffix.as_deref())
    }

    /// Whether a URI is meant that was read so.
    fn matches_reading(&self, uri: &str) -> bool {
        let (prefix, suffix) = &self.reading;
        is_between(uri, prefix, suffix.as_deref())
    }

    /// Whether it means every text that the other means.
    fn covers(&self, other: &Self) -> bool {
        match (&self.suffix, &other.suffix) {
            (_, None) => self.matches(&other.prefix),
            (None, Some(_)) => false,
            (Some(ours), Some(theirs)) => {
                other.prefix.starts_with(&self.prefix) && theirs.ends_with(ours.as_str())
            }
        }
    }
}

/// Whether a text begins and ends so, or without a suffix is the prefix.
fn is_between(text: &str, prefix: &str, suffix: Option<&str>) -> bool {
    match (suffix, text.strip_prefix(prefix)) {
        (_, None) => false,
        (None, Some(rest)) => rest.is_empty(),
        (Some(suffix), Some(rest)) => rest.ends_with(suffix),
    }
}

impl Rule {
    fn matches(&self, method: &str, name: Option<&str>, means: fn(&Glob, &str) -> bool) -> bool {
        let is_named = match (&self.names, name) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(names), Some(name)) => names.iter().any(|glob| means(glob, name)),
        };
        is_named && self.methods.iter().any(|glob| glob.matches(method))
    }

    /// Whether nothing is left of what the other means where this one goes
    /// before it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let all = |ours: &[Glob], theirs: &[Glob]| {
            theirs
                .iter()
                .all(|their| ours.iter().any(|our| our.covers(their)))
        };
        let names = match (&self.names, &other.names) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => all(ours, theirs),
        };
        names && all(&self.methods, &other.methods)
    }
}

impl Rules {
    /// What a call of this method needs, for the tool, prompt or resource of
    /// this name.
    pub(crate) fn decide(&self, method: &str, name: Option<&str>) -> Decision {
        let mut applying = Vec::with_capacity(2);
        let mut is_refused = !self.apply(method, name, Glob::matches, &mut applying);
        if let (Some(Naming::Uri), Some(uri)) = (naming(method), name) {
            is_refused |= match reading(uri) {
                None => true,
                Some(uri) => !self.apply(method, Some(&uri), Glob::matches_reading, &mut applying),
            };
        }
        if is_refused {
            Decision::Refused
        } else {
            Decision::Rules(applying)
        }
    }

    /// Adds the rule that applies; false where nobody may.
    fn apply(
        &self,
        method: &str,
        name: Option<&str>,
        means: fn(&Glob, &str) -> bool,
        applying: &mut Vec<usize>,
    ) -> bool {
        let mut rules = self.0.iter().enumerate();
        match rules.find(|(_, rule)| rule.matches(method, name, means)) {
            None => is_handshake(method),
            Some((_, rule)) if rule.scopes.is_none() => false,
            Some((place, _)) => {
                if !applying.contains(&place) {
                    applying.push(place);
                }
                true
            }
        }
    }

    /// The scopes that these rules ask for.
    fn scopes(&self, rules: &[usize]) -> impl Iterator<Item = &RequiredScope> {
        rules
            .iter()
            .filter_map(|place| self.0.get(*place)?.scopes.as_deref())
            .flatten()
    }

    /// Whether the token has all that these rules ask for.
    pub(crate) fn grants(&self, rules: &[usize], claims: &Claims) -> bool {
        self.scopes(rules).all(|scope| scope.granted_by(claims))
    }

    /// All scopes that a call needs under these rules, those of its server
    /// first.
    pub(crate) fn needed<'a>(
        &'a self,
        server: &'a [RequiredScope],
        rules: &[usize],
    ) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for scope in server.iter().chain(self.scopes(rules)) {
            if !names.contains(&scope.name.as_str()) {
                names.push(&scope.name);
            }
        }
        names
    }
}

/// A URI as a server can read it that decodes it and for which case is all one,
/// as it is in schemes, hosts and some file systems; none for one with dots for
/// segments, which is another resource to a server that resolves them.
fn reading(uri: &str) -> Option<String> {
    let decoded = decoded(uri)?;
    let mut segments = decoded.split(['/', '\\', '?', '#']);
    let has_dots = segments.any(|segment| matches!(segment, "." | ".."));
    (!has_dots).then_some(decoded)
}

fn decoded(text: &str) -> Option<String> {
    let mut decoded = String::from_utf8(percent_decode(text.as_bytes())).ok()?;
    decoded.make_ascii_lowercase();
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap()
    }

    fn rule(methods: &[&str], names: Option<&[&str]>, scope: Option<&str>) -> Rule {
        let globs = |texts: &[&str]| texts.iter().map(|text| glob(text)).collect();
        Rule {
            methods: globs(methods),
            names: names.map(globs),
            scopes: scope.map(|scope| {
                vec![RequiredScope {
                    name: scope.to_owned(),
                    satisfied_by: vec![scope.to_owned()],
                }]
            }),
        }
    }

    #[test]
    fn a_pattern_has_one_star_anywhere() {
        assert!(glob("delete_*").matches("delete_"));
        assert!(glob("delete_*").matches("delete_all"));
        assert!(!glob("delete_*").matches("undelete_all"));
        assert!(glob("*").matches(""));
        assert!(glob("a*c").matches("abc") && !glob("aa*aa").matches("aaa"));
        assert!(glob("a").matches("a") && !glob("a").matches("ab") && !glob("a").matches("A"));
        assert!(Glob::parse("a*b*").is_err() && Glob::parse("**").is_err());
    }

    /// Read as nothing, it would mean all that is read.
    #[test]
    fn a_pattern_can_be_read_as_a_server_reads_it() {
        assert!(Glob::parse("file:///%ff*").is_err() && Glob::parse("*%C3").is_err());
        let read = glob("file:///%C3%A9*X").reading;
        assert_eq!(read, ("file:///\u{e9}".to_owned(), Some("x".to_owned())));
    }

    #[test]
    fn what_covers_leaves_nothing() {
        assert!(glob("*").covers(&glob("a*")) && glob("a*").covers(&glob("ab*c")));
        assert!(glob("a*").covers(&glob("abc")) && glob("a").covers(&glob("a")));
        assert!(!glob("ab*").covers(&glob("a*")) && !glob("abc").covers(&glob("a*")));
        let all = rule(&["tools/call"], None, None);
        let some = rule(&["tools/call"], Some(&["a*"]), None);
        let more = rule(&["tools/call", "tools/list"], None, None);
        assert!(all.covers(&some) && !some.covers(&all));
        assert!(!all.covers(&more) && more.covers(&all));
    }

    #[test]
    fn the_first_rule_that_matches_applies() {
        let rules = Rules(vec![
            rule(&["tools/call"], Some(&["delete_*"]), Some("admin")),
            rule(&["tools/call"], Some(&["shell"]), None),
            rule(&["tools/call", "prompts/*"], None, Some("write")),
        ]);
        let decide = |method, name| rules.decide(method, name);
        assert_eq!(
            decide("tools/call", Some("delete_x")),
            Decision::Rules(vec![0])
        );
        assert_eq!(decide("tools/call", Some("shell")), Decision::Refused);
        assert_eq!(decide("tools/call", Some("echo")), Decision::Rules(vec![2]));
        assert_eq!(
            decide("prompts/get", Some("shell")),
            Decision::Rules(vec![2])
        );
        assert_eq!(decide("prompts/list", None), Decision::Rules(vec![2]));
        for method in ["tools/list", "Tools/Call", "tools/call ", "", "Initialize"] {
            assert_eq!(decide(method, None), Decision::Refused, "{method}");
        }
        for method in ["initialize", "ping", "server/discover", "notifications/x"] {
            assert_eq!(decide(method, None), Decision::Rules(vec![]), "{method}");
        }
    }

    #[test]
    fn a_rule_can_be_for_the_handshake_too() {
        let rules = Rules(vec![rule(&["notifications/*"], None, None)]);
        assert_eq!(rules.decide("notifications/x", None), Decision::Refused);
        assert_eq!(rules.decide("ping", None), Decision::Rules(vec![]));
    }

    /// What can be read in two ways needs what is needed for both.
    #[test]
    fn a_resource_is_matched_in_every_spelling() {
        let rules = Rules(vec![
            rule(&["resources/*"], Some(&["file:///secret/*"]), Some("admin")),
            rule(&["resources/*"], Some(&["file://host/none/*"]), None),
            rule(&["resources/*"], None, Some("read")),
        ]);
        let decide = |uri| rules.decide("resources/read", Some(uri));
        assert_eq!(decide("file:///secret/x"), Decision::Rules(vec![0]));
        assert_eq!(decide("file:///open/x"), Decision::Rules(vec![2]));
        assert_eq!(decide("file:///open/%41"), Decision::Rules(vec![2]));
        assert_eq!(decide("file:///s%65cret/x"), Decision::Rules(vec![2, 0]));
        assert_eq!(decide("FILE:///secret/x"), Decision::Rules(vec![2, 0]));
        assert_eq!(decide("file:///Secret/x"), Decision::Rules(vec![2, 0]));
        let rules = Rules(vec![rule(&["*"], Some(&["Data://A%20b"]), Some("read"))]);
        let exact = rules.decide("resources/read", Some("Data://A%20b"));
        assert_eq!(exact, Decision::Rules(vec![0]));
        for uri in [
            "file://HOST/none/x",
            "file:///open/../secret/x",
            "file:///open/%2e%2E/secret/x",
            "file:///open/./x",
            "file:///open%2f..%2fsecret/x",
            "file:///open\\..\\secret",
            "file:///open/..",
            "file:///%ff",
        ] {
            assert_eq!(decide(uri), Decision::Refused, "{uri}");
        }
    }

    /// MCP-SCOPE-b: all scopes that the call needs, each once.
    #[test]
    fn the_scopes_of_server_and_rules_are_needed() {
        let rules = Rules(vec![
            rule(&["a"], None, Some("one")),
            rule(&["b"], None, Some("two")),
        ]);
        let server = rule(&["a"], None, Some("two")).scopes.unwrap();
        assert_eq!(rules.needed(&server, &[0, 1]), ["two", "one"]);
        let claims = |scope: &str| Claims {
            scope: scope.into(),
            ..Claims::default()
        };
        assert!(rules.grants(&[0, 1], &claims("one two")));
        assert!(!rules.grants(&[0, 1], &claims("one")));
        assert!(rules.grants(&[], &claims("")));
    }
}
