//! `make build`: builds the filter for Wasm and turns the linker's module into
//! the one that is shipped.
//!
//! The linker exports every callback that the SDK defines, and Envoy crosses
//! into the VM for each one that it finds: a chunk of a streamed answer would
//! cost a microsecond that nobody has a use for. So only the callbacks that
//! the filter has are kept, and what nothing can reach any more goes.
//!
//! The names of the functions go too: a tenth of the module, for the stack trace
//! of a trap alone. `cargo run --package pack -- --names` keeps them.

mod build;
mod module;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use module::Names;

fn main() -> ExitCode {
    match run() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("pack: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, String> {
    let names = names(std::env::args().skip(1))?;
    let project = project()?;
    build::target_is_there()?;
    let raw = build::linked(&project)?;
    let before =
        std::fs::read(&raw).map_err(|e| format!("{} is unreadable: {e}.", raw.display()))?;
    let after = module::shipped(&before, names)?;
    let to = project.join("target/wasm32-wasip1/release/mcp_token_guard.wasm");
    put(&to, &after)?;
    Ok(format!(
        "{}: {} bytes as linked, {} bytes as shipped",
        to.strip_prefix(&project).unwrap_or(&to).display(),
        before.len(),
        after.len()
    ))
}

/// What the command line says of the names of functions.
fn names(mut args: impl Iterator<Item = String>) -> Result<Names, String> {
    match (args.next().as_deref(), args.next()) {
        (None, None) => Ok(Names::Dropped),
        (Some("--names"), None) => Ok(Names::Kept),
        _ => Err("the only argument is `--names`, which keeps the names of functions.".into()),
    }
}

/// The project's root: two above this crate, which cargo names at run time.
fn project() -> Result<PathBuf, String> {
    let crate_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .ok_or("run it as `cargo run -p pack`, or `make build`.")?;
    crate_dir
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .ok_or_else(|| format!("{} is not in a project.", crate_dir.display()))
}

/// Puts the file there whole or not at all: an Envoy that starts meanwhile
/// reads the old one or the new one. A rename also leaves alone what the old
/// name was a hard link to.
fn put(to: &Path, bytes: &[u8]) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{} cannot be written: {e}.", to.display());
    if let Some(dir) = to.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    let part = to.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&part, bytes).map_err(failed)?;
    std::fs::rename(&part, to).map_err(failed)
}
