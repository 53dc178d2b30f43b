//! What is confirmed and not settled: what the journal names a conversation for. Settled means that its
//! registers are told, the feed has it, and `heads` ends with it (architecture section 4, step 6).

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use posthorn_clock::Instant;
use posthorn_core::UserId;
use posthorn_proto::internal::Row;

/// Entries that may lie beyond the head: what a load has to read and write again in one append.
const MAX_BEYOND_ENTRIES: usize = 64;
/// Bytes of them.
const MAX_BEYOND_BYTES: usize = 1024 * 1024;
/// Entries beyond the head from which it is settled without waiting for more.
const EAGER_ENTRIES: usize = 32;
const EAGER_BYTES: usize = MAX_BEYOND_BYTES / 2;
/// Of what the feed is owed this much is kept in memory; the log has the rest.
const MAX_FEED_ROWS: usize = 64;
/// Rows in one settlement.
pub(super) const FEED_PAGE: usize = 64;
/// Between tries after a settlement that failed, or that the feed did not take.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);

pub(super) struct Owed {
    /// The store leaves feed, heads and members to settlements.
    apart: bool,
    gather: Duration,
    /// The note that stands in the journal for all that is owed.
    note: Option<u64>,
    /// Notes that stand for nothing any more.
    gone: Vec<u64>,
    /// Batches whose effects were not told yet.
    untold: usize,
    /// End of what is confirmed, of what `heads` has, and of what the feed has.
    end: u64,
    head: u64,
    fed: u64,
    /// Entries beyond the head, with their bytes.
    beyond: VecDeque<(u64, usize)>,
    beyond_bytes: usize,
    /// The last of what the feed is owed.
    feed: VecDeque<Row>,
    /// Whose member records changed since they were settled.
    members: BTreeSet<UserId>,
    /// When the oldest of it became owed.
    since: Option<Instant>,
    not_before: Option<Instant>,
    retry: Duration,
}

/// One settlement on its way.
pub(super) struct Settling {
    pub head: u64,
    pub fed: u64,
    pub members: BTreeSet<UserId>,
    pub feed: FeedPart,
    pub remove: Vec<u64>,
}

/// What a settlement hands to the feed.
pub(super) enum FeedPart {
    Rows(Vec<Row>),
    /// To be read from the log, both included.
    Read(u64, u64),
}

impl Owed {
    /// Of a conversation just loaded: `note` stands if a journal named it.
    pub fn new(apart: bool, gather: Duration, note: Option<u64>, end: u64, head: u64, fed: u64) -> Self {
        let fed = if apart { fed } else { end };
        let mut owed = Self {
            apart,
            gather,
            note,
            gone: Vec::new(),
            untold: 0,
            end,
            head,
            fed,
            beyond: VecDeque::new(),
            beyond_bytes: 0,
            feed: VecDeque::new(),
            members: BTreeSet::new(),
            since: None,
            not_before: None,
            retry: RETRY_MIN,
        };
        owed.since = owed.owes().then(Instant::now);
        owed
    }

    /// Whether the next append needs a note of its own.
    pub const fn needs_note(&self, effects: bool) -> bool {
        self.note.is_none() && (self.apart || effects)
    }

    /// An append went in with this note.
    pub fn noted(&mut self, note: u64) {
        self.gone.extend(self.note.replace(note));
    }

