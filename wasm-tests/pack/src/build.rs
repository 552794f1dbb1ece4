//! Has cargo build the filter.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-wasip1";

/// Makes sure that the standard library for Wasm is installed.
pub(crate) fn target_is_there() -> Result<(), String> {
    if has_target()? {
        return Ok(());
    }
    eprintln!("pack: getting the target {TARGET} with rustup");
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .stdin(Stdio::null())
        .status();
    match added {
        Ok(status) if status.success() && has_target()? => Ok(()),
        Ok(_) => Err(format!(
            "`rustup target add {TARGET}` failed (see above): run it again when the network is there."
        )),
        Err(_) => Err(format!(
            "this Rust has no target {TARGET} and there is no rustup to get it with: install Rust from rustup.rs, or the package of your system that holds the standard library for {TARGET}."
        )),
    }
}

fn has_target() -> Result<bool, String> {
    let out = Command::new(rustc())
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|e| format!("rustc does not start ({e}): install Rust from rustup.rs."))?;
    let dir = String::from_utf8_lossy(&out.stdout);
    Ok(out.status.success() && Path::new(dir.trim()).is_dir())
}

/// Builds the filter and names the linker's module.
///
/// It is built in a folder of its own: a plain `cargo build` beside it neither
/// undoes the packing nor is made to start over by the flags set here.
pub(crate) fn linked(project: &Path) -> Result<PathBuf, String> {
    let target_dir = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| project.join("target"), |dir| project.join(dir))
        .join("pack");
    // The sources have to be there before their folders can be named.
    cargo(project, &target_dir, &["fetch", "--target", TARGET])?;
    // A crate type alone: with the rlib beside it cargo leaves out the LTO.
    cargo(
        project,
        &target_dir,
        &[
            "rustc",
            "--locked",
            "--release",
            "--package",
            "mcp-token-guard",
        ]
        .into_iter()
        .chain(["--lib", "--crate-type", "cdylib", "--target", TARGET])
        .collect::<Vec<_>>(),
    )?;
    Ok(target_dir.join(TARGET).join("release/mcp_token_guard.wasm"))
}

fn cargo(project: &Path, target_dir: &Path, args: &[&str]) -> Result<(), String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(args)
        .current_dir(project)
        .stdin(Stdio::null())
        .env("CARGO_TARGET_DIR", target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", without_paths(project)?);
    let status = command
        .status()
        .map_err(|e| format!("cargo does not start ({e}): install Rust from rustup.rs."))?;
    if status.success() {
        return Ok(());
    }
    let what = args.first().copied().unwrap_or_default();
    Err(match what {
        "fetch" => {
            "the crates could not be fetched (see above): try again when crates.io can be reached."
                .into()
        }
        _ => "the filter does not build (see above).".into(),
    })
}

/// Flags that keep the folders of this machine out of the module: where a panic
/// names its place, the path starts at the crate.
fn without_paths(project: &Path) -> Result<OsString, String> {
    let mut flags = OsString::new();
    let mut remap = |from: &Path, to: &str| {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push(to);
    };
    remap(project, "=.");
    for registry in registries(&cargo_home()?) {
        remap(&registry, "=crates");
    }
    Ok(flags)
}

fn cargo_home() -> Result<PathBuf, String> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .ok_or_else(|| "set CARGO_HOME: there is no home directory.".into())
}

/// Where cargo unpacks crates: one folder for each registry, in order.
fn registries(cargo_home: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(cargo_home.join("registry/src")) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}
