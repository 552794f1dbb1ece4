//! Every way in which the guard says to the authorization server who it is, and
//! what happens when it is not believed.

mod assertions;
mod certificate;
mod rotation;
mod server;
