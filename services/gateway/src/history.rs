//! Pages of a log: what the caller may see, up to the end that the owner confirmed, in ascending order.

use posthorn_core::{Kind, Ranges};
use posthorn_errors::Failure;
use posthorn_proto::{
    client::{self, Entry, History, HistoryPage, Unit},
    convert::{entry_of, ranges_from_wire},
    internal::{Caller, ReadReply, ReadRequest, ViewRequest},
};
use prost::Message;

use crate::{Gateway, GatewayConfig, error::invalid, sends::conversation_id};

/// Entries of a page where the request names no limit.
pub const DEFAULT_LIMIT: u32 = 100;

/// Reads of the log for one page at most: one for each visible span, and more where storage cuts them.
const MAX_READS: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    After(u64),
    Before(u64),
}

/// One side of a page.
#[derive(Debug, Default)]
struct Side {
    /// In the order read.
    entries: Vec<Entry>,
    /// The last seq looked at, where there may be more beyond it.
    next: u64,
}

/// What a page may cost.
#[derive(Clone, Copy, Debug)]
struct Budget {
    /// Entries, or countable entries for `Unit::Messages`.
    limit: u32,
    unit: Unit,
    max_scan: u32,
    max_bytes: u64,
}

/// Where rows come from: the storage service, or a vector in tests.
trait Rows {
    async fn read(&self, from: u64, to: u64, limit: u32, max_bytes: u64, reverse: bool) -> Result<ReadReply, Failure>;
}

struct Stored<'a> {
    gateway: &'a Gateway,
    tenant: &'a str,
    conversation: &'a str,
}

impl Rows for Stored<'_> {
    async fn read(&self, from: u64, to: u64, limit: u32, max_bytes: u64, reverse: bool) -> Result<ReadReply, Failure> {
        let (tenant, conversation) = (self.tenant.to_owned(), self.conversation.to_owned());
        self.gateway.read(ReadRequest { tenant, conversation, from, to, limit, reverse, max_bytes }).await
    }
}

impl Gateway {
    /// A page of a conversation's log, ascending. Its bound is the owner's confirmed end, never a number of the
    /// client; `limit` is cut to `edge.max_page_entries`. Errors: `invalid_argument`, `not_found`, and those of the
    /// services below.
    pub async fn history(&self, caller: &Caller, request: History) -> Result<HistoryPage, Failure> {
        let conversation = conversation_id(&request.conversation)?;
        let config = self.config();
        let (mut budget, around, direction) = plan(config, &request)?;
        let view =
            self.view(ViewRequest { caller: Some(caller.clone()), conversation: (&conversation).into() }).await?;
        let visible = ranges_from_wire(&view.visible);
        let rows = Stored { gateway: self, tenant: &caller.tenant, conversation: conversation.as_str() };
        let (entries, next) = if let Some(seq) = around {
            let (below, above) = (budget.limit / 2, budget.limit - budget.limit / 2);
            budget.max_bytes /= 2;
            let mut older = Side::default();
            if below > 0 {
                let half = Budget { limit: below, ..budget };
                older = side(&rows, &visible, view.end_seq, Direction::Before(seq), half).await?;
            }
            let half = Budget { limit: above, ..budget };
            let newer = side(&rows, &visible, view.end_seq, Direction::After(seq.saturating_sub(1)), half).await?;
            older.entries.reverse();
            older.entries.extend(newer.entries);
            (older.entries, newer.next)
        } else {
            let mut page = side(&rows, &visible, view.end_seq, direction, budget).await?;
            if matches!(direction, Direction::Before(_)) {
                page.entries.reverse();
            }
            (page.entries, page.next)
        };
        Ok(HistoryPage {
            conversation: request.conversation,
            entries,
            next,
            end_seq: view.end_seq,
            visible: view.visible,
            generation: view.generation,
        })
    }
}

