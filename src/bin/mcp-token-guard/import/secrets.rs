//! What is secret in a header, and where it goes.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

/// The scheme word with the space behind it, if there is one, and the credential.
pub(crate) fn split(text: &str) -> (&str, &str) {
    let Some(place) = text.find(' ') else {
        return ("", text);
    };
    match (text.get(..place), text.get(..=place), text.get(place..)) {
        (Some(word), Some(scheme), Some(rest))
            if SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(word)) =>
        {
            (scheme, rest.trim_start())
        }
        (_, _, _) => ("", text),
    }
}

/// The variables that a value names as the guard does, if it names any and has
/// nothing else in it but a scheme word.
pub(crate) fn references(text: &str) -> Option<Vec<String>> {
    let (_, credential) = split(text);
    let name = credential.strip_prefix("${env:")?.strip_suffix('}')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(plain)).then(|| vec![name.to_owned()])
}

/// Writes them to a new file that nobody else can read.
pub(crate) fn write<'a>(
    path: &Path,
    secrets: impl Iterator<Item = (&'a str, &'a str)>,
) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    for (name, value) in secrets {
        writeln!(file, "{name}={value}")?;
    }
    Ok(())
}

/// Words before a credential.
const SCHEMES: &[&str] = &["Bearer", "Basic", "Token", "ApiKey", "Key"];
