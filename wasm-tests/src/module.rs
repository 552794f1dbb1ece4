//! The module under test, built from the sources as they are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The module as it is shipped. It is built once a run by `make build`, so that
/// no test can pass on a stale one; `MCP_TOKEN_GUARD_WASM` names one that has
/// been built already, to save the time while working on a test.
///
/// # Panics
/// When it cannot be built, with what the build said.
pub fn path() -> &'static Path {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = PATH.get_or_init(|| match std::env::var_os("MCP_TOKEN_GUARD_WASM") {
        Some(ready) => Ok(ready.into()),
        None => build(),
    });
    built
        .as_deref()
        .unwrap_or_else(|said| panic!("`make build` failed:\n{said}"))
}

/// Builds it. What the build said, when it failed.
fn build() -> Result<PathBuf, String> {
    let built = Command::new("make")
        .args(["--no-print-directory", "build"])
        .current_dir(project())
        .output()
        .map_err(|error| format!("make cannot be run: {error}"))?;
    if !built.status.success() {
        return Err(String::from_utf8_lossy(&built.stderr).into_owned());
    }
    Ok(project().join("target/wasm32-wasip1/release/mcp_token_guard.wasm"))
}

/// The project's root.
pub fn project() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.parent()
            .expect("a workspace around the crate")
            .to_owned()
    })
}
