//! Roles (contract section 2.1): with the injector behind the last routing
//! decision, whatever the route does, the credential is that of the server
//! that the token was verified for, or there is none.

mod crowds;
mod routes;
mod world;
