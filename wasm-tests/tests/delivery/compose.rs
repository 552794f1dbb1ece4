//! `envoy/docker-compose.yaml` by the real Compose, on podman.
//!
//! Podman has a network of its own, so the ports of the sample are free there
//! and nothing of it is left behind. The images are the sample's but for their
//! base: instead of Debian's they have what the two programs are linked with, and
//! Envoy is the one of these tests. What the Dockerfile does to the sample is
//! done by its own words.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mcp_token_guard_tests::module;
use serde_json::{Value, json};

use crate::tools::{Folder, Running, compose, run, script, until};

const SECRETS: &[(&str, &str)] = &[
    (
        "INTROSPECTION_CLIENT_SECRET",
        "kanarie-introspection-secret-of-compose",
    ),
    ("MCP_SERVER_TOKEN", "kanarie-mcp-server-token-of-compose"),
    ("DEMO_CLIENT_SECRET", "kanarie-client-secret-of-compose"),
];

/// The sample, up on podman.
struct Stack {
    podman: Running,
    folder: Folder,
}

impl Stack {
    fn up() -> Self {
        let folder = Folder::new();
        // Less than podman's own, which a container may not be allowed.
        let limits = "[containers]\ndefault_ulimits = [\"nofile=4096:4096\", \"nproc=32768:32768\"]\n\
            [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
            [network]\nnetwork_backend = \"netavark\"\n";
        fs::write(folder.join("containers.conf"), limits).expect("to write");
        build_images(&folder);
        let log = fs::File::create(folder.join("podman.log")).expect("a log");
        let service = "ip link set lo up && exec podman \
            --root store --runroot run --storage-driver vfs system service --time=0 unix://$PWD/socket";
        let podman = Running::start(
            Command::new("unshare")
                .args(["--net", "--mount", "sh", "-c", service])
                .env("CONTAINERS_CONF", folder.join("containers.conf"))
                .current_dir(folder.join(""))
                .stdout(Stdio::null())
                .stderr(log),
        );
        let stack = Self { podman, folder };
        until("podman", || {
            stack.folder.join("socket").exists().then_some(())
        });
        run(stack.compose().args(["up", "--no-build", "--detach"]));
        stack
    }

    fn compose(&self) -> Command {
        let mut command = Command::new(compose());
        command
            .args(["-f", "envoy/docker-compose.yaml"])
            .current_dir(module::project())
            .env(
                "DOCKER_HOST",
                format!("unix://{}", self.folder.join("socket").display()),
            )
            .envs(SECRETS.iter().copied());
        command
    }

    /// What curl prints, from the network that podman has, with the status in
    /// the last line. None where there is no answer.
    fn curl(&self, args: &[&str]) -> Option<(String, String)> {
        let output = Command::new("nsenter")
            .args(["--net", "--target", &self.podman.id(), "curl"])
            .args([
                "--silent",
                "--max-time",
                "20",
                "--write-out",
                "\n%{http_code}",
            ])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("nsenter starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (said, status) = said.rsplit_once('\n').expect("a status");
        output
            .status
            .success()
            .then(|| (said.to_owned(), status.to_owned()))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.compose().arg("logs").output();
            let logs = logs.map(|output| output.stdout).unwrap_or_default();
            eprintln!("{}", String::from_utf8_lossy(&logs));
        }
        // The containers would outlive podman.
        let down = self.compose().args(["down", "--timeout", "1"]).output();
        if !down.is_ok_and(|down| down.status.success()) {
            eprintln!("the containers may still run");
        }
    }
}

