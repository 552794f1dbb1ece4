//! Which server a request is for, by the cluster that Envoy chose for it.

use crate::config::Server;
use crate::fields::percent_decode;

/// A server of one generation of the configuration, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerId(usize);

/// All servers, and which cluster belongs to which.
#[derive(Debug)]
pub(crate) struct Servers {
    list: Vec<Server>,
    /// By name, in order.
    exact: Vec<(String, Vec<ServerId>)>,
    patterns: Vec<(Pattern, ServerId)>,
}

/// What is found for a cluster and a path.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// One server.
    Server(ServerId, &'a Server),
    /// The cluster is listed, but the path is no server's on it.
    UnknownPath,
    /// No server has the cluster.
    Unlisted,
}

/// A name of a cluster, as configured: exact, or with one `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClusterPattern {
    /// This cluster.
    Exact(String),
    /// Every cluster that begins and ends so.
    Pattern(Pattern),
}

/// What stands before and behind the `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    prefix: String,
    suffix: String,
}

/// Two servers that cannot be told apart.
#[derive(Debug)]
pub(crate) struct Overlap {
    /// Name of one server.
    pub(crate) first: String,
    /// Name of the other.
    pub(crate) second: String,
    /// Why.
    pub(crate) reason: &'static str,
}

impl ClusterPattern {
    /// Reads a configured name; the error is a sentence.
    pub(crate) fn parse(name: &str) -> Result<Self, &'static str> {
        match name.split_once('*') {
            None if name.is_empty() => Err("is empty; give the name of an Envoy cluster"),
            None => Ok(Self::Exact(name.to_owned())),
            Some(("", "")) => Err(
                "is a lone `*`, which would give the credential to every cluster; name the clusters",
            ),
            Some((_, suffix)) if suffix.contains('*') => {
                Err("has more than one `*`; a pattern may have one")
            }
            Some((prefix, suffix)) => Ok(Self::Pattern(Pattern {
                prefix: prefix.to_owned(),
                suffix: suffix.to_owned(),
            })),
        }
    }
}

impl Pattern {
    fn matches(&self, cluster: &str) -> bool {
        cluster
            .strip_prefix(self.prefix.as_str())
            .is_some_and(|rest| rest.ends_with(self.suffix.as_str()))
    }

    /// Whether there can be a cluster that matches both.
    fn overlaps(&self, other: &Self) -> bool {
        let prefixes =
            self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix);
        let suffixes = self.suffix.ends_with(&other.suffix) || other.suffix.ends_with(&self.suffix);
        prefixes && suffixes
    }
}

