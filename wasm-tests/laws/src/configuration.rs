//! A configuration is taken or refused, whatever it is, and tells no secret.

use std::hash::{DefaultHasher, Hash, Hasher};

use mcp_token_guard::{Config, Guard, Step};

use crate::world::{STREAM, fields, now};

/// What every variable of the environment holds. It depends on all of the bytes,
/// so it is not among them: what an operator writes openly is no secret.
fn secret(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("kanarie-secret-{:016x}", hasher.finish())
}

/// The bytes as a configuration.
pub(crate) fn law(bytes: &[u8]) {
    let secret = secret(bytes);
    let env = |_: &str| Some(secret.clone());
    let config = match Config::parse(bytes, &env) {
        Ok(config) => config,
        Err(errors) => {
            assert!(errors.problems().next().is_some(), "refused for nothing");
            for problem in errors.problems() {
                let text = problem.to_string();
                assert!(!text.contains(&secret), "a secret is in {text}");
                assert!(!text.contains(['\n', '\r', '\0']), "{text:?}");
            }
            return;
        }
    };
    let summary = config.summary();
    assert!(!summary.contains(&secret) && !summary.contains('\n'));
    assert!(
        !format!("{config:?}").contains(&secret),
        "a secret is shown"
    );
    let mut guard = Guard::new(config);
    // Without a token nothing leaves under any of them.
    let head = fields(b"/mcp", &[]);
    for cluster in [Some("files"), Some("other"), None] {
        let step = guard.request(STREAM, &head, cluster, now());
        assert!(
            matches!(step, Step::Reply(..) | Step::Ignore),
            "{step:?} without a token"
        );
        guard.gone(STREAM);
    }
}
