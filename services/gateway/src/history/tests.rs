use posthorn_core::Range;
use posthorn_proto::internal::{Envelope, Row};

use super::*;

/// A log in memory, read as the storage service reads it.
struct Log {
    rows: Vec<Row>,
    /// Rows of one read at most, as a bound in bytes would have it.
    cut: usize,
}

impl Log {
    /// Seq 1 to `n`; every third is a message, the others are joins.
    fn new(n: u64) -> Self {
        let row = |seq: u64| {
            let kind = if seq.is_multiple_of(3) { client::Kind::Message } else { client::Kind::Joined };
            let envelope =
                Envelope { format: 1, kind: kind.into(), message_id: vec![0; 16].into(), ..Envelope::default() };
            Row { seq, envelope: envelope.encode_to_vec().into(), ..Row::default() }
        };
        Self { rows: (1..=n).map(row).collect(), cut: usize::MAX }
    }
}

impl Rows for Log {
    async fn read(&self, from: u64, to: u64, limit: u32, _: u64, reverse: bool) -> Result<ReadReply, Failure> {
        let mut rows: Vec<Row> = self.rows.iter().filter(|row| (from..=to).contains(&row.seq)).cloned().collect();
        if reverse {
            rows.reverse();
        }
        let keep = self.cut.min(limit as usize);
        let more = rows.len() > keep;
        rows.truncate(keep);
        Ok(ReadReply { rows, more })
    }
}

fn entries(limit: u32) -> Budget {
    Budget { limit, unit: Unit::Entries, max_scan: 1_000, max_bytes: 1 << 20 }
}

fn ranges(spans: &[(u64, Option<u64>)]) -> Ranges {
    Ranges::from_vec(spans.iter().map(|&(from, to)| Range { from, to }).collect())
}

async fn read(log: &Log, visible: &[(u64, Option<u64>)], end: u64, way: Direction, budget: Budget) -> (Vec<u64>, u64) {
    let side = side(log, &ranges(visible), end, way, budget).await.unwrap();
    (side.entries.iter().map(|entry| entry.seq).collect(), side.next)
}

const ALL: &[(u64, Option<u64>)] = &[(1, None)];

#[tokio::test]
async fn pages_follow_each_other_in_both_directions() {
    let log = Log::new(10);
    assert_eq!(read(&log, ALL, 10, Direction::After(0), entries(4)).await, (vec![1, 2, 3, 4], 4));
    assert_eq!(read(&log, ALL, 10, Direction::After(4), entries(4)).await, (vec![5, 6, 7, 8], 8));
    assert_eq!(read(&log, ALL, 10, Direction::After(8), entries(4)).await, (vec![9, 10], 0));
    assert_eq!(read(&log, ALL, 10, Direction::After(6), entries(4)).await, (vec![7, 8, 9, 10], 0));
    assert_eq!(read(&log, ALL, 10, Direction::Before(u64::MAX), entries(4)).await, (vec![10, 9, 8, 7], 7));
    assert_eq!(read(&log, ALL, 10, Direction::Before(3), entries(4)).await, (vec![2, 1], 0));
    assert_eq!(read(&log, ALL, 10, Direction::Before(1), entries(4)).await, (vec![], 0));
}

#[tokio::test]
async fn nothing_beyond_the_confirmed_end_is_read_whatever_is_asked() {
    let log = Log::new(10);
    assert_eq!(read(&log, ALL, 6, Direction::After(4), entries(9)).await, (vec![5, 6], 0));
    assert_eq!(read(&log, ALL, 6, Direction::After(u64::MAX), entries(9)).await, (vec![], 0));
    assert_eq!(read(&log, ALL, 6, Direction::Before(u64::MAX), entries(2)).await, (vec![6, 5], 5));
}

#[tokio::test]
async fn what_was_hidden_from_a_member_is_skipped_and_the_page_goes_on_behind_it() {
    let log = Log::new(20);
    let visible: &[_] = &[(3, Some(5)), (9, Some(9)), (15, None)];
    assert_eq!(read(&log, visible, 20, Direction::After(0), entries(5)).await, (vec![3, 4, 5, 9, 15], 15));
    assert_eq!(read(&log, visible, 20, Direction::After(0), entries(4)).await, (vec![3, 4, 5, 9], 9));
    assert_eq!(read(&log, visible, 20, Direction::Before(17), entries(4)).await, (vec![16, 15, 9, 5], 5));
    assert_eq!(read(&log, visible, 20, Direction::Before(15), entries(4)).await, (vec![9, 5, 4, 3], 0));
    assert_eq!(read(&log, &[(3, Some(5))], 20, Direction::After(5), entries(4)).await, (vec![], 0));
    assert_eq!(read(&log, &[], 20, Direction::After(0), entries(4)).await, (vec![], 0));
}

#[tokio::test]
async fn a_page_of_messages_counts_messages_and_brings_what_lies_between() {
    let log = Log::new(20);
    let messages = |limit| Budget { limit, unit: Unit::Messages, max_scan: 1_000, max_bytes: 1 << 20 };
    let all: Vec<u64> = (1..=6).collect();
    assert_eq!(read(&log, ALL, 20, Direction::After(0), messages(2)).await, (all, 6));
    let newest: Vec<u64> = (15..=20).rev().collect();
    assert_eq!(read(&log, ALL, 20, Direction::Before(u64::MAX), messages(2)).await, (newest, 15));
}

#[tokio::test]
async fn the_scan_for_messages_is_bounded_and_says_where_to_go_on() {
    let log = Log::new(20);
    let budget = Budget { limit: 5, unit: Unit::Messages, max_scan: 7, max_bytes: 1 << 20 };
    assert_eq!(read(&log, ALL, 20, Direction::After(0), budget).await, ((1..=7).collect(), 7));
}

#[tokio::test]
async fn reads_that_storage_cuts_short_are_gone_on_with_but_not_for_ever() {
    let log = Log { cut: 2, ..Log::new(100) };
    assert_eq!(read(&log, ALL, 100, Direction::After(0), entries(5)).await, ((1..=5).collect(), 5));
    let (seqs, next) = read(&log, ALL, 100, Direction::After(0), entries(90)).await;
    assert_eq!((seqs.len(), next), (2 * MAX_READS, 2 * MAX_READS as u64));
    let (seqs, next) = read(&log, ALL, 100, Direction::Before(u64::MAX), entries(90)).await;
    assert_eq!((seqs.len(), next), (2 * MAX_READS, 101 - 2 * MAX_READS as u64));
}

#[tokio::test]
async fn the_bytes_of_a_page_are_bounded() {
    let log = Log::new(100);
    let one = log.rows[0].encoded_len() as u64;
    let budget = Budget { max_bytes: one * 10, ..entries(90) };
    assert_eq!(read(&log, ALL, 100, Direction::After(0), budget).await, ((1..=10).collect(), 10));
}

#[test]
fn a_request_names_one_place_at_most() {
    let config = GatewayConfig::default();
    let asked = |after, before, around| plan(&config, &History { after, before, around, ..History::default() });
    assert!(asked(Some(1), Some(2), None).is_err());
    assert!(asked(Some(1), None, Some(2)).is_err());
    assert_eq!(asked(None, None, None).unwrap().2, Direction::Before(u64::MAX));
    assert_eq!(asked(Some(0), None, None).unwrap().2, Direction::After(0));
    assert_eq!(asked(None, None, Some(7)).unwrap().1, Some(7));
    let huge = History { limit: u64::MAX, ..History::default() };
    assert_eq!(plan(&config, &huge).unwrap().0.limit, config.max_page_entries);
}
