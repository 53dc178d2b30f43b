//! How far the run is: a JSON line a second, or a bar for people; and the STATE file, as often.

use std::{io::IsTerminal, path::Path, sync::atomic::Ordering::Relaxed, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use posthorn_clock::{MissedTickBehavior, interval};
use serde_json::json;

use super::{ledger::Ledger, run_state::RunState};

/// Runs until it is dropped.
pub async fn follow(ledger: &Ledger, messages: u64, lines: bool, mut state: RunState, path: Option<&Path>) {
    let terminal = std::io::stderr().is_terminal();
    let (lines, bar) = (lines && !terminal, terminal.then(|| bar(messages)));
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let acked = ledger.acked.load(Relaxed);
        if lines {
            eprintln!("{}", json!({"acked": acked, "messages": messages}));
        }
        if let Some(bar) = &bar {
            bar.set_position(acked);
        }
        if let Some(path) = path.filter(|_| state.acked != acked) {
            state.acked = acked;
            // The run is in the log; the file only says which it is.
            if let Err(error) = state.save(path) {
                tracing::warn!(%error, "the state could not be written");
            }
        }
    }
}

fn bar(messages: u64) -> ProgressBar {
    let bar = ProgressBar::new(messages);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