    /// Written and checked.
    pub fn confirmed(&mut self, rows: impl Iterator<Item = Row>, touched: BTreeSet<UserId>) {
        for row in rows {
            self.end = row.seq;
            if !self.apart {
                (self.head, self.fed) = (row.seq, row.seq);
                continue;
            }
            let bytes = row.envelope.len() + row.body.as_ref().map_or(0, bytes::Bytes::len);
            self.beyond.push_back((row.seq, bytes));
            self.beyond_bytes += bytes;
            self.feed.push_back(row);
            if self.feed.len() > MAX_FEED_ROWS {
                self.feed.pop_front();
            }
        }
        if self.apart {
            self.members.extend(touched);
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether these would be too many beyond the head.
    pub fn full(&self, entries: usize, bytes: usize) -> bool {
        !self.beyond.is_empty()
            && (self.beyond.len() + entries > MAX_BEYOND_ENTRIES || self.beyond_bytes + bytes > MAX_BEYOND_BYTES)
    }

    /// Their member records have to be settled.
    pub fn touched(&mut self, users: impl Iterator<Item = UserId>) {
        if self.apart {
            self.members.extend(users);
        }
    }

    /// One more batch has effects to be told.
    pub fn owe_telling(&mut self) {
        self.untold += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    pub fn told(&mut self, batches: usize) {
        self.untold = self.untold.saturating_sub(batches);
    }

    /// Whether the journal has to name the conversation.
    pub fn owes(&self) -> bool {
        self.note.is_some() || !self.gone.is_empty() || self.head < self.end || self.fed < self.end
    }

    /// Registers are still to be told.
    pub const fn telling(&self) -> bool {
        self.untold > 0
    }

    /// When to settle: at once if nothing is to be gathered. `None`: there is nothing that could be done,
    /// as long as the name has to stay.
    pub fn due(&self, removable: bool) -> Option<Instant> {
        let only_telling = self.head == self.end && self.fed == self.end && self.members.is_empty();
        if !self.owes() || (only_telling && (self.untold > 0 || !removable)) {
            return None;
        }
        let since = self.since.unwrap_or_else(Instant::now);
        let eager = only_telling || self.beyond.len() >= EAGER_ENTRIES || self.beyond_bytes >= EAGER_BYTES;
        let due = if eager { since } else { since + self.gather };
        Some(self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// What the next settlement is of. `removable`: nothing else needs the name in the journal; `marks` is
    /// the note of what did.
    pub fn begin(&mut self, removable: bool, marks: Option<u64>) -> Settling {
        self.gone.extend(marks);
        let last = self.end.min(self.fed + FEED_PAGE as u64);
        let kept = self.feed.front().is_some_and(|row| row.seq <= self.fed + 1);
        let feed = if self.fed == self.end {
            FeedPart::Rows(Vec::new())
        } else if kept {
            FeedPart::Rows(self.feed.iter().filter(|row| row.seq > self.fed && row.seq <= last).cloned().collect())
        } else {
            FeedPart::Read(self.fed + 1, last)
        };
        let mut remove = std::mem::take(&mut self.gone);
        if removable && self.untold == 0 && last == self.end {
            // Appends from here on bring a note of their own.
            remove.extend(self.note.take());
        } else {
            self.gone = std::mem::take(&mut remove);
        }
        self.since = None;
        Settling { head: self.end, fed: last, members: std::mem::take(&mut self.members), feed, remove }
    }

    /// `fed`: the feed took its part, and the notes are gone.
    pub fn settled(&mut self, settling: Settling, fed: bool) {
        self.head = self.head.max(settling.head);
        while let Some(&(_, bytes)) = self.beyond.front().filter(|(seq, _)| *seq <= self.head) {
            self.beyond.pop_front();
            self.beyond_bytes -= bytes;
        }
        if fed {
            self.fed = self.fed.max(settling.fed);
            while self.feed.front().is_some_and(|row| row.seq <= self.fed) {
                self.feed.pop_front();
            }
            (self.retry, self.not_before) = (RETRY_MIN, None);
        } else {
            self.gone.extend(settling.remove);
            self.wait();
        }
        if self.owes() {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// Nothing of it is certain.
    pub fn failed(&mut self, settling: Settling) {
        self.members.extend(settling.members);
        self.gone.extend(settling.remove);
        self.since.get_or_insert_with(Instant::now);
        self.wait();
    }

    fn wait(&mut self) {
        self.not_before = Some(Instant::now() + self.retry);
        self.retry = (self.retry * 2).min(RETRY_MAX);
    }
}
