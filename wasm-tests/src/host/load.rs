//! From bytes to a configured filter.

use core::fmt;

use wasmi::{CompilationMode, Config, Engine, Linker, Module, Store};

use super::Host;
use super::abi;
use super::envoy::{Envoy, Line, Root};

/// Why there is no filter.
#[derive(Debug)]
pub enum LoadError {
    /// The module cannot be loaded, or Envoy would not load it.
    Module(String),
    /// It died at start.
    Trap(String),
    /// It refused its configuration; this is what it logged.
    Refused(Vec<Line>),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(why) => write!(f, "not a module for Envoy: {why}"),
            Self::Trap(why) => write!(f, "died at start: {why}"),
            Self::Refused(log) => {
                f.write_str("refused its configuration")?;
                log.iter()
                    .try_for_each(|line| write!(f, "\n  {}", line.text))
            }
        }
    }
}

impl core::error::Error for LoadError {}

impl Host {
    /// Loads a module and gives it its configuration, as Envoy does for each
    /// worker. `root_id` is the plugin's name for itself.
    ///
    /// # Errors
    ///
    /// When the module cannot be loaded, dies, or refuses the configuration.
    pub fn load(
        module: &[u8],
        environment: &[(&str, &str)],
        configuration: impl AsRef<[u8]>,
        root_id: &str,
    ) -> Result<Self, LoadError> {
        let mut host = Self::instantiate(module, environment)?;
        host.root = host.start_root(configuration.as_ref(), root_id)?;
        host.verify();
        Ok(host)
    }

    /// Gives the plugin a new configuration: a new root context in the same VM.
    /// Streams that there are go on with the old one, which goes away with the
    /// last of them. As in Envoy, a copy of the VM tries the configuration
    /// first, and nothing changes where that is refused.
    ///
    /// # Errors
    ///
    /// When the configuration is refused.
    pub fn reconfigure(&mut self, configuration: impl AsRef<[u8]>) -> Result<(), LoadError> {
        let envoy = self.store.data();
        let name = envoy.roots[&self.root].name.clone();
        let environment = envoy.environment.clone();
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Self::load(&self.module, &environment, configuration.as_ref(), &name)?;
        self.take_on(configuration)
    }

    /// The same, for a configuration that has been tried before.
    ///
    /// # Errors
    ///
    /// When the configuration is refused all the same.
    pub fn take_on(&mut self, configuration: impl AsRef<[u8]>) -> Result<(), LoadError> {
        let name = self.store.data().roots[&self.root].name.clone();
        let old = self.root;
        self.root = self.start_root(configuration.as_ref(), &name)?;
        if let Some(root) = self.store.data_mut().roots.get_mut(&old) {
            root.replaced = true;
        }
        self.retire(old);
        self.verify();
        Ok(())
    }

    /// A VM whose global constructors have run.
    fn instantiate(module: &[u8], environment: &[(&str, &str)]) -> Result<Self, LoadError> {
        let wrong = |error: wasmi::Error| LoadError::Module(error.to_string());
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .compilation_mode(CompilationMode::Eager);
        let engine = Engine::new(&config);
        let compiled = Module::new(&engine, module).map_err(wrong)?;
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker, &compiled).map_err(wrong)?;
        let mut store = Store::new(&engine, Envoy::new(environment));
        store.set_fuel(super::enter::FUEL).map_err(wrong)?;
        let instance = linker
            .instantiate_and_start(&mut store, &compiled)
            .map_err(wrong)?;
        if instance
            .get_func(&store, "proxy_abi_version_0_2_1")
            .is_none()
        {
            let why = "it does not export proxy_abi_version_0_2_1";
            return Err(LoadError::Module(why.into()));
        }
        let memory = instance.get_memory(&store, "memory");
        let allocate = ["proxy_on_memory_allocate", "malloc"]
            .iter()
            .find_map(|name| instance.get_typed_func(&store, name).ok());
        let envoy = store.data_mut();
        (envoy.memory, envoy.allocate) = (memory, allocate);
        envoy.restricted = true;
        let mut host = Self {
            module: module.to_vec(),
            store,
            instance,
            root: 0,
            trap: None,
            stack: 0,
            stop_iteration_only: false,
            lenient: false,
        };
        host.enter("_initialize", 0, &[]);
        host.store.data_mut().restricted = false;
        host.alive_or_error()?;
        Ok(host)
    }

    /// Creates a root context and configures it.
    fn start_root(&mut self, configuration: &[u8], name: &str) -> Result<u32, LoadError> {
        let envoy = self.store.data_mut();
        let id = envoy.new_context();
        envoy.roots.insert(
            id,
            Root {
                name: name.to_owned(),
                configuration: configuration.to_vec(),
                configuring: false,
                tick: 0,
                due: 0,
                replaced: false,
                finishing: false,
                answer: None,
            },
        );
        let from = envoy.log.len();
        self.enter("proxy_on_context_create", id, &[0]);
        let started = self.root == 0 && !self.agreed("proxy_on_vm_start", id, 0);
        self.alive_or_error()?;
        let size = u32::try_from(configuration.len()).unwrap_or(u32::MAX);
        self.configuring(id, true);
        let configured = !started && self.agreed("proxy_on_configure", id, size);
        self.configuring(id, false);
        self.alive_or_error()?;
        if configured {
            Ok(id)
        } else {
            let log = &self.store.data().log;
            Err(LoadError::Refused(
                log.get(from..).unwrap_or_default().to_vec(),
            ))
        }
    }

    /// Whether a start-up callback said yes; one that is not exported does.
    fn agreed(&mut self, export: &'static str, root: u32, size: u32) -> bool {
        self.enter(export, root, &[size])
            .returned
            .is_none_or(|yes| yes != 0)
    }

    /// Opens or closes the configuration of a root context for reading.
    fn configuring(&mut self, id: u32, open: bool) {
        if let Some(root) = self.store.data_mut().roots.get_mut(&id) {
            root.configuring = open;
        }
    }

    /// An error if the VM is dead.
    fn alive_or_error(&self) -> Result<(), LoadError> {
        match &self.trap {
            Some(trap) => Err(LoadError::Trap(trap.clone())),
            None => Ok(()),
        }
    }

    /// Lets a root context go that has been replaced and has no streams left.
    /// Its calls are cancelled.
    pub(super) fn retire(&mut self, id: u32) {
        let envoy = self.store.data();
        let busy = envoy
            .streams
            .values()
            .any(|stream| stream.root == id && !stream.deleted);
        let replaced = envoy
            .roots
            .get(&id)
            .is_some_and(|root| root.replaced && !root.finishing);
        if busy || !replaced {
            return;
        }
        if let Some(root) = self.store.data_mut().roots.get_mut(&id) {
            root.finishing = true;
        }
        if self
            .enter("proxy_on_done", id, &[])
            .returned
            .is_none_or(|yes| yes != 0)
        {
            self.finish_root(id);
        }
    }

    /// Deletes a root context.
    pub(super) fn finish_root(&mut self, id: u32) {
        self.enter("proxy_on_delete", id, &[]);
        let envoy = self.store.data_mut();
        envoy.roots.remove(&id);
        for call in envoy.calls.iter_mut().filter(|call| call.root == id) {
            call.open = false;
        }
    }
}
