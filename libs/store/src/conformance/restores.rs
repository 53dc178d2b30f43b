//! A store that was restored from a backup, and goes on.

use posthorn_core::Chain;
use posthorn_proto::internal::{Head, MemberRecord, RegisterRecord, Row};

use super::{Driver, append, append_and_settle, instance, key, owner, read_all, rows, user};
use crate::{InstanceId, RecordKey, Table};

/// What a store held when its backup was taken.
pub struct Before {
    store: Driver,
    generation: u64,
    owner: InstanceId,
    epoch: u64,
    rows: Vec<Row>,
    register: RegisterRecord,
}

fn member(as_of_seq: u64) -> (String, MemberRecord) {
    ("ann".to_owned(), MemberRecord { as_of_seq, present: true, ..MemberRecord::default() })
}

fn record() -> RecordKey {
    RecordKey { table: Table::Users, tenant: "t".to_owned(), key: "ann".to_owned() }
}

impl Before {
    /// Fills a store: three entries, of which the journal names one as not settled.
    pub async fn of(store: Driver) -> Self {
        let lobby = key("t", "lobby");
        let (a, epoch) = owner(&store, "a", &[&lobby]).await;
        let all = rows(Chain::START, 1..=3, (epoch, 1));
        let mut settled = append(&lobby, &a, all[..2].to_vec());
        settled.members = vec![member(2)];
        settled.head.version_epoch = epoch;
        append_and_settle(&store, settled).await;
        let mut unsettled = append(&lobby, &a, all[2..].to_vec());
        (unsettled.effects, unsettled.note) = (true, Some(2));
        store.append(unsettled).await.expect("appends");
        let register = RegisterRecord { version_epoch: epoch, version_counter: 900, ..RegisterRecord::default() };
        let cell = ("lobby".to_owned(), register.clone());
        store.write_registers(&user("t", "ann"), vec![cell]).await.expect("writes");
        store.put_record(&record(), bytes::Bytes::from("before"), false).await.expect("puts");
        Self { generation: store.generation(), store, owner: a, epoch, rows: all, register }
    }
}

/// The trait knows cursors by their generation alone, which is what a service refuses them by: it is another
/// one, for good, and what is written in it is newer than whatever was.
pub async fn a_restored_store_goes_on_under_a_new_generation(store: Driver, before: Before) {
    let (lobby, ann) = (key("t", "lobby"), user("t", "ann"));
    assert!(store.generation() > before.generation, "cursors of before are of another generation");
    assert_eq!(read_all(&store, &lobby).await, before.rows);
    assert_eq!(store.registers(&ann).await.expect("lists"), [("lobby".to_owned(), before.register.clone())]);
    assert_eq!(store.journal(&before.owner).await, Ok(vec![lobby.clone()]), "what was not settled still is not");

    // Nobody who owned something is there any more.
    store.fence(&before.owner).await.expect("fences");
    let b = instance("b");
    store.register(&b, "there").await.expect("registers");
    let claimed = store.claim(&[lobby.shard()], &b, "there").await.expect("claims").remove(0);
    assert!(claimed.epoch > before.epoch && claimed.epoch >> 44 == store.generation(), "the generation leads");
    assert_eq!(claimed.inherits, std::slice::from_ref(&before.owner));
    store.note(&b, &[(lobby.clone(), 1)]).await.expect("notes");
    store.carried_over(&[lobby.shard()], &b).await.expect("carries over");

    // The owner loads what the journal named, writes it again under its own number, and goes on.
    let chain_of = |row: &Row| Chain::from_slice(&row.chain).expect("a chain");
    let mut again = before.rows[2].clone();
    (again.epoch, again.load) = (claimed.epoch, 1);
    let more = rows(chain_of(&again), 4..=5, (claimed.epoch, 1));
    for batch in [vec![again.clone()], more.clone()] {
        let mut write = append(&lobby, &b, batch);
        write.members = vec![member(write.head.seq)];
        (write.head.version_epoch, write.head.version_counter) = (claimed.epoch, write.head.seq);
        append_and_settle(&store, write).await;
    }
    let expected = [&before.rows[..2], &[again], &more].concat();
    assert_eq!(read_all(&store, &lobby).await, expected);
    let head = store.heads(std::slice::from_ref(&lobby)).await.expect("reads").remove(0).expect("a head");
    assert_eq!((head.seq, head.version_epoch), (5, claimed.epoch));
    assert_eq!(store.members(&lobby).await.expect("lists"), [member(5)]);

    let newer = RegisterRecord { version_epoch: claimed.epoch, version_counter: 1, ..RegisterRecord::default() };
    for cell in [&newer, &before.register] {
        store.write_registers(&ann, vec![("lobby".to_owned(), cell.clone())]).await.expect("writes");
    }
    let now = store.registers(&ann).await.expect("lists");
    assert_eq!(now, [("lobby".to_owned(), newer)], "newer by its generation, whatever its counter");
    store.put_record(&record(), bytes::Bytes::from("after"), false).await.expect("puts");
    assert_eq!(store.get_record(&record()).await, Ok(Some(bytes::Bytes::from("after"))));

    // A process that has not noticed.
    let stale = Head { title: "stale".to_owned(), version_epoch: before.epoch, ..head.clone() };
    let settlement = crate::Settlement {
        key: lobby.clone(),
        head: Some(stale),
        members: Vec::new(),
        feed: Vec::new(),
        fed_seq: 0,
        remove: Vec::new(),
    };
    // It may be refused, or be a store that nobody reads any more.
    let _ = before.store.settle(&before.owner, vec![settlement]).await;
    let still = store.heads(std::slice::from_ref(&lobby)).await.expect("reads").remove(0);
    assert_eq!(still, Some(head), "what a store of before writes is older");
}
