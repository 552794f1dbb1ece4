//! Rules say which calls need which scopes, by what the body calls
//! (MCP-TOOLSCOPE-a, MCP-NAME-b, MCP-SCOPE-b, MCP-BATCH-a).

mod bodies;
mod calls;
mod world;
