//! How we say who we are at an OAuth endpoint (RFC 6749 section 2.3).
//!
//! [`ClientAuth`] is what the configuration says, for any endpoint: of
//! introspection (RFC 7662 section 2.1) as of tokens. An [`Authenticator`]
//! makes of it the [`Proof`] that goes with one call, and knows which of two
//! credentials the server takes.

mod assertion;
mod private_key;

use std::rc::Rc;

use crate::secret::Secret;
use crate::time::Now;

use assertion::Ids;
pub(crate) use assertion::{Assertions, Key};

/// Who we are, and what proves it.
#[derive(Debug)]
pub(crate) struct ClientAuth {
    /// `client_id`, part of cache keys; empty where the method has none.
    pub(crate) client_id: String,
    /// What proves it, the one to begin with first; two while they change.
    /// None where the configuration says so in so many words.
    pub(crate) credentials: Vec<Credential>,
    /// The keys that lead to them, for the log.
    pub(crate) place: String,
}

/// What proves who we are.
#[derive(Debug)]
pub(crate) enum Credential {
    /// `client_secret_jwt`, `private_key_jwt`: a new assertion for each call.
    Assertions(Box<Assertions>),
    /// `client_secret_basic`, `bearer`: the ready value of `Authorization`.
    Authorization(Secret),
    /// `client_secret_post` and, where the certificate of the connection is
    /// the proof, `tls_client_auth`: what to put behind the form, `&` first.
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

/// Which of the credentials a call is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn(usize);

/// Makes proofs: one worker's, for one endpoint.
#[derive(Debug)]
pub(crate) struct Authenticator {
    auth: Rc<ClientAuth>,
    /// The credential that was taken last.
    first: Turn,
    /// Made when it is first needed.
    ids: Option<Ids>,
}

impl Authenticator {
    /// For calls to an endpoint with this.
    pub(crate) fn new(auth: &Rc<ClientAuth>) -> Self {
        Self {
            auth: Rc::clone(auth),
            first: Turn::default(),
            ids: None,
        }
    }

    /// The credential to begin with.
    pub(crate) fn first(&self) -> Turn {
        self.first
    }

    /// The one to try where that one was refused.
    pub(crate) fn other(&self, refused: Turn) -> Option<Turn> {
        let places = 0..self.auth.credentials.len();
        places.map(Turn).find(|turn| *turn != refused)
    }

    /// What goes with a call that is made now.
    pub(crate) fn prove(&mut self, turn: Turn, now: Now) -> Proof {
        match self.auth.credentials.get(turn.0) {
            Some(Credential::Assertions(assertions)) => {
                let ids = self.ids.get_or_insert_default();
                Proof::Form(assertions.form(&ids.next(), now))
            }
            Some(Credential::Authorization(value)) => Proof::Authorization(value.clone()),
            Some(Credential::Form(part)) => Proof::Form(part.clone()),
            None => Proof::None,
        }
    }

    /// The server has taken this one, so it goes first from now on. Says so,
    /// once, where another did until now.
    pub(crate) fn taken(&mut self, turn: Turn) -> Option<String> {
        if self.first == turn {
            return None;
        }
        self.first = turn;
        let (taken, refused) = match turn {
            Turn(0) => ("first", "second"),
            Turn(_) => ("second", "first"),
        };
        let place = &self.auth.place;
        Some(format!(
            "{place}: the {refused} of the two is refused by the authorization server, the \
             {taken} is taken and goes first from now on"
        ))
    }
}

#[cfg(test)]
mod tests;
