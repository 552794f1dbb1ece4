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
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(ready) = std::env::var_os("MCP_TOKEN_GUARD_WASM") {
            return ready.into();
        }
        let built = Command::new("make")
            .args(["--no-print-directory", "build"])
            .current_dir(project())
            .output()
            .expect("make to be installed");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "`make build` failed:\n{said}");
        project().join("target/wasm32-wasip1/release/mcp_token_guard.wasm")
    })
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
