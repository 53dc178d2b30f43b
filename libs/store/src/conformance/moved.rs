//! A store that was moved into another one: what it holds, and that it goes on.

use std::{collections::BTreeMap, io::Cursor};

use bytes::Bytes;
use futures_util::future::{join, try_join};
use posthorn_core::{Chain, ConversationKey, direct_id};
use posthorn_proto::internal::{Head, MarkAt, MemberRecord, RegisterRecord, Row};
use tokio::sync::mpsc;

use super::{Driver, append, append_and_settle, instance, key, owner, read_all, rows, user, user_id};
use crate::{
    BUCKET_ROWS, Claimed, RecordKey, Result, StoreError, Table,
    transfer::{self, Header, Piece, Reader, Source, Target, Writer},
};

/// Records in one table: more than a page of any driver.
const RECORDS: usize = 300;

fn lobby() -> ConversationKey {
    key("t", "lobby")
}

fn hall() -> ConversationKey {
    key("t", "hall")
}

fn direct() -> ConversationKey {
    let conversation = direct_id(&lobby().tenant, &user_id("ann"), &user_id("bob"));
    ConversationKey { conversation, ..lobby() }
}

fn chain_of(rows: &[Row]) -> Chain {
    rows.last().and_then(|row| Chain::from_slice(&row.chain)).unwrap_or(Chain::START)
}

/// The whole of `source`, as a file.
///
/// # Errors
/// Those of [`transfer::export`].
pub async fn exported<S: Source + ?Sized>(source: &S) -> Result<Vec<u8>> {
    let header = Header { generation: source.generation(), driver: source.driver().to_owned(), taken_ms: 7 };
    let mut writer = Writer::begin(Vec::new(), &header)?;
    let (out, mut pieces) = mpsc::channel(transfer::PIECES_WAITING);
    let write = async {
        while let Some(piece) = pieces.recv().await {
            writer.put(piece)?;
        }
        Ok::<_, StoreError>(())
    };
    let (read, written) = join(transfer::export(source, instance("gone"), out), write).await;
    read?;
    written?;
    Ok(writer.finish()?.0)
}

/// Puts a file into a target, after a look at whether it is whole.
///
/// # Errors
/// Those of [`transfer::check`] and [`transfer::import`].
pub async fn imported(file: &[u8], target: &dyn Target) -> Result<()> {
    let (_, written) = transfer::check(Cursor::new(file))?;
    let (tx, pieces) = mpsc::channel(transfer::PIECES_WAITING);
    let send = async move {
        let mut reader = Reader::begin(Cursor::new(file))?;
        while let Some(piece) = reader.piece()? {
            // Whoever takes no more says why.
            let _ = tx.send(Ok(piece)).await;
        }
        Ok::<_, StoreError>(())
    };
    try_join(transfer::import(target, pieces, written.counts), send).await.map(drop)
}

/// What a store held before it was moved.
pub struct World {
    store: Driver,
    /// Left in the journal of an instance.
    unsettled: bool,
}

impl World {
    /// Fills a store: a group that somebody left, written by two owners of which the second wrote some of it
    /// again; a direct conversation with a body that is gone; a log of two buckets; registers and records.
    /// With `unsettled` a conversation stays in the journal.
    pub async fn of(store: Driver, unsettled: bool) -> Self {
        let (a, _) = owner(&store, "a", &[&lobby(), &hall(), &direct()]).await;
        let first = rows(Chain::START, 1..=100, (epoch_of(&store, &lobby()).await, 1));
        let mut write = append(&lobby(), &a, first.clone());
        write.members = vec![member("ann", 1, true), member("bob", 100, false)];
        (write.head.title, write.head.version_epoch) = ("Lobby".to_owned(), first[0].epoch);
        append_and_settle(&store, write).await;

        let mut two = rows(Chain::START, 1..=3, (epoch_of(&store, &direct()).await, 1));
        (two[1].body, two[2].body) = (None, Some(Bytes::new()));
        let mut write = append(&direct(), &a, two.clone());
        write.members = vec![member("ann", 1, true), member("bob", 1, true)];
        write.head.direct = vec!["ann".to_owned(), "bob".to_owned()];
        (write.head.version_epoch, write.head.version_counter) = (two[0].epoch, 4);
        append_and_settle(&store, write).await;

        store.fence(&a).await.expect("fences");
        let shards = [lobby().shard(), hall().shard()];
        let b = instance("b");
        store.register(&b, "there").await.expect("registers");
        store.claim(&shards, &b, "there").await.expect("claims");
        store.carried_over(&shards, &b).await.expect("carries over");
        let number = (epoch_of(&store, &lobby()).await, 2);
        let mut again = first[98..].to_vec();
        again.iter_mut().for_each(|row| (row.epoch, row.load) = number);
        again.extend(rows(chain_of(&again), 101..=130, number));
        let mut write = append(&lobby(), &b, again);
        (write.head.title, write.head.version_epoch, write.head.version_counter) = ("Lobby".into(), number.0, 9);
        write.members = vec![member("ann", 130, true)];
        append_and_settle(&store, write).await;

        let long = rows(Chain::START, 1..=BUCKET_ROWS + 5, (epoch_of(&store, &hall()).await, 1));
        append_and_settle(&store, append(&hall(), &b, long.clone())).await;
        if unsettled {
            let more = rows(chain_of(&long), BUCKET_ROWS + 6..=BUCKET_ROWS + 6, (long[0].epoch, 1));
            let mut write = append(&hall(), &b, more);
            (write.effects, write.note) = (true, Some(7));
            store.append(write).await.expect("appends");
        }
        fill_small(&store, number.0).await;
        Self { store, unsettled }
    }

