//! What a run came to: one JSON object, or a table for people.

use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use super::{
    ledger::Ledger,
    plan::{Counts, Plan},
};

#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Messages, actions and system entries of all files.
    pub messages: u64,
    pub acked: u64,
    pub expected_deliveries: u64,
    pub delivered: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub gaps: u64,
    pub mismatched: u64,
    pub wrong_recipients: u64,
    pub reconnects: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub deliver_p50_ms: f64,
    pub deliver_p99_ms: f64,
    /// From the first step to the last delivery; connecting before and checking after are apart.
    pub seconds: f64,
    pub messages_per_s: f64,
    pub connect_seconds: f64,
    pub check_seconds: f64,
    pub files: Vec<FileReport>,
    /// What the checker found in the history, where one was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<posthorn_history::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct FileReport {
    pub path: String,
    pub conversation: String,
    #[serde(flatten)]
    pub counts: Counts,
    pub head_seq: u64,
}

impl FileReport {
    pub fn new(path: &str, conversation: &str, plan: &Plan, head_seq: u64) -> Self {
        Self { path: path.to_owned(), conversation: conversation.to_owned(), counts: plan.counts, head_seq }
    }
}

impl Report {
    /// What the ledger knows at this moment.
    pub fn take(&mut self, ledger: &Ledger, users: u64) {
        self.acked = ledger.acked.load(Relaxed);
        self.duplicated = ledger.faults.duplicated.load(Relaxed);
        self.reordered = ledger.faults.reordered.load(Relaxed);
        self.gaps = ledger.faults.gaps.load(Relaxed);
        self.mismatched = ledger.faults.mismatched.load(Relaxed);
        self.wrong_recipients = ledger.faults.wrong_recipients.load(Relaxed);
        self.lost = self.expected_deliveries.saturating_sub(self.delivered);
        self.reconnects = ledger.connects.load(Relaxed).saturating_sub(users);
        [self.p50_ms, self.p99_ms, self.deliver_p50_ms, self.deliver_p99_ms] = ledger.percentiles();
    }

    /// All six fault counts are 0, everything was acknowledged, and the history, if there is one, is good.
    pub fn clean(&self) -> bool {
        let faults = [self.lost, self.duplicated, self.reordered, self.gaps, self.mismatched, self.wrong_recipients];
        let good = self.history.as_ref().is_none_or(posthorn_history::Report::good);
        self.error.is_none() && self.acked == self.messages && faults == [0; 6] && good
    }

    pub fn text(&self) -> String {
        let rows = [
            ("messages", format!("{} of {} acknowledged", self.acked, self.messages)),
            ("deliveries", format!("{} of {}", self.delivered, self.expected_deliveries)),
            ("lost", self.lost.to_string()),
            ("duplicated", self.duplicated.to_string()),
            ("reordered", self.reordered.to_string()),
            ("gaps", self.gaps.to_string()),
            ("mismatched", self.mismatched.to_string()),
            ("wrong recipients", self.wrong_recipients.to_string()),
            ("reconnects", self.reconnects.to_string()),
            ("acknowledged after", format!("{:.1} ms (p50), {:.1} ms (p99)", self.p50_ms, self.p99_ms)),
            ("delivered after", format!("{:.1} ms (p50), {:.1} ms (p99)", self.deliver_p50_ms, self.deliver_p99_ms)),
            ("time", format!("{:.1} s, {:.0} messages/s", self.seconds, self.messages_per_s)),
        ];
        let mut text: String = rows.iter().map(|(name, value)| format!("{name:>18}  {value}\n")).collect();
        for file in &self.files {
            text.push_str(&format!(
                "{:>18}  {} lines, log up to {}: {} ({})\n",
                "file", file.counts.lines, file.head_seq, file.path, file.conversation
            ));
        }
        if let Some(history) = &self.history {
            text.push_str(&format!("history: {}", history.text()));
        }
        let verdict = match (&self.error, self.clean()) {
            (Some(error), _) => format!("FAILED: {error}\n"),
            (None, true) => "nothing lost, duplicated or out of order\n".to_owned(),
            (None, false) => "FAILED\n".to_owned(),
        };
        text + &verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_counts_beside_its_name() {
        let report = FileReport::new("log.txt", "lobby", &Plan::of(b"<ada> a\n\n* ada b\n"), 4);
        let expect = "{\"path\":\"log.txt\",\"conversation\":\"lobby\",\"lines\":3,\"messages\":1,\"actions\":1,\"joins\":0,\
             \"leaves\":0,\"renames\":0,\"system\":0,\"blank\":1,\"head_seq\":4}";
        assert_eq!(serde_json::to_string(&report).unwrap(), expect);
    }

    #[test]
    fn one_fault_of_any_kind_is_not_clean() {
        assert!(Report::default().clean());
        let faulty: [fn(&mut Report); 8] = [
            |r| r.lost = 1,
            |r| r.duplicated = 1,
            |r| r.reordered = 1,
            |r| r.gaps = 1,
            |r| r.mismatched = 1,
            |r| r.wrong_recipients = 1,
            |r| r.messages = 1,
            |r| r.error = Some("x".into()),
        ];
        for spoil in faulty {
            let mut report = Report::default();
            spoil(&mut report);
            assert!(!report.clean(), "{report:?}");
        }
    }
}
