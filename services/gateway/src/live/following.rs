//! From the subjects of large conversations to the connections of their members here: one follower for each
//! conversation. What the bus loses of it is read from the log.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use posthorn_bus::{Delivery, Subscription, subjects::of_conversation};
use posthorn_clock::sleep;
use posthorn_core::{ConversationId, ConversationKey, TenantId, UserId};
use posthorn_errors::{Code, Failure};
use posthorn_proto::{
    client::server_frame::Frame,
    internal::{
        Caller, Follow, NewEntries, Publication, ReadRequest, Row, SyncRequest, ViewRequest, publication::What,
    },
};
use posthorn_rpc::TraceContext;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{
    Connection, Event, Order,
    followed::{Followed, Follows, Full, Work},
    subscriber::{Told, decode, entries_event, tell},
};
use crate::{Gateway, GatewayConfig};

/// After something that failed, ms.
const RETRY_MS: u64 = 500;
/// Rows and bytes of one read of the log.
const READ_ROWS: u32 = 500;
const READ_BYTES: u64 = 1024 * 1024;
/// Reads in a row that bring nothing of what the owner says is there, before it is given up.
const MAX_FRUITLESS: u32 = 10;

/// The large conversations of a gateway.
pub(crate) struct Following {
    pub table: Mutex<Followed>,
    /// Some began to be followed.
    begun: Notify,
    /// Subscriptions there may be, and questions to owners and reads of the log at once.
    subjects: Arc<Semaphore>,
    reads: Semaphore,
}

impl Following {
    pub fn new(config: &GatewayConfig) -> Self {
        let permits = |bound: usize| bound.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            table: Mutex::new(Followed::new(config.max_followed)),
            begun: Notify::new(),
            subjects: Arc::new(Semaphore::new(permits(config.max_conversation_subjects))),
            reads: Semaphore::new(permits(config.max_log_reads)),
        }
    }
}

/// Starts a follower for each conversation that begins to be followed, for as long as the node runs.
pub(crate) async fn follow_conversations(gateway: Arc<Gateway>) {
    let tasks = gateway.deps.tasks.clone();
    let stopping = tasks.stopping();
    loop {
        tokio::select! {
            biased;
            () = gateway.following.begun.notified() => {}
            () = stopping.cancelled() => return,
        }
        let begun = gateway.following.table.lock().begun();
        for (key, wake) in begun {
            let gateway = Arc::clone(&gateway);
            let follower = Follower { gateway, key, wake, subscription: None, fruitless: 0 };
            tasks.background("conversation", tasks.until_stopped(follower.run()));
        }
    }
}

/// Of one conversation.
struct Follower {
    gateway: Arc<Gateway>,
    key: ConversationKey,
    wake: Arc<Notify>,
    subscription: Option<(Box<dyn Subscription>, OwnedSemaphorePermit)>,
    fruitless: u32,
}

/// What a look at what is to be done came to.
enum Settled {
    All,
    /// Something failed and is tried again.
    NotYet,
    Left,
}

impl Follower {
    async fn run(mut self) {
        self.gateway.metrics.large.followed.inc();
        loop {
            if self.subscription.is_none() {
                self.subscribe().await;
            }
            let again = match Box::pin(self.settle()).await {
                Settled::Left => break,
                Settled::All => self.subscription.is_none(),
                Settled::NotYet => true,
            };
            tokio::select! {
                biased;
                delivery = next(&mut self.subscription) => self.take(delivery),
                () = self.wake.notified() => {}
                () = sleep(Duration::from_millis(RETRY_MS)), if again => {}
            }
        }
        self.gateway.metrics.large.followed.dec();
        // Of the table it is gone, or somebody else's by now.
        self.hear_no_more();
    }

    /// Where there is no room, or no bus, the instances are asked instead.
    async fn subscribe(&mut self) {
        let Ok(permit) = Arc::clone(&self.gateway.following.subjects).try_acquire_owned() else { return };
        let subject = of_conversation(self.key.tenant.as_str(), self.key.conversation.as_str());
        match self.gateway.deps.bus.subscribe(&subject).await {
            Ok(subscription) => {
                self.subscription = Some((subscription, permit));
                self.gateway.metrics.large.subjects.inc();
                self.gateway.following.table.lock().heard(&self.key, true);
            }
            Err(error) => tracing::debug!(subject, %error, "cannot subscribe"),
        }
    }

    fn unsubscribe(&mut self) {
        if self.hear_no_more() {
            self.gateway.following.table.lock().heard(&self.key, false);
        }
    }

    fn hear_no_more(&mut self) -> bool {
        let heard = self.subscription.take().is_some();
        self.gateway.metrics.large.subjects.dec_by(i64::from(heard));
        heard
    }

    fn take(&mut self, delivery: Option<Delivery>) {
        match delivery {
            Some(Delivery::Message(bytes)) => {
                if let Some(publication) = decode(bytes) {
                    self.gateway.metrics.publications.inc();
                    self.gateway.published(&self.key, publication);
                }
            }
            Some(Delivery::Dropped(_)) => {
                self.gateway.metrics.bus_gaps.inc();
                self.gateway.following.table.lock().moves.want();
                self.gateway.missing.notify_one();
            }
            None => self.unsubscribe(),
        }
    }

