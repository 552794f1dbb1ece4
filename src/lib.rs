//! mcp-token-guard.

mod access;
mod audit;
mod bearer;
mod cache;
mod config;
mod denial;
mod digest;
mod fields;
mod flight;
mod guard;
mod head;
mod introspection;
mod json;
mod leak;
mod metadata;
mod origin;
mod passage;
mod reply;
mod response;
mod secret;
mod servers;
mod session;
mod stream;
mod tally;
mod time;

#[cfg(target_family = "wasm")]
mod filter;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(target_family = "wasm")]
mod metrics;

pub use config::{Config, ConfigErrors, Problem};
pub use fields::Field;
pub use flight::CallId;
pub use guard::{Answer, Ask, Audit, Guard, Step, Task, TrailersStep, Wake};
pub use introspection::{Callout, Reply};
pub use passage::Forward;
pub use reply::LocalReply;
pub use response::Edit;
pub use secret::Secret;
pub use stream::StreamId;
pub use time::Now;

#[cfg(target_family = "wasm")]
mod entry {
    #![expect(unreachable_pub, reason = "the SDK's macro writes a public function")]

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(crate::filter::Root::default()));
    }}
}
