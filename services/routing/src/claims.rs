//! Taking shards and giving them back (architecture section 4: claim, journals, hand-over).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::future::{join_all, try_join_all};
use posthorn_core::{ConversationId, ConversationKey, Shard, TenantId};
use posthorn_errors::{Code, Failure};
use posthorn_proto::internal::{
    CarriedOverRequest, ClaimRequest, JournalRequest, JournalRow, NoteRequest, ReleaseRequest, Settlement, ShardRow,
};
use posthorn_rpc::call;

use crate::{ownership::Behind, service::Core};

/// Names in one note.
const NAMES_PER_NOTE: usize = 1_000;

/// Claims those of `shards` that are free, or whose owner is fenced, carries the journals that they
/// inherit over into the own, and serves them from then on. Returns those that are held now.
pub async fn claim(core: &Core, shards: &[Shard]) -> Result<Vec<Shard>, Failure> {
    if shards.is_empty() {
        return Ok(Vec::new());
    }
    let mut storage = core.storage.clone();
    let request = ClaimRequest {
        shards: shards.iter().map(|shard| u32::from(shard.0)).collect(),
        instance: core.ownership.instance.clone(),
        address: core.address.clone(),
    };
    let claimed = call(storage.claim(request)).await?.claimed;
    let rows: Vec<(Shard, ShardRow)> =
        claimed.into_iter().filter_map(|row| Some((Shard(u16::try_from(row.shard).ok()?), row))).collect();
    carry_over(core, &rows).await?;
    for (shard, row) in &rows {
        core.ownership.hold(*shard, row.epoch);
    }
    core.metrics.claims.inc_by(rows.len() as u64);
    Ok(rows.into_iter().map(|(shard, _)| shard).collect())
}

/// The names that concern these shards, out of the journals of those who owned them before; of the own journal also
/// what an heir has carried over meanwhile.
async fn carry_over(core: &Core, rows: &[(Shard, ShardRow)]) -> Result<(), Failure> {
    let mut heirs: BTreeMap<&str, BTreeSet<Shard>> = BTreeMap::new();
    for (shard, row) in rows {
        for gone in &row.inherits {
            heirs.entry(gone).or_default().insert(*shard);
        }
    }
    let mut storage = core.storage.clone();
    let behind = rows.iter().flat_map(|(shard, _)| core.ownership.behind_of(*shard));
    let mut names: HashMap<ConversationKey, u64> = behind.map(|key| (key, core.ownership.next_note())).collect();
    if heirs.is_empty() && names.is_empty() {
        return Ok(());
    }
    for (gone, shards) in &heirs {
        for row in call(storage.journal(JournalRequest { instance: (*gone).to_owned() })).await?.rows {
            let key = key_of(&row)?;
            if shards.contains(&key.shard()) {
                names.entry(key).or_insert_with(|| core.ownership.next_note());
            }
        }
    }
    let notes: Vec<JournalRow> = names.iter().map(|(key, note)| note_of(key, *note)).collect();
    note(core, &notes).await?;
    // From here on the own journal has them, and they are known: whatever becomes of the next call. It may be done
    // and not answered; a claim after that finds nobody to inherit from.
    core.ownership.inherit(names);
    if heirs.is_empty() {
        return Ok(());
    }
    let shards = heirs.into_values().flatten().collect::<BTreeSet<_>>();
    let request = CarriedOverRequest {
        shards: shards.iter().map(|shard| u32::from(shard.0)).collect(),
        instance: core.ownership.instance.clone(),
    };
    call(storage.carried_over(request)).await.map(drop)
}

/// Into the own journal.
async fn note(core: &Core, rows: &[JournalRow]) -> Result<(), Failure> {
    for chunk in rows.chunks(NAMES_PER_NOTE) {
        let request = NoteRequest { instance: core.ownership.instance.clone(), rows: chunk.to_vec() };
        call(core.storage.clone().note(request)).await?;
    }
    Ok(())
}

fn note_of(key: &ConversationKey, note: u64) -> JournalRow {
    JournalRow { tenant: (&key.tenant).into(), conversation: (&key.conversation).into(), note }
}

fn key_of(row: &JournalRow) -> Result<ConversationKey, Failure> {
    let (tenant, conversation) = (TenantId::new(&row.tenant), ConversationId::new(&row.conversation));
    match (tenant, conversation) {
        (Ok(tenant), Ok(conversation)) => Ok(ConversationKey { tenant, conversation }),
        _ => Err(Failure::new(Code::DataLoss, "a journal row has an invalid key")),
    }
}

/// Takes out of the own journal what it names of shards whose next owners have carried that over.
pub async fn forget_behind(core: &Core, rows: &HashMap<u16, ShardRow>) -> Result<(), Failure> {
    let me = &core.ownership.instance;
    let carried_over = |shard: &Shard, behind: &Behind| {
        // Whoever else claims it inherits from this instance first. A claim of its own may have been made and not
        // confirmed: that one has still to find the names.
        rows.get(&shard.0)
            .is_some_and(|row| row.instance != *me && row.epoch > behind.epoch && !row.inherits.contains(me))
    };
    for (shard, behind) in core.ownership.behind() {
        if core.ownership.is_held(shard) || !carried_over(&shard, &behind) {
            continue;
        }
        // The last note of each, whichever of the others arrived: it stands for all of them.
        let notes: Vec<JournalRow> = behind.keys.iter().map(|key| note_of(key, core.ownership.next_note())).collect();
        note(core, &notes).await?;
        let removals = notes.into_iter().map(|JournalRow { tenant, conversation, note }| {
            core.settler.settle(Settlement { tenant, conversation, remove: vec![note], ..Settlement::default() })
        });
        // While the feed is away nothing goes out of a journal.
        if try_join_all(removals).await?.into_iter().all(|removed| removed) {
            core.ownership.not_behind(shard);
        }
    }
    Ok(())
}

/// Loads and settles what the journals of others named.
pub async fn settle_inherited(core: &Arc<Core>) {
    for key in core.ownership.named() {
        if let Err(failure) = core.conversations.get(core, &key).await
            && failure.code != Code::WrongOwner
        {
            tracing::error!(%failure, conversation = %key.conversation, "an unsettled conversation cannot be loaded");
        }
    }
}

/// Gives shards back. A release goes out only when every write of the shard has returned, and once it is
/// sent the epoch is never served again. Waits for nothing that needs a shard of nobody: this instance may be the
/// one that has to claim it.
pub async fn hand_over(core: &Arc<Core>, shards: &[Shard]) {
    let leaving: Vec<(Shard, u64)> =
        shards.iter().filter_map(|&shard| Some((shard, core.ownership.leave(shard)?))).collect();
    if leaving.is_empty() {
        return;
    }
    let set: BTreeSet<Shard> = leaving.iter().map(|(shard, _)| *shard).collect();
    // Their owners may have to tell users of the same shards.
    core.conversations.close(&set).await;
    set.iter().for_each(|shard| core.ownership.leave_users(*shard));
    core.users.close(&set).await;
    let releases = leaving.into_iter().map(|(shard, epoch)| async move {
        let request = ReleaseRequest {
            shard: u32::from(shard.0),
            epoch,
            instance: core.ownership.instance.clone(),
            unsettled: core.ownership.is_unsettled(shard),
        };
        match call(core.storage.clone().release(request)).await {
            Ok(_) => {
                core.ownership.left(shard);
                core.metrics.releases.inc();
            }
            // Sent, so never served again. The next look tries once more.
            Err(failure) => tracing::warn!(%failure, shard = shard.0, "a shard could not be given back yet"),
        }
    });
    join_all(releases).await;
}
