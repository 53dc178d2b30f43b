//! Journals that a power cut or a bad disk left torn: the store opens with all that was acknowledged, or says that
//! it is damaged. Where the mark of what was synced is lost as well it may open with a prefix of what was written.
//! It never shows a row that nobody wrote.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{crash::check_log, *};

const ROWS: u64 = 40;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("lists");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("has one").is_dir() {
            copy(&entry.path(), &target);
        } else if entry.path().extension().is_none_or(|extension| extension != "jnl") {
            fs::copy(entry.path(), target).expect("copies");
        }
    }
}

fn journals(dir: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(dir.join("db")).expect("lists").map(|entry| entry.expect("lists").path());
    let mut journals: Vec<_> = listed.filter(|path| path.extension().is_some_and(|e| e == "jnl")).collect();
    journals.sort();
    journals
}

/// Opens a copy of `dir` with this journal. The rows that it shows, if it opens; if not, its files are as they were.
async fn shown(dir: &Path, journal: &[u8], marked: bool) -> Result<Vec<posthorn_proto::internal::Row>> {
    let target = tempfile::tempdir().expect("a directory");
    copy(dir, target.path());
    let name = journals(dir).pop().expect("a journal");
    let path = target.path().join("db").join(name.file_name().expect("named"));
    fs::write(&path, journal).expect("writes");
    if !marked {
        fs::remove_file(target.path().join("db").join(mark::MARK_FILE)).expect("removes");
    }
    let opened = EmbeddedStore::open(config(target.path()), &Metrics::default());
    let kept = [path.with_extension("torn"), path].iter().any(|path| fs::read(path).is_ok_and(|now| now == journal));
    assert!(opened.is_ok() || kept, "whoever wants to save what is left finds it");
    let store = opened?;
    let lobby = key("t", "lobby");
    let rows = store.read(&lobby, conformance::ALL).await?.rows;
    let head = store.heads(std::slice::from_ref(&lobby)).await?.remove(0).unwrap_or_default();
    assert_eq!(head.seq, rows.len() as u64, "head and rows are one commit");
    Ok(rows)
}

fn filled(dir: &Path) -> impl Future<Output = Vec<u8>> {
    let store = open(dir);
    async move {
        let (a, epoch) = owner(&(Arc::clone(&store) as Driver), "a", &[&key("t", "lobby")]).await;
        for row in rows(Chain::START, 1..=ROWS, (epoch, 1)) {
            store.append(append(&key("t", "lobby"), &a, vec![row])).await.expect("appends");
        }
        let path = journals(&store.shared.config.data_dir).pop().expect("a journal");
        store.close();
        let mut journal = fs::read(path).expect("reads");
        journal.truncate(journal.iter().rposition(|byte| *byte != 0).expect("written") + 1);
        journal
    }
}

fn refused(error: &StoreError) {
    let text = error.to_string();
    assert!(text.starts_with("damaged: ") && text.contains("posthorn restore"), "{text}");
}

#[tokio::test]
async fn a_journal_that_lost_what_was_acknowledged_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = filled(dir.path()).await;
    let whole = shown(dir.path(), &journal, true).await.expect("opens");
    assert_eq!(whole.len() as u64, ROWS);
    for cut in (1..=20).map(|step| journal.len() - step * journal.len() / 25) {
        refused(&shown(dir.path(), &journal[..cut], true).await.expect_err("it ends too early"));
    }
    let mut refusals = 0;
    for at in (0..60).map(|step| step * journal.len() / 60) {
        let mut bent = journal.clone();
        bent[at] ^= 1 << (at % 8);
        match shown(dir.path(), &bent, true).await {
            Ok(rows) => assert_eq!(rows, whole, "bit at {at}"),
            Err(error) => {
                refusals += 1;
                refused(&error);
            }
        }
    }
    assert!(refusals > 50, "{refusals}");
    let mut longer = journal.clone();
    longer.extend_from_slice(&journal[journal.len() / 2..]);
    assert_eq!(shown(dir.path(), &longer, true).await, Ok(whole), "what lies behind was promised to nobody");
}