    /// Everything that readers, cursors and owners go by is in `copy` as it was.
    pub async fn is_in(&self, copy: &Driver) {
        assert_eq!(copy.generation(), self.store.generation());
        for key in [lobby(), hall(), direct()] {
            assert_eq!(head_of(copy, &key).await, head_of(&self.store, &key).await, "{key:?}");
            assert_eq!(read_all(copy, &key).await, read_all(&self.store, &key).await, "{key:?}");
            let members = self.store.members(&key).await.expect("lists");
            assert_eq!(copy.members(&key).await, Ok(members), "{key:?}");
        }
        for (tenant, name) in [("t", "ann"), ("t", "bob"), ("u", "ann")] {
            let cells = self.store.registers(&user(tenant, name)).await.expect("lists");
            assert!(!cells.is_empty(), "{tenant} {name}");
            assert_eq!(copy.registers(&user(tenant, name)).await, Ok(cells));
        }
        for table in Table::ALL {
            let records = self.store.list_records(table, "", "", usize::MAX).await.expect("lists");
            assert_eq!(copy.list_records(table, "", "", RECORDS * 2).await, Ok(records), "{table:?}");
        }
        let (before, after) = (epochs(&self.store).await, epochs(copy).await);
        assert_eq!(after, before);
        let owners = copy.shards().await.expect("lists");
        assert!(owners.iter().all(|row| row.owner.is_none()), "whoever owned a shard is not there: {owners:?}");
    }

    /// A new instance takes over, inherits what was not settled, and is newer than all that was.
    pub async fn goes_on_in(&self, copy: &Driver) {
        let c = instance("c");
        copy.register(&c, "here").await.expect("registers");
        let before = epochs(copy).await;
        let shards: Vec<_> = [lobby(), hall(), direct()].iter().map(ConversationKey::shard).collect();
        let claimed = copy.claim(&shards, &c, "here").await.expect("claims");
        assert_eq!(claimed.len(), 3, "all are free");
        let of = |key: ConversationKey| claimed.iter().rfind(|one| one.shard == key.shard()).expect("claimed");
        assert!(claimed.iter().all(|one| one.epoch > before[&one.shard.0]), "{claimed:?} after {before:?}");
        self.inherits(copy, &claimed).await;

        let old = read_all(copy, &lobby()).await;
        let number = (of(lobby()).epoch, 1);
        let more = rows(chain_of(&old), 131..=133, number);
        let mut write = append(&lobby(), &c, more.clone());
        (write.head.version_epoch, write.head.version_counter) = number_of(number);
        write.members = vec![member("bob", 133, true)];
        append_and_settle(copy, write).await;
        assert_eq!(read_all(copy, &lobby()).await, [old, more].concat());
        let head = head_of(copy, &lobby()).await;
        assert_eq!((head.seq, head.version_epoch), (133, number.0), "whoever has a cursor hears of it");
        let quiet = head_of(copy, &direct()).await;
        assert_eq!(quiet, head_of(&self.store, &direct()).await, "and of nothing else");
        let members = copy.members(&lobby()).await.expect("lists");
        assert_eq!(members[1], member("bob", 133, true), "who left comes back");

        let ann = user("t", "ann");
        let old = copy.registers(&ann).await.expect("lists").remove(1);
        let newer = RegisterRecord { version_epoch: number.0, version_counter: 1, muted: true, ..old.1.clone() };
        for cell in [newer.clone(), old.1] {
            copy.write_registers(&ann, vec![(old.0.clone(), cell)]).await.expect("writes");
        }
        assert_eq!(copy.registers(&ann).await.expect("lists")[1].1, newer, "newer, whatever its counter");
        let record = records().remove(0).0;
        copy.put_record(&record, Bytes::from("after"), false).await.expect("puts");
        assert_eq!(copy.get_record(&record).await, Ok(Some(Bytes::from("after"))));
        copy.delete_record(&record).await.expect("deletes");
        assert_eq!(copy.get_record(&record).await, Ok(None));
    }

