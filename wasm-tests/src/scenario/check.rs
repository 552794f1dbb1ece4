//! The judge: holds what was seen against what was to be seen.

mod challenge;
mod introspection;
mod reply;
mod upstream;

use super::{Check, Count, Step, Vars};

/// What a runner saw during one step.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The status that the client got; 0 where the connection was closed
    /// without any.
    pub status: u16,
    /// The fields that the client got, in order. Names in any case.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The content that the client got.
    pub body: Vec<u8>,
    /// The requests that arrived at upstreams, whole or not.
    pub upstream: Vec<Message>,
    /// Everything that the upstreams were sent, byte by byte where a runner
    /// has bytes. Messages above are searched as well.
    pub upstream_bytes: Vec<u8>,
    /// The introspection calls.
    pub introspections: Vec<Message>,
}

/// A request as it arrived somewhere.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The cluster that it was sent to.
    pub cluster: String,
    /// Its method.
    pub method: Vec<u8>,
    /// Its target.
    pub path: Vec<u8>,
    /// Its fields in order. Without pseudo fields, but `host` for `:authority`.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its content, as far as it came.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Message {
    /// All of it in one piece, to be searched.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = [&self.method[..], b" ", &self.path, b"\n"].concat();
        for (name, value) in self.headers.iter().chain(&self.trailers) {
            all.extend([name, &b": "[..], value, b"\n"].concat());
        }
        all.extend(&self.body);
        all
    }
}

impl Step {
    /// Everything about `seen` that breaks the rule; empty when it holds.
    #[must_use]
    pub fn complaints(&self, vars: &Vars, seen: &Observed) -> Vec<String> {
        let mut found = reply::complaints(self, vars, seen);
        found.extend(upstream::complaints(self, vars, seen));
        found.extend(introspection::complaints(self, vars, seen));
        found
    }

    /// Keeps what the step says to keep for later steps.
    pub fn keep(&self, vars: &mut Vars, seen: &Observed) {
        for (field, placeholder) in &self.expect.capture {
            let value = match *field {
                ":reply" => reply::whole(seen),
                _ => values(&seen.headers, field).concat(),
            };
            vars.set(placeholder, value);
        }
    }
}

impl Check {
    /// What is wrong with `headers`, if anything.
    fn complaint(
        &self,
        whose: &str,
        vars: &Vars,
        headers: &[(Vec<u8>, Vec<u8>)],
    ) -> Option<String> {
        let (Check::Is(name, _)
        | Check::Absent(name)
        | Check::Contains(name, _)
        | Check::Lists(name, _)
        | Check::Lacks(name, _)
        | Check::Pseudo(name, _)) = self;
        let got = values(headers, name);
        let holds = match self {
            Check::Is(_, value) => got == [&vars.fill(value)[..]],
            Check::Absent(_) => got.is_empty(),
            Check::Contains(_, part) => {
                matches!(got[..], [one] if contains(one, &vars.fill(part)))
            }
            Check::Lists(_, member) => got
                .iter()
                .flat_map(|one| one.split(|b| *b == b','))
                .any(|one| one.trim_ascii().eq_ignore_ascii_case(member.as_bytes())),
            Check::Lacks(_, part) => !got.iter().any(|one| contains(one, &vars.fill(part))),
            Check::Pseudo(..) => true,
        };
        let shown: Vec<_> = got.iter().map(|value| text(value)).collect();
        (!holds).then(|| format!("{whose}: {}, but `{name}` is {shown:?}", self.told(vars)))
    }

    /// The check as a sentence.
    fn told(&self, vars: &Vars) -> String {
        match self {
            Check::Is(name, value) => {
                format!("`{name}` is to be {:?} once", text(&vars.fill(value)))
            }
            Check::Absent(name) => format!("`{name}` is to be absent"),
            Check::Contains(name, part) => {
                format!(
                    "`{name}` is to be there once and contain {:?}",
                    text(&vars.fill(part))
                )
            }
            Check::Lists(name, member) => format!("`{name}` is to list {member}"),
            Check::Lacks(name, part) => {
                format!("`{name}` is not to contain {:?}", text(&vars.fill(part)))
            }
            Check::Pseudo(name, value) => {
                format!("`{name}` is to be {:?}", text(&vars.fill(value)))
            }
        }
    }
}

impl Count {
    /// Whether so many are right.
    fn allows(self, count: usize) -> bool {
        match self {
            Count::Exactly(right) => count == right,
            Count::AtMost(most) => count <= most,
        }
    }
}

/// The values of all fields of this name, in order.
fn values<'a>(headers: &'a [(Vec<u8>, Vec<u8>)], name: &str) -> Vec<&'a [u8]> {
    headers
        .iter()
        .filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| &value[..])
        .collect()
}

/// Whether `needle` is somewhere in `bytes`.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}

/// Bytes for a person to read.
fn text(bytes: &[u8]) -> String {
    let shown: String = bytes.escape_ascii().take(400).map(char::from).collect();
    shown.replace("\\\"", "\"")
}

/// `bytes` with every `%XX` replaced by the byte that it stands for.
#[must_use]
pub fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, behind)) = rest.split_first() {
        let pair = behind.get(..2).filter(|_| first == b'%').and_then(|hex| {
            let hex = str::from_utf8(hex)
                .ok()
                .filter(|hex| !hex.starts_with('+'))?;
            u8::from_str_radix(hex, 16).ok()
        });
        decoded.push(pair.unwrap_or(first));
        rest = if pair.is_some() { &behind[2..] } else { behind };
    }
    decoded
}
