//! Laws: what holds for any bytes whatsoever.
//!
//! Each law is a function of bytes that panics where the law is broken. It goes
//! through [`mcp_token_guard::Guard`] and [`mcp_token_guard::Config::parse`]
//! alone, as the filter does, and judges by rules of its own, written in other
//! words than the guard's: what may leave is worked out from the bytes and what
//! the authorization server said, never from what the guard says of itself.
//!
//! `make fuzz` looks for bytes that break one; what it has found on the way is
//! kept in `wasm-tests/fuzz/corpus/` and run by `cargo test`.

mod answer;
mod calls;
mod configuration;
mod events;
mod head;
mod session;
mod world;

/// A law: its name, and the function that panics where it is broken.
pub type Law = (&'static str, fn(&[u8]));

/// All laws.
pub const LAWS: &[Law] = &[
    ("answer", answer::law),
    ("calls", calls::law),
    ("configuration", configuration::law),
    ("cookies", head::cookies),
    ("events", events::law),
    ("form", head::form),
    ("head", head::law),
    ("path", head::path),
    ("query", head::query),
    ("session", session::law),
    ("token", head::token),
];

/// Holds the bytes against the law of this name.
///
/// # Panics
/// Where the law is broken, or there is none of this name.
pub fn hold(name: &str, bytes: &[u8]) {
    let law = LAWS.iter().find(|(known, _)| *known == name);
    let (_, law) = law.unwrap_or_else(|| panic!("there is no law {name}"));
    law(bytes);
}
