//! Where a configuration is read from.

use std::path::Path;

use posthorn_config::{ConfigError, Sources};

use crate::NodeConfig;

/// File, environment and flags, not read yet.
pub struct ConfigSource<'a> {
    defaults: NodeConfig,
    file: Option<&'a Path>,
    environment: Vec<(String, String)>,
    flags: Vec<(&'static str, &'static str, String)>,
}

impl<'a> ConfigSource<'a> {
    /// The file, if any, and this process's environment. Variables that are no text are not ours.
    #[must_use]
    pub fn from_env(file: Option<&'a Path>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let environment = std::env::vars_os().filter_map(text).collect();
        Self { defaults: NodeConfig::default(), file, environment, flags: Vec::new() }
    }

    /// Other defaults than those of a deployment.
    #[must_use]
    pub fn over(mut self, defaults: NodeConfig) -> Self {
        self.defaults = defaults;
        self
    }

    /// What `flag` of the command line says about `key`, if it was given.
    #[must_use]
    pub fn flag(mut self, key: &'static str, flag: &'static str, value: Option<String>) -> Self {
        self.flags.extend(value.map(|value| (key, flag, value)));
        self
    }

    /// Reads all layers.
    pub fn load(self) -> Result<(NodeConfig, Sources), ConfigError> {
        let mut layers = NodeConfig::layers_over(&self.defaults)?;
        if let Some(file) = self.file {
            layers.file(file)?;
        }
        layers.environment(self.environment.into_iter())?;
        for (key, flag, value) in self.flags {
            layers.assign(key, &value, flag)?;
        }
        NodeConfig::build(layers)
    }
}
