//! What an operator sees: audit records, traces, metrics with labels, and what
//! reads them.

mod access_log;
mod metrics;
mod queries;
mod schema;
