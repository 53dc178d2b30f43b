//! What `export` and `import` share: what they say on the way and at the end.

use std::{path::Path, time::Duration};

use anyhow::Result;
use posthorn_clock::Instant;
use posthorn_store::transfer::{Counts, Written};
use serde_json::json;

/// Between two lines about how far it is.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// How far it is, on stderr.
pub struct Progress {
    doing: &'static str,
    said: Instant,
}

impl Progress {
    pub fn new(doing: &'static str) -> Self {
        Self { doing, said: Instant::now() }
    }

    pub fn at(&mut self, counts: Counts) {
        if self.said.elapsed() >= SAY_EVERY {
            self.said = Instant::now();
            let Counts { conversations, entries, .. } = counts;
            eprintln!("{}: {entries} entries, {conversations} conversations", self.doing);
        }
    }
}

/// The last line, on stdout.
pub fn summary(written: &Written, generation: u64, begun: Instant, file: &Path, json: bool) -> Result<()> {
    let Counts { conversations, entries, users, records } = written.counts;
    let (bytes, seconds) = (written.bytes, begun.elapsed().as_secs_f64());
    let text = if json {
        let told = json!({
            "conversations": conversations,
            "entries": entries,
            "users": users,
            "records": records,
            "generation": generation,
            "bytes": bytes,
            "seconds": seconds,
        });
        format!("{told}\n")
    } else {
        format!(
            "{}: {entries} entries of {conversations} conversations, {users} users, {records} records, {bytes} bytes, \
             generation {generation}, in {seconds:.1} s\n",
            file.display()
        )
    };
    super::print(&text)
}