    async fn inherits(&self, copy: &Driver, claimed: &[Claimed]) {
        let (b, c) = (instance("b"), instance("c"));
        let of_hall = claimed.iter().rfind(|one| one.shard == hall().shard()).expect("claimed");
        assert_eq!(of_hall.inherits.contains(&b), self.unsettled, "{of_hall:?}");
        let named = if self.unsettled { vec![hall()] } else { Vec::new() };
        assert_eq!(copy.journal(&b).await, Ok(named.clone()));
        let notes: Vec<_> = named.into_iter().map(|key| (key, 1)).collect();
        copy.note(&c, &notes).await.expect("notes");
        let shards: Vec<_> = claimed.iter().map(|one| one.shard).collect();
        copy.carried_over(&shards, &c).await.expect("carries over");
        assert_eq!(copy.journal(&b).await, Ok(Vec::new()), "nobody needs it any more");
    }
}

const fn number_of((epoch, load): (u64, u32)) -> (u64, u64) {
    (epoch, load as u64)
}

fn member(name: &str, as_of_seq: u64, present: bool) -> (String, MemberRecord) {
    (name.to_owned(), MemberRecord { as_of_seq, present, joined_seq: 1, sent: 3, ..MemberRecord::default() })
}

/// With what the feed has left out: a target may have to be given some of it.
async fn head_of(store: &Driver, key: &ConversationKey) -> Head {
    let heads = store.heads(std::slice::from_ref(key)).await.expect("reads");
    Head { fed_seq: 0, ..heads.into_iter().next().flatten().expect("a head") }
}

async fn epochs(store: &Driver) -> BTreeMap<u16, u64> {
    store.shards().await.expect("lists").into_iter().map(|row| (row.shard.0, row.epoch)).collect()
}

async fn epoch_of(store: &Driver, key: &ConversationKey) -> u64 {
    epochs(store).await[&key.shard().0]
}

fn records() -> Vec<(RecordKey, Bytes)> {
    let record = |n: usize| {
        let tenant = if n.is_multiple_of(3) { "u" } else { "t" }.to_owned();
        (RecordKey { table: Table::Users, tenant, key: format!("user-{n:04}") }, Bytes::from(format!("value {n}")))
    };
    let others = Table::ALL.into_iter().map(|table| {
        let key = RecordKey { table, tenant: "t".to_owned(), key: "ann/phone ü".to_owned() };
        (key, Bytes::from_static(&[0, 255, 1]))
    });
    (0..RECORDS).map(record).chain(others).collect()
}

async fn fill_small(store: &Driver, epoch: u64) {
    let cell = |name: &str, version_counter, seq, removed| {
        let read = Some(MarkAt { seq, ordinal: seq, own: 2 });
        let record = RegisterRecord { version_epoch: epoch, version_counter, read, removed, ..Default::default() };
        (name.to_owned(), record)
    };
    let (in_direct, in_lobby) = (direct().conversation.as_str().to_owned(), "lobby");
    let cells = [
        (user("t", "ann"), vec![cell(&in_direct, 900, 3, false), cell(in_lobby, 901, 130, false)]),
        (user("t", "bob"), vec![cell(&in_direct, 2, 1, false), cell(in_lobby, 3, 100, true)]),
        (user("u", "ann"), vec![cell("elsewhere", 1, 1, false)]),
    ];
    for (user, cells) in cells {
        store.write_registers(&user, cells).await.expect("writes");
    }
    for (key, value) in records() {
        store.put_record(&key, value, false).await.expect("puts");
    }
}

/// Pieces that a file holds, in its order.
///
/// # Panics
/// If the file is not whole.
#[must_use]
pub fn pieces(file: &[u8]) -> Vec<Piece> {
    let mut reader = Reader::begin(Cursor::new(file)).expect("an export");
    let mut pieces = Vec::new();
    while let Some(piece) = reader.piece().expect("goes on") {
        pieces.push(piece);
    }
    pieces
}
