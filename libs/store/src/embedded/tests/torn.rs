//! Journals that a power cut or a bad disk left torn: the store opens with a prefix of what was
//! written, or says that it is damaged. It never shows a row that nobody wrote.

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

/// Opens a copy of `dir` with this journal. The rows that it shows, if it opens.
async fn shown(dir: &Path, journal: &[u8]) -> Result<Vec<posthorn_proto::internal::Row>> {
    let target = tempfile::tempdir().expect("a directory");
    copy(dir, target.path());
    let name = journals(dir).pop().expect("a journal");
    fs::write(target.path().join("db").join(name.file_name().expect("named")), journal).expect("writes");
    let store = EmbeddedStore::open(config(target.path()), &Metrics::default())?;
    let lobby = key("t", "lobby");
    let rows = store.read(&lobby, conformance::ALL).await?.rows;
    let head = store.heads(std::slice::from_ref(&lobby)).await?.remove(0).unwrap_or_default();
    assert_eq!(head.seq, rows.len() as u64, "head and rows are one commit");
    Ok(rows)
}

#[tokio::test]
async fn a_torn_or_bent_journal_gives_a_prefix_or_a_refusal_and_never_a_row_that_nobody_wrote() {
    let dir = tempfile::tempdir().expect("a directory");
    {
        let store = open(dir.path());
        let (a, epoch) = owner(&(Arc::clone(&store) as Driver), "a", &[&key("t", "lobby")]).await;
        for row in rows(Chain::START, 1..=ROWS, (epoch, 1)) {
            store.append(append(&key("t", "lobby"), &a, vec![row])).await.expect("appends");
        }
    }
    let journal = fs::read(journals(dir.path()).pop().expect("a journal")).expect("reads");
    let written = journal.iter().rposition(|byte| *byte != 0).expect("written") + 1;
    let journal = &journal[..written];
    let whole = shown(dir.path(), journal).await.expect("opens");
    assert_eq!(whole.len() as u64, ROWS);
    let mut shortest = ROWS as usize;
    for cut in (1..=20).map(|step| written - step * written / 25) {
        let rows = shown(dir.path(), &journal[..cut]).await.expect("a torn tail is no damage: nobody was told");
        check_log(&rows);
        assert_eq!(rows, whole[..rows.len()]);
        shortest = rows.len().min(shortest);
    }
    assert!(shortest < ROWS as usize / 2, "the cuts reached the rows");
    let mut refused = 0;
    for at in (0..40).map(|step| written / 10 + step * written * 9 / 10 / 40) {
        let mut bent = journal.to_vec();
        bent[at] ^= 1 << (at % 8);
        match shown(dir.path(), &bent).await {
            Ok(rows) => {
                check_log(&rows);
                assert_eq!(rows, whole[..rows.len()], "bit at {at}");
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("damaged"), "{error}");
            }
        }
    }
    assert!(refused > 0, "a wrong checksum is told");
}