    async fn settle(&mut self) -> Settled {
        loop {
            let work = self.gateway.following.table.lock().work(&self.key);
            let done = match work {
                Work::Nothing => return Settled::All,
                Work::Leave(last) => {
                    self.gateway.told.lock().upto(&self.key, last);
                    return Settled::Left;
                }
                Work::Who(user) => self.who(&user).await,
                Work::End => self.end().await,
                Work::Read(from, to) => self.read(from, to).await,
            };
            if let Err(failure) = done {
                tracing::debug!(%failure, conversation = %self.key.conversation, "what is missing of a conversation is not known");
                return Settled::NotYet;
            }
        }
    }

    /// Whether somebody still is a member, where the last word on it is older than somebody's leaving.
    async fn who(&mut self, user: &UserId) -> Result<(), Failure> {
        let gateway = Arc::clone(&self.gateway);
        let member = match self.view(Some(user)).await {
            Ok(view) => view.0.then_some(view.1),
            Err(failure) if failure.code == Code::NotFound => None,
            Err(failure) => return Err(failure),
        };
        if gateway.following.table.lock().who(&self.key, user, member) {
            for id in gateway.registry.of_members(&self.key.tenant, std::slice::from_ref(user)) {
                gateway.registry.with(id, |connection| gateway.read_again(connection, &self.key));
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Failure> {
        let (_, end) = self.view(None).await?;
        self.gateway.following.table.lock().ends_for_sure(&self.key, end);
        Ok(())
    }

    /// What the owner says: whether the user is a member, and the end; without a user the end alone.
    async fn view(&mut self, user: Option<&UserId>) -> Result<(bool, u64), Failure> {
        let tenant = self.key.tenant.as_str().to_owned();
        let caller = match user {
            Some(user) => Caller { tenant, user: user.into(), ..Caller::default() },
            None => Caller { tenant, backend: true, ..Caller::default() },
        };
        let conversation = (&self.key.conversation).into();
        let _turn = self.gateway.following.reads.acquire().await;
        let view = self.gateway.view(ViewRequest { caller: Some(caller), conversation });
        self.gateway.in_context(view).await.map(|view| (view.member, view.end_seq))
    }

    async fn read(&mut self, from: u64, to: u64) -> Result<(), Failure> {
        let request = ReadRequest {
            tenant: (&self.key.tenant).into(),
            conversation: (&self.key.conversation).into(),
            from,
            to,
            limit: READ_ROWS,
            reverse: false,
            max_bytes: READ_BYTES,
        };
        let rows = {
            let _turn = self.gateway.following.reads.acquire().await;
            self.gateway.in_context(self.gateway.read(request)).await?.rows
        };
        if rows.first().is_some_and(|row| row.seq == from) {
            self.fruitless = 0;
            self.gateway.metrics.large.entries_read.inc_by(rows.len() as u64);
            self.gateway.give(&self.key, &rows, 0, None);
            return Ok(());
        }
        self.fruitless += 1;
        if self.fruitless < MAX_FRUITLESS {
            return Err(Failure::new(Code::Unavailable, "the log does not have what its owner has confirmed"));
        }
        tracing::error!(conversation = %self.key.conversation, from, to, "entries are missing from the log");
        self.fruitless = 0;
        self.gateway.following.table.lock().skip(&self.key);
        Ok(())
    }
}

async fn next(subscription: &mut Option<(Box<dyn Subscription>, OwnedSemaphorePermit)>) -> Option<Delivery> {
    match subscription {
        Some((subscription, _)) => subscription.next().await,
        None => std::future::pending().await,
    }
}

impl Gateway {
    /// What came on the subject of a conversation.
    fn published(&self, key: &ConversationKey, publication: Publication) {
        let Publication { what, traceparent, except_gateway, except_connection, .. } = publication;
        let trace = TraceContext::parse(&traceparent).map(|trace| trace.child(self.clock()));
        match what {
            Some(What::Entries(new)) => self.give(key, &new.rows, new.confirmed_ms, trace),
            Some(What::Typing(typing)) => {
                let members = self.following.table.lock().members(key);
                let mut connections = self.registry.of_members(&key.tenant, &members);
                connections.retain(|&id| id != except_connection || except_gateway != self.incarnation);
                tell(
                    self,
                    key.tenant.as_str(),
                    &connections,
                    &Event::new(Frame::Typing(typing), 0).into(),
                    &Told { trace, ..Told::default() },
                );
            }
            Some(What::End(end)) => self.following.table.lock().ends(key, end.seq),
            _ => {}
        }
    }

    /// Gives on what follows the last entries of a followed conversation. Under the table's lock: in the order of the log.
    fn give(&self, key: &ConversationKey, rows: &[Row], confirmed_ms: u64, trace: Option<TraceContext>) {
        let here = |user: &UserId| !self.registry.of_members(&key.tenant, std::slice::from_ref(user)).is_empty();
        let mut table = self.following.table.lock();
        for given in table.rows(key, rows, here) {
            let connections = self.registry.of_members(&key.tenant, &given.users);
            let mut told = Told { trace, ..Told::default() };
            let event = entries_event(String::from(&key.conversation), given.entries, confirmed_ms, &mut told.departed);
            tell(self, key.tenant.as_str(), &connections, &Arc::new(event), &told);
        }
    }

    /// Entries that came to connections, or users, by name: of a conversation that they follow from here on, or
    /// that somebody here follows. True if they were given on.
    pub(crate) fn introduced(
        &self,
        tenant: &str,
        new: &NewEntries,
        connections: &[u64],
        large: bool,
        trace: Option<TraceContext>,
    ) -> bool {
        let Some(key) = key_of(tenant, &new.conversation) else { return false };
        if !large && !self.following.table.lock().contains(&key) {
            return false;
        }
        let before = new.rows.first().map_or(0, |row| row.seq - 1);
        // What was told here before, as of a smaller one, is not told again; and who was a member before may have
        // left by that.
        let told = self.told.lock().last(&key);
        for &id in connections {
            let Some(connection) = self.registry.get(id).filter(|one| one.identity.tenant == key.tenant) else {
                continue;
            };
            if !self.follow_one(&connection, &key, before, told, false) && connection.is_following() {
                // Nothing of it would come: another gateway may have room.
                connection.outbox.order(Order::Leave(Code::Overloaded));
            }
        }
        self.give(&key, &new.rows, new.confirmed_ms, trace);
        let last = new.rows.last().map_or(0, |row| row.seq);
        self.following.table.lock().published_as(&key, large, last);
        self.told.lock().upto(&key, last);
        true
    }

    /// The owner of a user said what large conversations they are a member of, and up to where they know each of
    /// them. Errors: `overloaded`.
    pub(crate) fn follow(&self, connection: &Connection, follow: &[Follow]) -> Result<(), Failure> {
        let tenant = connection.identity.tenant.as_str();
        let mut full = false;
        for Follow { conversation, end_seq } in follow {
            let Some(key) = key_of(tenant, conversation) else { continue };
            full |= !self.follow_one(connection, &key, *end_seq, *end_seq, true);
        }
        if full {
            return Err(Failure::plain(Code::Overloaded).limit("edge.max_followed"));
        }
        connection.follows();
        Ok(())
    }

    /// `knows`: the client knows what is up to `at`, and may have missed what others were given since. False
    /// where there is no room.
    fn follow_one(&self, connection: &Connection, key: &ConversationKey, at: u64, told: u64, knows: bool) -> bool {
        let user = &connection.identity.user;
        let (follows, new) = {
            let mut table = self.following.table.lock();
            let new = !table.follows(key, user);
            let follows = table.follow_beyond(key, user, at, told);
            if self.registry.get(connection.id).is_none() {
                // It ended meanwhile.
                self.forget_follower(&mut table, connection);
            }
            (follows, new)
        };
        self.following.begun.notify_one();
        let late = match follows {
            Ok(follows) => follows == Follows::Late && (knows || new),
            Err(Full) => true,
        };
        if late {
            self.read_again(connection, key);
        }
        follows.is_ok()
    }

    /// Nobody else of the user's is here: what they followed is forgotten.
    pub(crate) fn unfollow(&self, connection: &Connection) {
        self.forget_follower(&mut self.following.table.lock(), connection);
    }

    fn forget_follower(&self, table: &mut Followed, connection: &Connection) {
        let user = connection.identity.user_key();
        if self.registry.of_members(&user.tenant, std::slice::from_ref(&user.user)).is_empty() {
            table.gone(&user);
        }
    }

    /// Something of the conversation was not given to the connection.
    fn read_again(&self, connection: &Connection, key: &ConversationKey) {
        self.metrics.resync("followed");
        self.dropped(connection.outbox.lose(Code::Overloaded, key.conversation.as_str()));
    }

    /// For a client that has not asked for its conversations: nobody knows what it knows of them, and it is told
    /// to read the large ones. False where it has to be tried again.
    pub(crate) async fn follow_unasked(&self, connection: &Connection) -> bool {
        if connection.is_following() {
            return true;
        }
        let request = SyncRequest { caller: Some(connection.caller()), limit: 1, ..SyncRequest::default() };
        let Ok(reply) = self.sync(request).await else { return false };
        if self.follow(connection, &reply.follow).is_err() {
            return false;
        }
        for follow in &reply.follow {
            self.dropped(connection.outbox.lose(Code::Overloaded, &follow.conversation));
        }
        true
    }
}

fn key_of(tenant: &str, conversation: &str) -> Option<ConversationKey> {
    Some(ConversationKey { tenant: TenantId::new(tenant).ok()?, conversation: ConversationId::new(conversation).ok()? })
}
