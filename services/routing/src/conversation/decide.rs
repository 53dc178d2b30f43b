//! What becomes of a command: entries of the batch, or an answer without one.

use posthorn_core::{
    DeviceId, Kind, MessageId, Role, UserId, Visibility,
    conversation::{Change, Draft, Fact, Refusal, Terms, Verdict, envelope, references},
    recent::Found,
};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client,
    convert::decode_envelope,
    internal::{ReadRequest, Row},
};

use super::{
    cell::{Answer, Command, Made},
    commit::{Batch, Pending},
    owner::Owner,
    records::{damaged, fact_body},
};
use posthorn_rpc::call;

use crate::{
    error::{missing, refused},
    service::system_author,
};

/// Rows in one read of a search for a first copy.
const SEARCH_PAGE: u32 = 512;

impl Owner {
    pub(super) async fn decide(&mut self, command: Command, batch: &mut Batch) {
        match command {
            Command::Send { draft, body, terms, backend, direct, answer } => {
                match self.decide_send(*draft, &terms, backend, direct, batch).await {
                    Ok(Pending::New(draft)) => {
                        let seq = self.append(*draft, Some(body), batch);
                        batch.sends.push((seq, false, answer));
                    }
                    Ok(Pending::Duplicate(seq)) => batch.sends.push((seq, true, answer)),
                    Err(failure) => batch.refused_sends.push((failure, answer)),
                }
            }
            Command::Create { draft, answer } => self.decide_create(*draft, answer, batch).await,
            Command::Change { backend, by, device, changes, answer } => {
                match self.decide_changes(backend, by.as_ref(), device.as_ref(), &changes) {
                    Ok(drafts) => {
                        let mut seq = 0;
                        for draft in drafts {
                            seq = self.append(draft, None, batch);
                        }
                        batch.made.push((answer, Made { seq, duplicate: false }));
                    }
                    Err(failure) => batch.refused_changes.push((failure, answer)),
                }
            }
        }
    }

    async fn decide_send(
        &mut self,
        draft: Draft,
        terms: &Terms,
        backend: bool,
        direct: Option<(UserId, UserId)>,
        batch: &mut Batch,
    ) -> Result<Pending, Failure> {
        let mut terms = terms.clone();
        if !self.working.exists() {
            let Some(pair) = direct else { return Err(Code::NotFound.into()) };
            if terms.after_seq > 0 {
                return Err(refused(Refusal::AfterEnd));
            }
            if let Some((field, _)) = references(&draft.envelope).next() {
                return Err(refused(Refusal::NoSuchEntry(field)));
            }
            self.working.expect(terms.expected.take().as_ref()).map_err(refused)?;
            self.create_direct(&draft, pair, batch);
        }
        let author = &draft.envelope.author;
        let as_backend = backend && *author == system_author();
        let actor =
            if as_backend { Some(posthorn_core::permissions::Actor::Backend) } else { self.working.actor(author) };
        let judged =
            self.working.judge(actor, &draft.envelope, &terms).map_err(|refusal| self.refused(refusal, author))?;
        match judged {
            Verdict::Append => Ok(Pending::New(Box::new(draft))),
            Verdict::Duplicate(seq) => Ok(Pending::Duplicate(seq)),
            Verdict::Search(from, to) => match self.search(&draft, from, to).await? {
                Found::Same(seq) => Ok(Pending::Duplicate(seq)),
                Found::Other(_) => Err(Code::MessageIdReused.into()),
                Found::No => {
                    self.working.expect(terms.expected.as_ref()).map_err(refused)?;
                    Ok(Pending::New(Box::new(draft)))
                }
            },
        }
    }

    /// A former member is told no; to strangers the conversation does not exist.
    fn refused(&self, refusal: Refusal, user: &UserId) -> Failure {
        // Of who is a member now, it is somebody else that was not found.
        let was_member = self.working.members.get(user).is_some_and(|member| !member.present);
        refused(if refusal == Refusal::NotFound && was_member { Refusal::Forbidden } else { refusal })
    }

    /// The first entry of a direct conversation comes with its first message.
    fn create_direct(&mut self, draft: &Draft, (a, b): (UserId, UserId), batch: &mut Batch) {
        let mut first = envelope(Kind::Created, draft.envelope.author.clone(), MessageId(self.core.clock.uuid_v7()));
        first.device.clone_from(&draft.envelope.device);
        let mut members = vec![(a, Role::Member), (b, Role::Member)];
        members.sort();
        members.dedup_by(|x, y| x.0 == y.0);
        let kind = posthorn_core::ConversationKind::Direct;
        let fact = Fact::Created { kind, title: String::new(), visibility: Visibility::All, members };
        self.append(Draft { envelope: first, fact }, None, batch);
    }

