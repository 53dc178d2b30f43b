//! What becomes of somebody who comes and goes.

use posthorn_core::Chain;
use posthorn_proto::{
    client::Range,
    internal::{MarkAt, MemberRecord, RegisterRecord},
};

use super::{Driver, append, append_and_settle, key, owner, rows, user, user_id};

fn ranges(ends: &[(u64, u64)]) -> Vec<Range> {
    ends.iter().map(|&(from, to)| Range { from, to }).collect()
}

/// Member and register are what makes visible ranges, marks and lists: they follow a leave and a rejoin, by
/// the entry that brought them, and whatever is told of the time before comes too late.
pub async fn who_leaves_and_rejoins_sees_both_times_and_not_what_lies_between(store: Driver) {
    let (lobby, hall, bob) = (key("t", "lobby"), key("t", "hall"), user("t", "bob"));
    let (a, epoch) = owner(&store, "a", &[&hall, &lobby]).await;
    let member = |as_of_seq, present, visible: &[(u64, u64)]| {
        let (visible, joined_seq) = (ranges(visible), visible.last().map_or(0, |last| last.0));
        ("bob".to_owned(), MemberRecord { as_of_seq, present, visible, joined_seq, ..MemberRecord::default() })
    };
    let cell = |version_counter, membership_seq, visible: &[(u64, u64)], removed| RegisterRecord {
        visible: ranges(visible),
        removed,
        read: Some(MarkAt { seq: membership_seq, ..MarkAt::default() }),
        version_epoch: epoch,
        version_counter,
        membership_seq,
        ..RegisterRecord::default()
    };
    let tell = async |name: &str, record: &RegisterRecord| {
        store.write_registers(&bob, vec![(name.to_owned(), record.clone())]).await.expect("writes");
    };
    let elsewhere = cell(1, 1, &[(1, 0)], false);
    tell("hall", &elsewhere).await;

    // Joins with entry 2, leaves with 5, rejoins with 8.
    let steps = [
        (2, member(2, true, &[(2, 0)]), cell(2, 2, &[(2, 0)], false)),
        (5, member(5, false, &[(2, 5)]), cell(3, 5, &[(2, 5)], true)),
        (8, member(8, true, &[(2, 5), (8, 0)]), cell(4, 8, &[(2, 5), (8, 0)], false)),
    ];
    let (mut chain, mut next) = (Chain::START, 1);
    let mut told: Vec<RegisterRecord> = Vec::new();
    for (seq, member, register) in &steps {
        let batch = rows(chain, next..=*seq, (epoch, 1));
        chain = Chain::from_slice(&batch[batch.len() - 1].chain).expect("a chain");
        next = seq + 1;
        let mut write = append(&lobby, &a, batch);
        (write.members, write.effects, write.note) = (vec![member.clone()], true, Some(1));
        append_and_settle(&store, write).await;
        tell("lobby", register).await;
        // An owner that died before it had settled, and is settled once more.
        for late in &told {
            tell("lobby", late).await;
        }
        told.push(register.clone());
        assert_eq!(store.members(&lobby).await.expect("lists"), [member.clone()], "after entry {seq}");
        let of = store.registers_of(&lobby, &[user_id("bob"), user_id("ann")]).await.expect("lists");
        assert_eq!(of, [Some(register.clone()), None], "after entry {seq}");
        let list = store.registers(&bob).await.expect("lists");
        let expected = [("hall".to_owned(), elsewhere.clone()), ("lobby".to_owned(), register.clone())];
        assert_eq!(list, expected, "who left keeps their place in the list, as removed");
    }
    let late = rows(chain, next..=next, (epoch, 1));
    let mut write = append(&lobby, &a, late);
    write.members = vec![steps[1].1.clone()];
    append_and_settle(&store, write).await;
    assert_eq!(store.members(&lobby).await.expect("lists"), [steps[2].1.clone()], "the leave is older");
}
