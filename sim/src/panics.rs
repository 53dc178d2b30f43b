//! Panics of a run, wherever they were caught: a node logs those of its tasks, and answers `internal` for a handler's.

use std::panic;

use parking_lot::Mutex;

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From here on they are noted.
pub fn note() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.lock().push(info.to_string().replace('\n', " "));
        print(info);
    }));
}

pub fn take() -> Vec<String> {
    std::mem::take(&mut PANICS.lock())
}
