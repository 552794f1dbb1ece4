//! The edge: the host's callbacks, each handed to the worker of its generation.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::config::Config;
use crate::host::{self, HostError};
use crate::metrics;
use crate::stream::StreamId;
use crate::worker::{When, Worker};

/// The root context: one for each generation of the configuration.
#[derive(Default)]
pub(crate) struct Root {
    worker: Option<Rc<Worker>>,
}

/// One request.
struct Filter {
    id: u32,
    worker: Option<Rc<Worker>>,
}

impl Root {
    fn configure(&mut self, size: usize) -> Result<(), HostError> {
        let bytes = host::configuration(size)?;
        let env = |name: &str| std::env::var(name).ok();
        match Config::parse(&bytes, &env) {
            Ok(config) => {
                log::info!(
                    "mcp-token-guard {} configured: {}",
                    env!("CARGO_PKG_VERSION"),
                    config.summary()
                );
                metrics::count_configuration();
                self.worker = Some(Rc::new(Worker::new(config)));
                Ok(())
            }
            Err(errors) => {
                for problem in errors.problems() {
                    log::error!("configuration refused: {problem}");
                }
                Err(HostError)
            }
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, call: u32, headers: usize, body: usize, _: usize) {
        if let Some(worker) = &self.worker {
            if worker.answered(call, headers, body).is_err() {
                log::error!("an introspection answer could not be read");
            }
            worker.close(When::Callback);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        self.configure(size).is_ok()
    }

    fn on_tick(&mut self) {
        if let Some(worker) = &self.worker {
            if worker.tick().is_err() {
                log::error!("a tick could not be finished");
            }
            worker.close(When::Tick);
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Filter {
            id,
            worker: self.worker.clone(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Filter {
    /// Runs a callback. Whatever fails in it, nothing of the request goes on.
    fn run(&self, callback: impl FnOnce(&Worker) -> Result<Action, HostError>) -> Action {
        let Some(worker) = &self.worker else {
            return Action::Pause;
        };
        let action = callback(worker).unwrap_or_else(|HostError| {
            worker.fail(self.id);
            Action::Pause
        });
        worker.close(When::Callback);
        action
    }
}

impl Context for Filter {
    fn on_http_call_response(&mut self, call: u32, headers: usize, body: usize, _: usize) {
        if let Some(worker) = &self.worker {
            if worker.answered(call, headers, body).is_err() {
                log::error!("an introspection answer could not be read");
            }
            worker.close(When::Callback);
        }
    }
}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        self.run(|worker| worker.request(self.id, end))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let read = self
            .worker
            .as_ref()
            .and_then(|worker| worker.tell(|guard| guard.reads(StreamId(self.id))).ok()?);
        if let Some(from) = read {
            return self.run(|worker| worker.body(self.id, from, size, end));
        }
        let goes_on = self.worker.as_ref().is_some_and(|worker| {
            worker
                .tell(|guard| guard.body(StreamId(self.id), end))
                .unwrap_or(false)
        });
        if goes_on {
            Action::Continue
        } else {
            Action::Pause
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.run(|worker| worker.trailers(self.id))
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.run(|worker| worker.answer(self.id))
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            let _ = worker.tell(|guard| guard.gone(StreamId(self.id)));
            worker.close(When::Callback);
        }
    }
}