#[test]
fn a_call_without_a_token_is_refused_and_one_with_a_token_is_answered() {
    compose();
    let stack = Stack::up();
    let mcp = "http://127.0.0.1:18000/mcp";
    let (head, status) = until("Envoy", || stack.curl(&["--include", mcp]));
    assert_eq!(status, "401", "{head}");
    let metadata = "http://127.0.0.1:18000/.well-known/oauth-protected-resource/mcp";
    assert!(
        head.contains(&format!("resource_metadata=\"{metadata}\"")),
        "{head}"
    );

    let (answer, status) = until("the authorization server", || {
        stack.curl(&[
            "--user",
            &format!("demo-client:{}", SECRETS[2].1),
            "--data",
            "grant_type=client_credentials&scope=mcp:call",
            "--data-urlencode",
            &format!("resource={mcp}"),
            "http://127.0.0.1:18001/token",
        ])
    });
    assert_eq!(status, "200", "{answer}");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let token = answer["access_token"].as_str().expect("a token");

    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }});
    let call = |token: &str| {
        let found = stack.curl(&[
            "--header",
            &format!("Authorization: Bearer {token}"),
            "--header",
            "Content-Type: application/json",
            "--header",
            "Accept: application/json, text/event-stream",
            "--data",
            &hello.to_string(),
            mcp,
        ]);
        found.expect("an answer")
    };
    let (answer, status) = call(token);
    assert_eq!(status, "200", "{answer}");
    assert!(answer.contains("\"serverInfo\""), "{answer}");
    assert_eq!(call("not-a-token-of-theirs").1, "401");
    // There is no way to the MCP server but through Envoy.
    assert_eq!(stack.curl(&["http://127.0.0.1:18002/mcp"]), None);
}

/// The images by the names that Compose looks for. The two small servers are
/// one image.
fn build_images(folder: &Folder) {
    let (context, dockerfile) = (folder.join("envoy"), dockerfile());
    let envoy = PathBuf::from(script("envoy/get"));
    put(&envoy, &context, "envoy");
    let guard = context.join("guard");
    let release = guard.join("target/wasm32-wasip1/release");
    fs::create_dir_all(&release).expect("a folder");
    fs::create_dir_all(context.join("tmp")).expect("a folder");
    fs::copy(module::path(), release.join("mcp_token_guard.wasm")).expect("to copy");
    let sample = module::project().join("envoy/envoy.yaml");
    fs::copy(sample, guard.join("envoy.yaml")).expect("to copy");
    let change = after(&dockerfile, "RUN sed -i ");
    let change = format!("sed -i {change}");
    run(Command::new("sh").args(["-c", &change]).current_dir(guard));
    build(
        folder,
        "envoy",
        "envoy",
        &format!("WORKDIR /guard\nCMD {}\n", after(&dockerfile, "CMD ")),
    );

    let servers = folder.join("servers");
    put(
        Path::new(env!("CARGO_BIN_EXE_servers")),
        &servers,
        "servers",
    );
    let entry = format!("ENTRYPOINT {}\n", after(&dockerfile, "ENTRYPOINT "));
    for name in ["authorization-server", "mcp-server"] {
        build(folder, "servers", name, &entry);
    }
}

/// `envoy/Dockerfile`.
fn dockerfile() -> String {
    fs::read_to_string(module::project().join("envoy/Dockerfile")).expect("the Dockerfile")
}

/// The rest of the one line that begins so.
fn after<'a>(text: &'a str, beginning: &str) -> &'a str {
    let found: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix(beginning))
        .collect();
    assert_eq!(found.len(), 1, "lines with {beginning}");
    found[0]
}

/// A program and the libraries that it is linked with, as in a small system.
fn put(program: &Path, context: &Path, name: &str) {
    let programs = context.join("usr/local/bin");
    fs::create_dir_all(&programs).expect("a folder");
    let copy = programs.join(name);
    run(Command::new("strip").arg("-o").arg(&copy).arg(program));
    let linked = run(Command::new("ldd").arg(program));
    let libraries = linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for library in libraries {
        let copy = context.join(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        fs::copy(library, copy).expect("to copy");
    }
}

/// An image of everything in a folder.
fn build(folder: &Folder, context: &str, name: &str, rest: &str) {
    let file = folder.join("Dockerfile");
    let text = format!("FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin\n{rest}");
    fs::write(&file, text).expect("to write");
    run(Command::new("buildah")
        .args([
            "--root",
            "store",
            "--runroot",
            "run",
            "--storage-driver",
            "vfs",
        ])
        .args(["build", "--isolation", "chroot", "--tag"])
        .arg(format!("mcp-token-guard-{name}"))
        .arg("--file")
        .arg(file)
        .arg(context)
        .current_dir(folder.join("")));
}
