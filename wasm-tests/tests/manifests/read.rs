//! What the manifests in `envoy/istio` and `envoy/envoy-gateway` have in them.

use std::fs;

use mcp_token_guard_tests::module;
use serde_json::Value;

/// One resource of a manifest.
#[derive(Debug)]
pub struct Resource {
    /// File and place in it.
    pub place: String,
    /// The folder, one of [`FOLDERS`].
    pub folder: &'static str,
    /// All of it.
    pub value: Value,
}

/// A guard that a manifest sets up.
#[derive(Debug)]
pub struct Guard<'a> {
    /// The resource that it is in.
    pub resource: &'a Resource,
    /// The plugin configuration, as the guard gets it.
    pub configuration: String,
    /// The variables that its VM has.
    pub variables: Vec<String>,
    /// What happens when its VM dies.
    pub failure: Option<String>,
}

/// The folders with manifests.
pub const FOLDERS: &[&str] = &["istio", "envoy-gateway"];

impl Resource {
    /// `kind`.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().expect("a kind")
    }

    /// `apiVersion`.
    pub fn api_version(&self) -> &str {
        self.value["apiVersion"].as_str().expect("an apiVersion")
    }

    /// `spec`.
    pub fn spec(&self) -> &Value {
        &self.value["spec"]
    }

    /// `metadata.namespace/metadata.name`.
    pub fn name(&self) -> String {
        let text = |name: &str| self.value["metadata"][name].as_str().unwrap_or_default();
        format!("{}/{}", text("namespace"), text("name"))
    }
}

/// Every resource of every manifest. Members that are there twice are refused.
pub fn resources() -> Vec<Resource> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let path = module::project().join("envoy").join(folder);
        let mut files: Vec<_> = fs::read_dir(path)
            .expect("the folder")
            .map(|file| file.expect("a manifest").path())
            .collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).expect("the manifest");
            let name = file.file_name().expect("a name").to_string_lossy();
            for (number, value) in documents(&text).into_iter().enumerate() {
                found.push(Resource {
                    place: format!("{folder}/{name}, document {}", number + 1),
                    folder,
                    value,
                });
            }
        }
    }
    assert!(found.len() > 20, "most of the manifests are missing");
    found
}

/// The documents of a YAML stream, empty ones left out.
pub fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n")
        .map(|part| yaml_serde::from_str::<yaml_serde::Value>(part).expect("YAML"))
        .map(|value| serde_json::to_value(value).expect("JSON"))
        .filter(|value| !value.is_null())
        .collect()
}

/// Every guard that a resource sets up.
pub fn guards(resource: &Resource) -> Vec<Guard<'_>> {
    let spec = resource.spec();
    let istio = |wasm: &Value| Guard {
        resource,
        configuration: wasm["pluginConfig"].to_string(),
        variables: names(&wasm["vmConfig"]["env"], "/name"),
        failure: text(&wasm["failStrategy"]),
    };
    match resource.kind() {
        "WasmPlugin" => vec![istio(spec)],
        "TrafficExtension" => vec![istio(&spec["wasm"])],
        "EnvoyExtensionPolicy" => items(&spec["wasm"])
            .iter()
            .map(|wasm| Guard {
                resource,
                configuration: wasm["config"].to_string(),
                variables: names(&wasm["env"]["hostKeys"], ""),
                // Envoy Gateway says only this; the patch says the rest.
                failure: (wasm["failOpen"] == false).then(|| "FAIL_RELOAD".to_owned()),
            })
            .collect(),
        "EnvoyFilter" => items(&spec["configPatches"])
            .iter()
            .map(|patch| &patch["patch"]["value"]["typed_config"]["config"])
            .filter(|config| config.is_object())
            .map(|config| {
                let environment = &config["vm_config"]["environment_variables"];
                Guard {
                    resource,
                    configuration: text(&config["configuration"]["value"]).expect("a text"),
                    variables: names(&environment["host_env_keys"], ""),
                    failure: text(&config["failure_policy"]),
                }
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Clusters that a resource adds to Envoy's configuration.
pub fn added_clusters(resource: &Resource) -> Vec<&Value> {
    let patches = items(&resource.spec()["configPatches"]).iter();
    let patches = patches
        .filter(|patch| patch["applyTo"] == "CLUSTER")
        .map(|patch| &patch["patch"]["value"]);
    let json_patches = items(&resource.spec()["jsonPatches"]).iter();
    let json_patches = json_patches
        .filter(|patch| text(&patch["type"]).is_some_and(|kind| kind.ends_with(".Cluster")))
        .map(|patch| &patch["operation"]["value"]);
    patches.chain(json_patches).collect()
}

/// A list, or none.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, where there is one.
pub fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn names(list: &Value, pointer: &str) -> Vec<String> {
    items(list)
        .iter()
        .filter_map(|item| text(item.pointer(pointer)?))
        .collect()
}
