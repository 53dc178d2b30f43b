//! What every place for dead letters must do. A failure is a panic that names the property.

use super::{DeadLetter, DeadLetters, LetterId, LetterPage};
use crate::conformance::{Talk, entry};

/// Runs the suite on an empty place.
pub async fn run(letters: &dyn DeadLetters) {
    let ids = park_some(letters).await;
    one_letter_an_entry_is_kept_and_found(letters, &ids).await;
    pages_hold_each_letter_of_the_group_once(letters, &ids).await;
    what_is_discarded_is_gone(letters, &ids).await;
}

/// Names with dots, and one that another begins with.
async fn park_some(letters: &dyn DeadLetters) -> Vec<LetterId> {
    let mut ids = Vec::new();
    for name in ["a", "a.b", "a.b.c", "a-b_c"] {
        let mut talk = Talk::new(name);
        for row in talk.rows(3) {
            let entry = entry(&talk.key, row);
            let id = LetterId::of(&entry).expect("an id");
            assert_eq!(id.to_string().parse::<LetterId>().expect("reads back"), id);
            letters.park("hooks", &id, letter(entry, 1)).await.expect("parks");
            ids.push(id);
        }
    }
    ids
}

fn letter(entry: posthorn_proto::internal::FeedEntry, attempts: u32) -> DeadLetter {
    DeadLetter { entry: Some(entry), why: "refused".to_owned(), attempts, parked_ms: 5, users: vec!["ann".to_owned()] }
}

async fn one_letter_an_entry_is_kept_and_found(letters: &dyn DeadLetters, ids: &[LetterId]) {
    let first = letters.get("hooks", &ids[0]).await.expect("gets").expect("is there");
    assert_eq!(first.entry.as_ref().map(|entry| LetterId::of(entry).expect("an id")), Some(ids[0].clone()));
    letters.park("hooks", &ids[0], DeadLetter { attempts: 9, ..first.clone() }).await.expect("parks again");
    let again = letters.get("hooks", &ids[0]).await.expect("gets").expect("is there");
    assert_eq!(again, DeadLetter { attempts: 9, ..first });
    assert_eq!(letters.get("hook", &ids[0]).await.expect("gets"), None, "of another group");
    let none = LetterId { seq: 99, ..ids[0].clone() };
    assert_eq!(letters.get("hooks", &none).await.expect("gets"), None);
}

async fn pages_hold_each_letter_of_the_group_once(letters: &dyn DeadLetters, ids: &[LetterId]) {
    let mut found = Vec::new();
    let mut from = None;
    loop {
        let LetterPage { letters: some, next } = letters.list("hooks", from.as_deref(), 5).await.expect("lists");
        assert!(some.len() <= 5);
        found.extend(some.into_iter().map(|(id, _)| id));
        let Some(next) = next else { break };
        from = Some(next);
    }
    found.sort();
    let mut all = ids.to_vec();
    all.sort();
    assert_eq!(found, all);
    assert!(letters.list("hook", None, 5).await.expect("lists").letters.is_empty());
}

async fn what_is_discarded_is_gone(letters: &dyn DeadLetters, ids: &[LetterId]) {
    assert!(letters.discard("hooks", &ids[1]).await.expect("discards"));
    assert!(!letters.discard("hooks", &ids[1]).await.expect("discards"), "was gone already");
    assert_eq!(letters.get("hooks", &ids[1]).await.expect("gets"), None);
    assert_eq!(letters.list("hooks", None, 100).await.expect("lists").letters.len(), ids.len() - 1);
}
