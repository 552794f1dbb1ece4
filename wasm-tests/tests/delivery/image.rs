//! `make image`: the same each time, and what comes out of a registry is what
//! Istio and Envoy Gateway look for.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use mcp_token_guard_tests::module;
use serde_json::Value;

use crate::tools::{Folder, Running, compose, free, run, until};

/// The image in this folder. Its digest.
pub fn make(folder: &Path) -> String {
    module::path();
    let script = module::project().join("envoy/image");
    let said = run(Command::new(script).arg(folder));
    said.lines().last().expect("a digest").to_owned()
}

/// The version of the module.
pub fn version() -> String {
    let manifest = fs::read_to_string(module::project().join("Cargo.toml")).expect("Cargo.toml");
    let (_, rest) = manifest.split_once("\nversion = \"").expect("a version");
    rest.split_once('"').expect("its end").0.to_owned()
}

/// A file of an OCI layout, by its digest.
fn blob(layout: &Path, digest: &str) -> std::path::PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// Asserts that this is what Istio and Envoy Gateway look for: a manifest whose
/// one layer is a tar with gzip that has the module as `plugin.wasm`, and nothing
/// else.
pub fn is_the_module(layout: &Path, digest: &str) {
    let manifest = fs::read(blob(layout, digest)).expect("the manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let media = "application/vnd.oci.image.manifest.v1+json";
    assert_eq!(manifest["mediaType"], media);
    let layers = manifest["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 1);
    let media = "application/vnd.oci.image.layer.v1.tar+gzip";
    assert_eq!(layers[0]["mediaType"], media);
    let layer = blob(layout, layers[0]["digest"].as_str().expect("a digest"));
    let listed = run(Command::new("tar").args(["-tvzf"]).arg(&layer));
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.starts_with("-rw-r--r-- 0/0 "), "{listed}");
    assert!(listed.ends_with(" plugin.wasm\n"), "{listed}");
    let inside = Command::new("tar")
        .args(["-xzOf"])
        .arg(&layer)
        .arg("plugin.wasm")
        .output()
        .expect("tar starts");
    let module = fs::read(module::path()).expect("the module");
    assert!(inside.stdout == module, "another module is in it");
}

#[test]
fn it_is_the_same_each_time_and_a_registry_gives_it_back() {
    compose();
    let folder = Folder::new();
    let registry = free();
    let log = File::create(folder.join("registry.log")).expect("a log");
    let configuration = folder.join("registry.yaml");
    let text = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {:?}}}}}\nhttp: {{addr: \"{registry}\"}}\n",
        folder.join("registry")
    );
    fs::write(&configuration, text).expect("to write");
    let _running = Running::start(
        Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(log),
    );
    until("the registry", || {
        std::net::TcpStream::connect(registry).ok()
    });

    let (first, second) = (folder.join("first"), folder.join("second"));
    let digest = make(&first);
    assert_eq!(make(&second), digest, "the digest of another time");
    is_the_module(&first, &digest);

    let version = version();
    let name = format!("docker://{registry}/mcp-token-guard:{version}");
    for layout in [&first, &second] {
        let from = format!("oci:{}:{version}", layout.display());
        let push = ["copy", "--quiet", "--dest-tls-verify=false", &from, &name];
        run(Command::new("skopeo").args(push));
        let inspect = [
            "inspect",
            "--tls-verify=false",
            "--format={{.Digest}}",
            &name,
        ];
        let there = run(Command::new("skopeo").args(inspect));
        assert_eq!(there.trim(), digest, "the registry's digest");
    }
    // By the digest, as the manifests have it.
    let pulled = folder.join("pulled");
    let by_digest = format!("docker://{registry}/mcp-token-guard@{digest}");
    let to = format!("oci:{}:{version}", pulled.display());
    let pull = ["copy", "--quiet", "--src-tls-verify=false", &by_digest, &to];
    run(Command::new("skopeo").args(pull));
    is_the_module(&pulled, &digest);
}
