//! RFC 7662 both ways: the call to send, and what an answer says.

mod answer;
mod call;

pub use answer::Reply;
pub(crate) use answer::{Cause, Claims, Introspection, Undetermined, is_json, seconds};
pub(crate) use call::{Trace, ask};
