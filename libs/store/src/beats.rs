//! Signs of life, for drivers of one process: they need not outlive it.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::{Beat, InstanceId};

#[derive(Default)]
pub(crate) struct Beats(Mutex<BTreeMap<InstanceId, Beat>>);

impl Beats {
    pub(crate) fn put(&self, beat: &Beat) {
        self.0.lock().insert(beat.instance.clone(), beat.clone());
    }

    pub(crate) fn all(&self) -> Vec<Beat> {
        self.0.lock().values().cloned().collect()
    }

    pub(crate) fn forget(&self, instance: &InstanceId) {
        self.0.lock().remove(instance);
    }
}
