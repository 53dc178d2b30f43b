//! Registers and small records.

use bytes::Bytes;
use posthorn_proto::internal::{MarkAt, RegisterRecord};

use super::{Driver, key, user, user_id};
use crate::{RecordKey, StoreError, Table};

fn cell(version_epoch: u64, version_counter: u64, draft: &str) -> RegisterRecord {
    RegisterRecord { version_epoch, version_counter, draft: draft.to_owned(), ..RegisterRecord::default() }
}

pub async fn registers_take_only_newer_versions(store: Driver) {
    let ann = user("t", "ann");
    let write = async |record: RegisterRecord| {
        store.write_registers(&ann, vec![("lobby".to_owned(), record)]).await.expect("writes");
    };
    let now = async || store.registers(&ann).await.expect("lists").remove(0).1;
    write(cell(2, 5, "first")).await;
    write(cell(2, 4, "older")).await;
    write(cell(1, 9, "of an earlier epoch")).await;
    write(cell(2, 5, "first")).await;
    assert_eq!(now().await, cell(2, 5, "first"));
    let left = RegisterRecord { removed: true, read: Some(MarkAt { seq: 9, ..MarkAt::default() }), ..cell(2, 6, "") };
    write(left.clone()).await;
    write(cell(2, 5, "before leaving")).await;
    assert_eq!(now().await, left, "leaving is a state, not a deletion");
    let back = RegisterRecord { membership_seq: 12, ..cell(3, 0, "") };
    write(back.clone()).await;
    write(left).await;
    assert_eq!(now().await, back, "rejoining is newer, whatever comes late");
}

pub async fn registers_are_kept_per_tenant_user_and_conversation(store: Driver) {
    let people = [user("t", "ann"), user("t", "anna"), user("t2", "ann")];
    for (n, person) in people.iter().enumerate() {
        let cells = ["hall", "lobby"].map(|name| (name.to_owned(), cell(1, n as u64 + 1, name)));
        store.write_registers(person, cells.to_vec()).await.expect("writes");
    }
    for (n, person) in people.iter().enumerate() {
        let expected = ["hall", "lobby"].map(|name| (name.to_owned(), cell(1, n as u64 + 1, name)));
        assert_eq!(store.registers(person).await.expect("lists"), expected, "by conversation");
    }
    assert_eq!(store.registers(&user("t", "an")).await.expect("lists"), []);
    let asked: Vec<_> = ["anna", "nobody", "ann"].map(user_id).to_vec();
    let of = store.registers_of(&key("t", "lobby"), &asked).await.expect("lists");
    assert_eq!(of, [Some(cell(1, 2, "lobby")), None, Some(cell(1, 1, "lobby"))], "in the order asked");
    let many: Vec<_> = (0..40).map(|n| user_id(&format!("u{n}"))).chain(asked).collect();
    let of = store.registers_of(&key("t2", "hall"), &many).await.expect("lists");
    assert_eq!(of.iter().flatten().collect::<Vec<_>>(), [&cell(1, 3, "hall")]);
}

fn record(table: Table, tenant: &str, key: &str) -> RecordKey {
    RecordKey { table, tenant: tenant.to_owned(), key: key.to_owned() }
}

pub async fn records_are_listed_in_order_and_deleted(store: Driver) {
    let names = [("a", "x"), ("a", "x\0y"), ("a", "xx"), ("a.", "x"), ("ab", "k/1"), ("b", "")];
    for table in [Table::Users, Table::Devices] {
        for (tenant, name) in names.iter().rev() {
            let value = Bytes::from(format!("{tenant} {name}"));
            let there = store.put_record(&record(table, tenant, name), value, false).await.expect("puts");
            assert_eq!(there, None);
        }
    }
    let list = async |tenant: &str, after: &str, limit| {
        let records = store.list_records(Table::Users, tenant, after, limit).await.expect("lists");
        records.into_iter().map(|(key, _)| (key.tenant, key.key)).collect::<Vec<_>>()
    };
    let all = names.map(|(tenant, name)| (tenant.to_owned(), name.to_owned()));
    assert_eq!(list("", "", 99).await, all);
    assert_eq!(list("", "", 4).await, all[..4]);
    assert_eq!(list("a", "", 99).await, all[..3]);
    assert_eq!(list("a", "x", 99).await, all[1..3]);
    assert_eq!(list("a", "x", 1).await, all[1..2]);
    assert_eq!(list("a", "xxx", 99).await, []);
    let gone = record(Table::Users, "a", "xx");
    assert_eq!(store.get_record(&gone).await, Ok(Some(Bytes::from("a xx"))));
    store.put_record(&gone, Bytes::from("new"), false).await.expect("puts");
    assert_eq!(store.get_record(&gone).await, Ok(Some(Bytes::from("new"))));
    store.delete_record(&gone).await.expect("deletes");
    store.delete_record(&gone).await.expect("deleting twice is no error");
    assert_eq!(store.get_record(&gone).await, Ok(None));
    assert_eq!(list("a", "", 99).await, all[..2]);
    assert!(store.get_record(&record(Table::Devices, "a", "xx")).await.expect("gets").is_some(), "another table");
    let long = record(Table::Users, "a", &"k".repeat(crate::MAX_RECORD_KEY_BYTES));
    let refused = store.put_record(&long, Bytes::new(), false).await;
    assert!(matches!(refused, Err(StoreError::Misused(_))));
}

pub async fn if_absent_has_one_winner(store: Driver) {
    let at = record(Table::Idempotency, "t", "k");
    let values: Vec<_> = (0..16).map(|n| Bytes::from(format!("{n}"))).collect();
    let puts = super::join(values.iter().map(|value| store.put_record(&at, value.clone(), true))).await;
    let there = store.get_record(&at).await.expect("gets").expect("one of them");
    let mut winners = 0;
    for (value, answer) in values.iter().zip(puts) {
        match answer.expect("puts") {
            None => {
                winners += 1;
                assert_eq!(*value, there, "the one that heard nothing is there");
            }
            Some(other) => assert_eq!(other, there),
        }
    }
    assert_eq!(winners, 1);
    let later = store.put_record(&at, Bytes::from("late"), true).await;
    assert_eq!(later, Ok(Some(there.clone())));
    store.delete_record(&at).await.expect("deletes");
    assert_eq!(store.put_record(&at, Bytes::from("again"), true).await, Ok(None));
}