fn plan(config: &GatewayConfig, request: &History) -> Result<(Budget, Option<u64>, Direction), Failure> {
    let asked = [request.after, request.before, request.around];
    if asked.iter().flatten().count() > 1 {
        return Err(invalid("`after`, `before` and `around` exclude each other"));
    }
    let unit = Unit::try_from(request.unit).map_err(|_| invalid("`unit` is none that this server knows"))?;
    let limit = match request.limit {
        0 => DEFAULT_LIMIT,
        limit => u32::try_from(limit).unwrap_or(u32::MAX),
    };
    let budget = Budget {
        limit: limit.min(config.max_page_entries).max(1),
        unit,
        max_scan: config.max_scan_entries.max(1),
        max_bytes: config.max_page_bytes.max(1),
    };
    let direction = match (request.after, request.before) {
        (Some(after), _) => Direction::After(after),
        (_, Some(before)) => Direction::Before(before),
        // Nothing asked: the newest.
        _ => Direction::Before(u64::MAX),
    };
    Ok((budget, request.around, direction))
}

/// Reads in one direction until the budget or what is visible ends.
async fn side(
    rows: &impl Rows,
    visible: &Ranges,
    end: u64,
    direction: Direction,
    budget: Budget,
) -> Result<Side, Failure> {
    let (reverse, from, to) = match direction {
        Direction::After(after) => (false, after.saturating_add(1), end),
        Direction::Before(before) => (true, 1, before.saturating_sub(1).min(end)),
    };
    if from > to {
        return Ok(Side::default());
    }
    let mut spans: Vec<(u64, u64)> = visible.within(from, to).collect();
    if reverse {
        spans.reverse();
    }
    let mut page = Page { side: Side::default(), budget, counted: 0, scanned: 0, bytes: 0 };
    let (mut reads, last_span) = (0, spans.len());
    for (at, (mut low, mut high)) in spans.into_iter().enumerate() {
        while low <= high {
            if reads == MAX_READS {
                page.side.next = if reverse { high + 1 } else { low - 1 };
                return Ok(page.side);
            }
            reads += 1;
            let reply = rows.read(low, high, page.rows_wanted(), page.bytes_left(), reverse).await?;
            let Some(last) = reply.rows.last().map(|row| row.seq) else { break };
            for row in &reply.rows {
                if page.take(row)? {
                    let beyond = if reverse { row.seq > low } else { row.seq < high } || at + 1 < last_span;
                    page.side.next = if beyond { row.seq } else { 0 };
                    return Ok(page.side);
                }
            }
            if !reply.more {
                break;
            }
            if reverse {
                high = last.saturating_sub(1);
            } else {
                low = last + 1;
            }
        }
    }
    Ok(page.side)
}

struct Page {
    side: Side,
    budget: Budget,
    counted: u32,
    scanned: u32,
    bytes: u64,
}

impl Page {
    fn rows_wanted(&self) -> u32 {
        match self.budget.unit {
            Unit::Messages => self.budget.max_scan.saturating_sub(self.scanned).clamp(1, 500),
            _ => self.budget.limit.saturating_sub(self.counted).max(1),
        }
    }

    fn bytes_left(&self) -> u64 {
        self.budget.max_bytes.saturating_sub(self.bytes).max(1)
    }

    /// True when the page is full with this row.
    fn take(&mut self, row: &posthorn_proto::internal::Row) -> Result<bool, Failure> {
        let entry = entry_of(row).map_err(|error| {
            tracing::error!(seq = row.seq, %error, "a stored row does not decode");
            Failure::plain(posthorn_errors::Code::Internal)
        })?;
        self.scanned += 1;
        self.bytes += row.encoded_len() as u64;
        if self.budget.unit != Unit::Messages || countable(&entry) {
            self.counted += 1;
        }
        self.side.entries.push(entry);
        Ok(self.counted >= self.budget.limit
            || self.scanned >= self.budget.max_scan.max(self.budget.limit)
            || self.bytes >= self.budget.max_bytes)
    }
}

fn countable(entry: &Entry) -> bool {
    let kind = client::Kind::try_from(entry.kind).ok().and_then(|kind| Kind::try_from(kind).ok());
    entry.thread == 0 && kind.is_some_and(Kind::countable)
}

#[cfg(test)]
mod tests;
