//! Our own credential at the authorization server, and the other one where it
//! is refused.

use super::{Ask, Guard};
use crate::digest::TokenDigest;
use crate::flight::Flight;
use crate::introspection::{self, Cause, Introspection, Undetermined};
use crate::tally::Count;
use crate::time::Now;

/// The word for a call whose credential was refused while there is another to
/// try.
pub(crate) const SECRET_REFUSED: &str = "secret_refused";

impl Guard {
    /// The call about a token: with the credential that its flight is to try,
    /// or else with the one that goes first.
    pub(super) fn ask(&mut self, digest: TokenDigest, now: Now) -> Option<Ask> {
        let flight = self.flights.get_mut(&digest)?;
        let authenticator = &mut self.issuers.get_mut(digest.issuer().place())?.authenticator;
        let turn = match flight.refused {
            Some(refused) => authenticator.other(refused),
            None => None,
        };
        flight.turn = turn.unwrap_or(authenticator.first());
        let proof = authenticator.prove(flight.turn, now);
        let endpoint = &self.config.authorization_servers.of(&digest)?.introspection;
        let callout = introspection::ask(endpoint, flight.token.expose(), &flight.trace, proof);
        Some(Ask::of_token(callout, digest))
    }

    /// What an answer says of our credential. Where it was refused, and there
    /// is another that this flight has not tried, the root context asks again
    /// with that, and the flight goes on; nothing is given back then.
    pub(super) fn authenticated(
        &mut self,
        digest: TokenDigest,
        flight: Flight,
        answer: &Result<Introspection, Undetermined>,
    ) -> Option<Flight> {
        let issuer = self.issuers.get_mut(digest.issuer().place())?;
        let authenticator = &mut issuer.authenticator;
        match answer {
            Ok(_) => {
                let notice = authenticator.taken(flight.turn);
                self.tally.notices.extend(notice);
                Some(flight)
            }
            Err(undetermined)
                if undetermined.cause == Cause::CredentialsRefused
                    && flight.refused.is_none()
                    && authenticator.other(flight.turn).is_some() =>
            {
                self.tally.count(Count::Introspection(SECRET_REFUSED));
                let mut flight = flight;
                flight.refused = Some(flight.turn);
                self.flights.ask_again(digest, flight);
                None
            }
            Err(_) => Some(flight),
        }
    }
}
