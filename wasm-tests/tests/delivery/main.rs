//! What is handed to operators, used as they use it: the module's image through
//! a registry, the files of a release, and `envoy/docker-compose.yaml` by the
//! real Compose on podman. `make delivery` runs it; it is no part of `make test`,
//! because its tools are packages of the system.

mod tools;

mod compose;
mod image;
mod release;