impl Servers {
    /// The numbers of all of them.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> {
        (0..self.list.len()).map(ServerId)
    }

    /// The servers with their clusters, or every pair that cannot be told
    /// apart.
    pub(crate) fn new(servers: Vec<(Server, Vec<ClusterPattern>)>) -> Result<Self, Vec<Overlap>> {
        let mut built = Self {
            list: Vec::with_capacity(servers.len()),
            exact: Vec::new(),
            patterns: Vec::new(),
        };
        for (server, clusters) in servers {
            let id = ServerId(built.list.len());
            built.list.push(server);
            for cluster in clusters {
                match cluster {
                    ClusterPattern::Exact(name) => {
                        let place = built.place(&name);
                        let there = place.ok().and_then(|place| built.exact.get_mut(place));
                        match (there, place) {
                            (Some((_, owners)), _) if owners.contains(&id) => {}
                            (Some((_, owners)), _) => owners.push(id),
                            (None, Ok(place) | Err(place)) => {
                                built.exact.insert(place, (name, vec![id]));
                            }
                        }
                    }
                    ClusterPattern::Pattern(pattern) => built.patterns.push((pattern, id)),
                }
            }
        }
        let overlaps = built.overlaps();
        if overlaps.is_empty() {
            Ok(built)
        } else {
            Err(overlaps)
        }
    }

    fn overlaps(&self) -> Vec<Overlap> {
        let mut overlaps = Vec::new();
        let mut report = |first: ServerId, second: ServerId, reason| {
            if let (Some(one), Some(other)) = (self.server(first), self.server(second)) {
                overlaps.push(Overlap {
                    first: one.name.clone(),
                    second: other.name.clone(),
                    reason,
                });
            }
        };
        for (_, owners) in &self.exact {
            for (place, first) in owners.iter().enumerate() {
                for second in owners.iter().skip(place.saturating_add(1)) {
                    if self.path(*first) == self.path(*second) {
                        report(
                            *first,
                            *second,
                            "have the same cluster and the same path in `resource`, so no request can be told apart",
                        );
                    }
                }
            }
        }
        for (place, (one, first)) in self.patterns.iter().enumerate() {
            for (other, second) in self.patterns.iter().skip(place.saturating_add(1)) {
                if first != second && one.overlaps(other) {
                    report(*first, *second, "have cluster patterns that overlap");
                }
            }
        }
        overlaps
    }

    /// The path of a server's `resource`, without a slash at its end: with and
    /// without one, the same requests are below it.
    fn path(&self, id: ServerId) -> Option<&str> {
        let path = self.server(id)?.resource.path.as_str();
        Some(path.strip_suffix('/').unwrap_or(path))
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Server> {
        self.list.iter()
    }

    /// The server with this id.
    pub(crate) fn server(&self, id: ServerId) -> Option<&Server> {
        self.list.get(id.0)
    }

    /// The server with this name.
    pub(crate) fn by_name(&self, name: &[u8]) -> Option<ServerId> {
        self.list
            .iter()
            .position(|server| server.name.as_bytes() == name)
            .map(ServerId)
    }

    /// Whether some server has the cluster.
    pub(crate) fn lists(&self, cluster: &str) -> bool {
        !self.owners(cluster).is_empty()
    }

    /// Whether the cluster is this server's (possibly among others).
    pub(crate) fn belongs(&self, cluster: &str, id: ServerId) -> bool {
        self.owners(cluster).contains(&id)
    }

    /// The server that a request with this cluster and `:path` is for.
    pub(crate) fn find(&self, cluster: &str, path: &[u8]) -> Found<'_> {
        let owners = self.owners(cluster);
        let id = match owners {
            [] => return Found::Unlisted,
            [only] => Some(*only),
            several => self.by_path(several, path),
        };
        match id.and_then(|id| self.server(id).map(|server| (id, server))) {
            Some((id, server)) => Found::Server(id, server),
            None => Found::UnknownPath,
        }
    }

    /// Where an exact name stands, or would.
    fn place(&self, cluster: &str) -> Result<usize, usize> {
        self.exact
            .binary_search_by(|(name, _)| name.as_str().cmp(cluster))
    }

    /// An exact name goes before a pattern.
    fn owners(&self, cluster: &str) -> &[ServerId] {
        let place = self.place(cluster).ok();
        if let Some((_, owners)) = place.and_then(|place| self.exact.get(place)) {
            return owners;
        }
        self.patterns
            .iter()
            .find(|(pattern, _)| pattern.matches(cluster))
            .map_or(&[], |(_, id)| core::slice::from_ref(id))
    }

    /// The longest `resource` path that is a whole-segment prefix, of the path as
    /// it is and as an upstream could read it.
    fn by_path(&self, owners: &[ServerId], path: &[u8]) -> Option<ServerId> {
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next()?;
        let reading = reading(path)?;
        self.longest(owners, path)
            .filter(|id| self.longest(owners, &reading) == Some(*id))
    }

    fn longest(&self, owners: &[ServerId], path: &[u8]) -> Option<ServerId> {
        owners
            .iter()
            .filter_map(|id| self.path(*id).map(|prefix| (*id, prefix)))
            .filter(|(_, prefix)| {
                path.strip_prefix(prefix.as_bytes())
                    .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
            })
            .max_by_key(|(_, prefix)| prefix.len())
            .map(|(id, _)| id)
    }
}