#[tokio::test]
async fn without_its_mark_a_torn_or_bent_journal_gives_a_prefix_and_never_a_row_that_nobody_wrote() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = filled(dir.path()).await;
    let whole = shown(dir.path(), &journal, false).await.expect("opens");
    let mut shortest = ROWS as usize;
    let cuts = (1..=20).map(|step| journal[..journal.len() - step * journal.len() / 25].to_vec());
    let bends = (0..40).map(|step| {
        let mut bent = journal.clone();
        let at = journal.len() / 10 + step * journal.len() * 9 / 10 / 40;
        bent[at] ^= 1 << (at % 8);
        bent
    });
    for torn in cuts.chain(bends) {
        let rows = shown(dir.path(), &torn, false).await.expect("nobody was told of the rest");
        check_log(&rows);
        assert_eq!(rows, whole[..rows.len()]);
        shortest = rows.len().min(shortest);
    }
    assert!(shortest < ROWS as usize / 2, "the cuts reached the rows");
}

#[tokio::test]
async fn a_store_that_was_not_made_to_its_end_is_made_again() {
    for left in [&[][..], &["lock"], &["lock", "0.jnl"], &["lock", "0.jnl", "version"]] {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("FORMAT"), "2\n").expect("writes");
        fs::create_dir_all(dir.path().join("db/keyspaces")).expect("makes");
        for name in left {
            fs::write(dir.path().join("db").join(name), []).expect("writes");
        }
        let store = open(dir.path());
        owner(&(Arc::clone(&store) as Driver), "a", &[&key("t", "lobby")]).await;
        store.close();
        fs::remove_file(dir.path().join("db/version")).expect("removes");
        let refused = EmbeddedStore::open(config(dir.path()), &Metrics::default()).err().expect("refuses");
        assert!(refused.to_string().contains("damaged: ") && journals(dir.path()).len() == 1, "{refused}");
    }
}

/// The library begins another journal after 64 MB; this one is divided by hand.
#[tokio::test]
async fn an_older_journal_has_to_be_whole_and_the_next_one_goes_on_where_it_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = filled(dir.path()).await;
    let ends: Vec<usize> = (4..=journal.len()).filter(|end| journal[..*end].ends_with(b"FJL\x03")).collect();
    let [.., before, middle] = ends[..ends.len() / 2] else { panic!("many batches") };
    let check = |older: &[u8], newer: &[u8]| {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("9.jnl"), older).expect("writes");
        fs::write(dir.path().join("10.jnl"), newer).expect("writes");
        let checked = journal::check(dir.path(), 0);
        let left = ["9.jnl", "10.jnl"].map(|name| fs::read(dir.path().join(name)).expect("reads"));
        assert!(checked.is_ok() || left == [older, newer], "left as it is");
        (checked, left)
    };
    let (older, newer) = journal.split_at(middle);
    assert_eq!(check(older, newer).0, Ok(()));
    assert_eq!(check(&[older, &[0; 99]].concat(), &[]).0, Ok(()), "as they are made");
    for at in (0..older.len()).step_by(older.len() / 30) {
        let mut bent = older.to_vec();
        bent[at] ^= 1 << (at % 8);
        // A seqno that is a little higher is none that was given out, but changes no order.
        if let (Err(error), _) = check(&bent, newer) {
            refused(&error);
        } else {
            let begin = ends.iter().rfind(|end| **end <= at).copied().unwrap_or(0);
            assert!((5..13).contains(&(at - begin)), "byte {at} of a batch at {begin}");
        }
    }
    refused(&check(&older[..before], newer).0.expect_err("a commit is missing between them"));
    refused(&check(&older[..middle - 1], newer).0.expect_err("it is cut off"));
    let (checked, [_, cut]) = check(older, &newer[..newer.len() - 1]);
    assert!(checked.is_ok() && newer.starts_with(&cut) && cut.len() < newer.len(), "only the last may be torn");
}
