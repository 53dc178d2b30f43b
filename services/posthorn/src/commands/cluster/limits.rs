//! How many files a process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// As many as the system allows without asking; the processes started from here inherit it. Where it is refused
/// it stays as it was.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}