/// A path as an upstream can read it that decodes it and drops parameters of
/// segments (RFC 3986 section 3.3); none for a path that could have other
/// segments there: with dots or nothing in one, or a separator that is escaped.
/// Where the path chooses the server, one that the upstream could read in another
/// way chooses none.
fn reading(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = percent_decode(path);
    let separators = |bytes: &[u8]| memchr::memchr_iter(b'/', bytes).count();
    if separators(&decoded) != separators(path) || decoded.contains(&b'\\') {
        return None;
    }
    let mut reading = Vec::with_capacity(decoded.len());
    let mut segments = decoded.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or(b"");
        let last = segments.peek().is_none();
        if matches!(name, b"." | b"..") || (name.is_empty() && !(last && segment.is_empty())) {
            return None;
        }
        reading.push(b'/');
        reading.extend_from_slice(name);
    }
    Some(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(name: &str) -> Pattern {
        match ClusterPattern::parse(name).unwrap() {
            ClusterPattern::Pattern(pattern) => pattern,
            ClusterPattern::Exact(_) => panic!("{name} is exact"),
        }
    }

    #[test]
    fn a_pattern_matches_what_begins_and_ends_so() {
        let subsets = pattern("outbound|443|*|mcp.example.com");
        assert!(subsets.matches("outbound|443||mcp.example.com"));
        assert!(subsets.matches("outbound|443|v1|mcp.example.com"));
        assert!(!subsets.matches("outbound|80||mcp.example.com"));
        // What stands before and behind may not share characters.
        assert!(!pattern("aba*aba").matches("aba"));
        assert!(!pattern("ab*ba").matches("aba"));
    }

    #[test]
    fn a_lone_or_second_star_is_refused() {
        for name in ["*", "a*b*", "**", ""] {
            assert!(ClusterPattern::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn patterns_overlap_when_one_name_can_match_both() {
        assert!(pattern("a*").overlaps(&pattern("ab*")));
        assert!(pattern("a*").overlaps(&pattern("*z")));
        assert!(!pattern("a*x").overlaps(&pattern("a*y")));
        assert!(!pattern("a*").overlaps(&pattern("b*")));
    }

    #[test]
    fn patterns_of_one_server_may_overlap() {
        for (one, other, fine) in [
            (r#""a*""#, r#""b*""#, true),
            (r#"["a*", "ab*"]"#, r#"["b*", "c*"]"#, true),
            (r#"["a*", "b*"]"#, r#""ab*""#, false),
        ] {
            let text = format!(
                r#"{{
                "authorization_server": {{
                    "issuer": "https://auth.example.com",
                    "introspection": {{
                        "url": "https://auth.example.com/introspect", "cluster": "as",
                        "client_id": "gw", "client_secret": "s"
                    }}
                }},
                "servers": {{
                    "one": {{"resource": "https://gw.example.com/1", "cluster": {one},
                        "default_headers": {{}}}},
                    "other": {{"resource": "https://gw.example.com/2", "cluster": {other},
                        "default_headers": {{}}}}
                }}
            }}"#
            );
            let config = crate::config::Config::parse(text.as_bytes(), &|_| None);
            assert_eq!(config.is_ok(), fine, "{one} {other}");
        }
    }

    #[test]
    fn a_path_that_could_have_other_segments_has_no_reading() {
        for (path, read) in [
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("/", "/"),
            ("/a;x/b", "/a/b"),
            ("/a%20b", "/a b"),
            ("/%61", "/a"),
            ("", ""),
        ] {
            assert_eq!(reading(path.as_bytes()).unwrap(), read.as_bytes(), "{path}");
        }
        for path in [
            "/a/../b",
            "/a/..",
            "/a/%2e%2e/b",
            "/a%2fb",
            "/a//b",
            "/a\\b",
            "/a/%5cb",
            "/a/..;x/b",
            "/./a",
            "/a/;x/b",
        ] {
            assert!(reading(path.as_bytes()).is_none(), "{path}");
        }
    }
}