    /// Looks for the first copy below what memory holds.
    async fn search(&mut self, draft: &Draft, mut from: u64, to: u64) -> Result<Found, Failure> {
        if to - from >= self.core.config.max_retry_scan_entries {
            return Err(Failure::plain(Code::RetryTooOld).limit("routing.max_retry_scan_entries"));
        }
        let sent = &draft.envelope;
        while from <= to {
            let request = ReadRequest {
                tenant: (&self.cell.key.tenant).into(),
                conversation: (&self.cell.key.conversation).into(),
                from,
                to,
                limit: SEARCH_PAGE,
                reverse: false,
                max_bytes: self.core.config.max_batch_bytes as u64,
            };
            let rows = call(self.core.storage.clone().read(request)).await?.rows;
            let Some(last) = rows.last().map(|row| row.seq) else { break };
            for row in rows {
                let entry = decode_envelope(&row.envelope).map_err(|error| damaged("an entry", &error))?;
                if entry.author == sent.author && entry.message_id == sent.message_id {
                    let same = entry.body_hash == sent.body_hash;
                    return Ok(if same { Found::Same(row.seq) } else { Found::Other(row.seq) });
                }
            }
            from = last + 1;
        }
        Ok(Found::No)
    }

    async fn decide_create(&mut self, mut draft: Draft, answer: Answer<Made>, batch: &mut Batch) {
        draft.envelope.body_hash = fact_body(&draft.fact).map(|(_, hash)| hash);
        if !self.working.exists() {
            let seq = self.append(draft, None, batch);
            batch.made.push((answer, Made { seq, duplicate: false }));
            return;
        }
        let first = match batch.row(1) {
            Some(row) => Ok(Some(row.clone())),
            None => self.read_row(1).await,
        };
        let same = first.and_then(|row| {
            let row = row.ok_or_else(|| Failure::plain(Code::AlreadyExists))?;
            decode_envelope(&row.envelope).map_err(|error| damaged("an entry", &error))
        });
        match same {
            Ok(first) if first.message_id != draft.envelope.message_id || first.author != draft.envelope.author => {
                batch.refused_changes.push((Code::AlreadyExists.into(), answer));
            }
            Ok(first) if first.body_hash != draft.envelope.body_hash => {
                batch.refused_changes.push((Code::MessageIdReused.into(), answer));
            }
            Ok(_) => batch.made.push((answer, Made { seq: 1, duplicate: true })),
            Err(failure) => batch.refused_changes.push((failure, answer)),
        }
    }

    pub(super) async fn read_row(&mut self, seq: u64) -> Result<Option<Row>, Failure> {
        let request = ReadRequest {
            tenant: (&self.cell.key.tenant).into(),
            conversation: (&self.cell.key.conversation).into(),
            from: seq,
            to: seq,
            limit: 1,
            reverse: false,
            max_bytes: u64::MAX,
        };
        Ok(call(self.core.storage.clone().read(request)).await?.rows.into_iter().next())
    }

    /// All of the changes or none.
    fn decide_changes(
        &self,
        backend: bool,
        by: Option<&UserId>,
        device: Option<&DeviceId>,
        changes: &[Change],
    ) -> Result<Vec<Draft>, Failure> {
        if !self.working.exists() {
            return Err(Code::NotFound.into());
        }
        if changes.len() > self.core.config.max_batch_entries {
            return Err(missing("changes"));
        }
        let system = system_author();
        let author = by.unwrap_or(&system);
        let mut trial = if changes.len() > 1 { Some(self.working.clone()) } else { None };
        let mut drafts = Vec::new();
        for change in changes {
            let state = trial.as_ref().unwrap_or(&self.working);
            let actor = match by {
                Some(user) => state.actor(user),
                None => backend.then_some(posthorn_core::permissions::Actor::Backend),
            };
            let made = state.change(actor, by, change, self.core.config.max_members);
            let Some((kind, fact)) = made.map_err(|refusal| self.refused(refusal, author))? else { continue };
            let mut envelope = envelope(kind, author.clone(), MessageId(self.core.clock.uuid_v7()));
            envelope.device = device.cloned();
            let draft = Draft { envelope, fact };
            if let Some(trial) = &mut trial {
                trial.append(draft.clone(), 0);
            }
            drafts.push(draft);
        }
        Ok(drafts)
    }

    /// `Sent` of an entry that is confirmed.
    pub(super) async fn sent(&mut self, seq: u64, duplicate: bool, batch: &Batch) -> Result<client::Sent, Failure> {
        let row = match batch.row(seq) {
            Some(row) => row.clone(),
            None => self.read_row(seq).await?.ok_or_else(|| Failure::plain(Code::DataLoss))?,
        };
        let entry = decode_envelope(&row.envelope).map_err(|error| damaged("an entry", &error))?;
        Ok(client::Sent {
            conversation: (&self.cell.key.conversation).into(),
            seq,
            ordinal: entry.ordinal,
            time_ms: entry.time_ms,
            duplicate,
            durability: self.core.durability.into(),
            generation: self.core.generation,
        })
    }
}
