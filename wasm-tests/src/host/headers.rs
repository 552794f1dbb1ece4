//! A header map that behaves as Envoy's does.

/// The fields that Envoy keeps as one entry, joining what comes in twice with a
/// comma. `authorization` is one of them in every build that has the oauth2
/// filter, so two `Authorization` lines are one value by the time a filter
/// looks.
const INLINE: [&[u8]; 18] = [
    b"accept-encoding",
    b"access-control-request-headers",
    b"access-control-request-method",
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-type",
    b"expect",
    b"origin",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"user-agent",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-request-id",
];

/// Ordered fields; names are lower case, and `host` is `:authority`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Vec<u8>, Vec<u8>)>);

impl Headers {
    /// The fields in this order, as Envoy has them after its codec.
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut headers = Self::default();
        for (name, value) in fields {
            headers.add(name.as_ref(), value.as_ref());
        }
        headers
    }

    /// The value of the first field of this name: what a getter of the ABI sees.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = lower(name.as_ref());
        self.iter().find_map(|(n, v)| (n == name).then_some(v))
    }

    /// The values of all fields of this name.
    #[must_use]
    pub fn all(&self, name: impl AsRef<[u8]>) -> Vec<&[u8]> {
        let name = lower(name.as_ref());
        self.iter()
            .filter_map(|(n, v)| (n == name).then_some(v))
            .collect()
    }

    /// Adds a field, or joins it to the one that is there where Envoy does so.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let name = lower(name);
        if INLINE.contains(&name.as_slice())
            && let Some((_, old)) = self.0.iter_mut().find(|(n, _)| *n == name)
        {
            if !old.is_empty() {
                old.push(b',');
            }
            old.extend_from_slice(value);
            return;
        }
        self.0.push((name, value.to_vec()));
    }

    /// Puts one field in the place of all of this name.
    pub fn replace(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.0.push((lower(name), value.to_vec()));
    }

    /// Removes every field of this name.
    pub fn remove(&mut self, name: &[u8]) {
        let name = lower(name);
        self.0.retain(|(n, _)| *n != name);
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(n, v)| (n.as_slice(), v.as_slice()))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these bytes are in any name or value.
    #[must_use]
    pub fn contain(&self, needle: &[u8]) -> bool {
        self.iter()
            .any(|(n, v)| holds(n, needle) || holds(v, needle))
    }
}

/// Whether `needle` occurs in `hay`; an empty needle does not.
#[must_use]
pub fn holds(hay: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && hay.windows(needle.len()).any(|window| window == needle)
}

/// The name under which Envoy keeps a field.
fn lower(name: &[u8]) -> Vec<u8> {
    let name = name.to_ascii_lowercase();
    if name == b"host" {
        b":authority".to_vec()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_twice_is_one_value_and_a_custom_field_stays_two() {
        let headers = Headers::new([
            ("Authorization", "a"),
            ("x-key", "1"),
            ("authorization", "b"),
            ("X-Key", "2"),
        ]);
        assert_eq!(headers.all("AUTHORIZATION"), [b"a,b"]);
        assert_eq!(headers.get("x-key"), Some(b"1".as_slice()));
        assert_eq!(headers.all("x-key").len(), 2);
    }

    #[test]
    fn replace_leaves_one_and_remove_leaves_none() {
        let mut headers = Headers::new([("x", "1"), ("host", "h"), ("x", "2")]);
        headers.replace(b"X", b"3");
        assert_eq!(headers.all("x"), [b"3"]);
        headers.remove(b"x");
        assert_eq!(headers.len(), 1);
        assert_eq!(headers.get(":authority"), Some(b"h".as_slice()));
    }
}
