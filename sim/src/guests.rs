//! Members who come and go: a host adds guests and removes them again while the others talk. When each could see
//! what, the log says; what the host was told of it has to stand there.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail, ensure};
use posthorn_client::{
    Client, ClientError,
    proto::{Entry, Kind, MembersChanged, Membership, PresenceNow, Role, WatchPresence},
};
use posthorn_clock::{Clock, sleep};

/// Between two changes at most, ms.
const BETWEEN_MS: u64 = 250;
const AGAIN: Duration = Duration::from_millis(50);

/// One user's seats in one conversation, in order: who sits there sees from `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub from: u64,
    /// `None`: still a member.
    pub to: Option<u64>,
}

/// By (conversation, guest).
pub type Seats = BTreeMap<(String, String), Vec<Seat>>;

/// A change that was answered.
pub struct Change {
    conversation: String,
    guest: String,
    added: bool,
    /// 0: it was so already, an earlier try had made it.
    seq: u64,
}

pub struct Host {
    pub changes: u64,
    pub guests: Vec<String>,
    /// Whose presence it watches.
    pub watched: Vec<String>,
}

impl Host {
    /// Who is there now; what changes comes as events.
    pub async fn watch(&self, client: &Client) -> Result<Vec<PresenceNow>> {
        loop {
            match client.watch_presence(WatchPresence { users: self.watched.clone() }).await {
                Ok(watched) => return Ok(watched.now),
                Err(error) if error.retryable() => sleep(AGAIN).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Adds whoever is no guest and removes whoever is one, each until it is answered.
    pub async fn act(&self, client: &Client, clock: &Clock, conversations: &[String]) -> Result<Vec<Change>> {
        let one = |all: &[String]| all[usize::try_from(clock.below(all.len() as u64)).unwrap_or(0)].clone();
        let (mut present, mut changes) = (BTreeMap::new(), Vec::new());
        for _ in 0..self.changes {
            sleep(Duration::from_millis(clock.below(BETWEEN_MS))).await;
            let (conversation, guest) = (one(conversations), one(&self.guests));
            let there = present.entry((conversation.clone(), guest.clone())).or_insert(false);
            *there = !*there;
            let seq = change(client, &conversation, &guest, *there).await?.seq;
            changes.push(Change { conversation, guest, added: *there, seq });
        }
        Ok(changes)
    }

    /// The seats that this log has given to guests.
    pub fn seats(&self, conversation: &str, log: &[Entry], changes: &[Change]) -> Result<Seats> {
        let mut seats: Seats = Seats::new();
        let mut made = BTreeMap::new();
        for entry in log {
            let about = entry.body.as_ref().and_then(|body| body.member.as_ref());
            let Some(guest) = about.map(|member| &member.user).filter(|user| self.guests.contains(user)) else {
                continue;
            };
            let of_guest = seats.entry((conversation.to_owned(), guest.clone())).or_default();
            let added = entry.kind() == Kind::Joined;
            match of_guest.last_mut() {
                Some(Seat { to: to @ None, .. }) if !added => *to = Some(entry.seq),
                None | Some(Seat { to: Some(_), .. }) if added => of_guest.push(Seat { from: entry.seq, to: None }),
                _ => bail!("{conversation}: {guest} was added or removed twice, at {}", entry.seq),
            }
            made.insert(entry.seq, (guest.clone(), added));
        }
        for told in changes.iter().filter(|told| told.conversation == conversation && told.seq > 0) {
            let there = made.get(&told.seq) == Some(&(told.guest.clone(), told.added));
            let Change { guest, added, seq, .. } = told;
            ensure!(there, "{conversation}: the host was told that {guest} was changed at {seq} (added: {added})");
        }
        Ok(seats)
    }
}

async fn change(client: &Client, conversation: &str, guest: &str, add: bool) -> Result<MembersChanged, ClientError> {
    loop {
        let changed = if add {
            let member = Membership { user: guest.to_owned(), role: Role::Member.into() };
            client.add_members(conversation, vec![member]).await
        } else {
            client.remove_member(conversation, guest).await
        };
        match changed {
            Err(error) if error.retryable() => sleep(AGAIN).await,
            answered => return answered,
        }
    }
}
