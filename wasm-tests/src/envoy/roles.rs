//! The three places that the guard can have (contract section 2.1).

use serde_json::{Value, json};

use super::pieces::{BARE, cors, guard, upstream_filters};
use super::{Bench, Surroundings};
use crate::module;
use crate::scenario::INTROSPECTION_CLUSTER;

/// Where the guard does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// All of it in the listener.
    Gateway,
    /// A verifier in the listener, an injector in every cluster but
    /// [`BARE`], as `envoy/strict.yaml` has it.
    Strict,
    /// Verifier and injector in the listener, `cors` between them.
    Listener,
}

impl Arrangement {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Strict, Self::Listener];
}

impl Surroundings {
    /// Starts Envoy with the guard so arranged. In the listener an injector is
    /// behind the filters of [`Surroundings::behind`].
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start_as(mut self, arrangement: Arrangement, configuration: &Value) -> Bench {
        if arrangement == Arrangement::Gateway {
            return self.start(configuration);
        }
        let verifier = with_role(configuration, "verifier");
        let mut injector = guard(
            module::path(),
            &with_role(configuration, "injector"),
            &self.setup.environment,
        );
        // Else what disables the verifier on a route disables the injector, too.
        injector["name"] = json!("mcp_token_guard_injector");
        if arrangement == Arrangement::Listener {
            self.behind.extend([cors(), injector]);
            return self.start(&verifier);
        }
        for cluster in &mut self.setup.clusters {
            if cluster["name"] != INTROSPECTION_CLUSTER && cluster["name"] != BARE {
                upstream_filters(cluster, std::slice::from_ref(&injector));
            }
        }
        self.start(&verifier)
    }
}

/// The configuration with this role.
fn with_role(configuration: &Value, role: &str) -> Value {
    let mut configuration = configuration.clone();
    configuration["role"] = json!(role);
    configuration
}
