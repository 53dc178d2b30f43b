//! Each name once: ids, processes and conversations are numbers while a history is checked.

use std::{collections::HashMap, sync::Arc};

/// Numbers in the order of first use. Number 0 is the empty name.
#[derive(Debug)]
pub struct Names {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self { numbers: HashMap::new(), names: Vec::new() };
        names.number("");
        names
    }
}

impl Names {
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer than 2^32 names");
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    pub fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |name| name)
    }

    /// In words: what the server made has no id.
    pub fn entry(&self, number: u32) -> &str {
        if number == 0 { "an entry of the server" } else { self.name(number) }
    }
}
