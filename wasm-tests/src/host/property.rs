//! Attributes and filter state.

use super::envoy::Envoy;
use super::status::Status;

impl Envoy {
    /// The attribute at this path (parts with zeros between them).
    pub(super) fn property(&mut self, path: &[u8]) -> Result<Vec<u8>, Status> {
        if path == b"plugin_root_id" {
            let (_, root) = self.root().ok_or(Status::NotFound)?;
            return Ok(root.name.clone().into_bytes());
        }
        if path == b"plugin_name" || path == b"plugin_vm_id" {
            return Ok(b"mcp_token_guard".to_vec());
        }
        let (_, stream) = self.stream().ok_or(Status::NotFound)?;
        if let Some(value) = stream.properties.get(path) {
            return Ok(value.clone());
        }
        let parts: Vec<&[u8]> = path.split(|b| *b == 0).collect();
        let headers = (stream.request_open || stream.logging).then_some(&stream.request);
        let pseudo = |name: &str| headers.and_then(|h| h.get(name)).map(<[u8]>::to_vec);
        let value = match parts.as_slice() {
            [b"request", b"headers", name] => headers.and_then(|headers| {
                let all = headers.all(name);
                (!all.is_empty()).then(|| all.join(&b','))
            }),
            [b"request", b"method"] => pseudo(":method"),
            [b"request", b"path"] => pseudo(":path"),
            [b"request", b"host"] => pseudo(":authority"),
            [b"request", b"scheme"] => pseudo(":scheme"),
            [b"request", b"id"] => pseudo("x-request-id"),
            [b"response", b"code"] => stream
                .response
                .get(":status")
                .and_then(|status| core::str::from_utf8(status).ok()?.parse::<i64>().ok())
                .map(|status| status.to_le_bytes().to_vec()),
            [b"filter_state", key] => {
                let key = String::from_utf8_lossy(key).into_owned();
                stream.filter_state.get(&key).cloned()
            }
            [name] => {
                let key = format!("wasm.{}", String::from_utf8_lossy(name));
                stream.filter_state.get(&key).cloned()
            }
            _ => None,
        };
        value.ok_or(Status::NotFound)
    }

    /// Puts a value into the filter state of the stream.
    pub(super) fn set_property(&mut self, path: &[u8], value: Vec<u8>) -> Status {
        let key = format!("wasm.{}", String::from_utf8_lossy(path));
        match self.stream() {
            Some((_, stream)) => {
                stream.filter_state.insert(key, value);
                Status::Ok
            }
            None => Status::NotFound,
        }
    }
}
