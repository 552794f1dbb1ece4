//! How we say who we are at an OAuth endpoint (RFC 6749 section 2.3).
//!
//! [`ClientAuth`] is what the configuration says, for any endpoint: of
//! introspection (RFC 7662 section 2.1) as of tokens. An [`Authenticator`]
//! makes of it the [`Proof`] that goes with one call.

use std::rc::Rc;

use crate::secret::Secret;

/// Who we are, and what proves it.
#[derive(Debug)]
pub(crate) struct ClientAuth {
    /// `client_id`, part of cache keys; empty where the method has none.
    pub(crate) client_id: String,
    /// What proves it, the one to begin with first; none where the
    /// configuration says so in so many words.
    pub(crate) credentials: Vec<Credential>,
}

/// What proves who we are.
#[derive(Debug)]
pub(crate) enum Credential {
    /// `client_secret_basic`, `bearer`: the ready value of `Authorization`.
    Authorization(Secret),
    /// `client_secret_post`: `&client_id=…&client_secret=…`, form-encoded, to
    /// put behind what is there.
    Form(Secret),
}

/// What goes with one call.
#[derive(Debug)]
pub(crate) enum Proof {
    /// A value of `Authorization`.
    Authorization(Secret),
    /// More of the form, `&` first.
    Form(Secret),
    /// Nothing.
    None,
}

/// Makes proofs: one worker's, for one endpoint.
#[derive(Debug)]
pub(crate) struct Authenticator {
    auth: Rc<ClientAuth>,
}

impl Authenticator {
    /// For calls to an endpoint with this.
    pub(crate) fn new(auth: &Rc<ClientAuth>) -> Self {
        Self {
            auth: Rc::clone(auth),
        }
    }

    /// What goes with a call that is made now.
    pub(crate) fn prove(&self) -> Proof {
        match self.auth.credentials.first() {
            Some(Credential::Authorization(value)) => Proof::Authorization(value.clone()),
            Some(Credential::Form(part)) => Proof::Form(part.clone()),
            None => Proof::None,
        }
    }
}
