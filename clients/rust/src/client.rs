//! The handle that an application holds.

use std::sync::Arc;

use parking_lot::Mutex;
use posthorn_clock::Clock;
use posthorn_errors::Failure;
use posthorn_proto::client::{
    AddMembers, ConversationCreated, CreateConversation, Done, History, HistoryPage, Leave, ListMembers, Mark, Marked,
    MemberPage, MembersChanged, Membership, PresenceWatched, Registers, RegistersSet, RemoveMember, Role, SetRegisters,
    SetRole, Typing, WatchPresence, client_frame::Request, server_frame::Frame,
};
use posthorn_tasks::Tasks;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    ClientConfig, ConnectionState, Connector, Outgoing, Saved, Sending, Sink, TokenSource,
    engine::{Command, Engine},
};

/// What a client stands on.
#[derive(Clone)]
pub struct ClientDeps {
    pub clock: Clock,
    pub tasks: Tasks,
    pub connector: Arc<dyn Connector>,
    pub tokens: Arc<dyn TokenSource>,
    pub sink: Sink,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    #[error("{0}")]
    Refused(Failure),
    /// The connection was lost before the answer, or none was there in time.
    #[error("no answer: the connection was lost, or it took too long")]
    NoAnswer,
    #[error("{0} is full")]
    Full(&'static str),
    #[error("the client has ended")]
    Ended,
    #[error("the answer is of another kind than the request")]
    Unexpected,
}

impl ClientError {
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Refused(failure) => failure.code.retryable(),
            Self::NoAnswer | Self::Full(_) => true,
            Self::Ended | Self::Unexpected => false,
        }
    }
}

pub(crate) type CallAnswer = oneshot::Sender<Result<Frame, ClientError>>;

/// What is left when the task has ended.
pub(crate) struct Shared {
    pub saved: Mutex<Saved>,
    pub state: watch::Sender<ConnectionState>,
}

/// One device of one user. Cheap to clone; the client ends when the last clone is dropped.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::Sender<Box<Command>>,
    shared: Arc<Shared>,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ident: $ask:ty) -> $frame:ident($answer:ty);)*) => {
        impl Client {
            $($(#[$doc])*
            pub async fn $name(&self, request: $ask) -> Result<$answer, ClientError> {
                match self.call(Request::$request(request)).await? {
                    Frame::$frame(answer) => Ok(answer),
                    _ => Err(ClientError::Unexpected),
                }
            })*
        }
    };
}

calls! {
    /// A page of the log.
    history(History: History) -> History(HistoryPage);
    /// Moves marks; they only grow.
    mark(Mark: Mark) -> Marked(Marked);
    typing(Typing: Typing) -> Done(Done);
    /// Replaces the set of users whose presence is watched. The last set that the server took is asked for
    /// again after a reconnect; what it finds then comes as [`crate::Event::Presence`].
    watch_presence(WatchPresence: WatchPresence) -> PresenceWatched(PresenceWatched);
    create_conversation(CreateConversation: CreateConversation) -> ConversationCreated(ConversationCreated);
    list_members(ListMembers: ListMembers) -> Members(MemberPage);
}

impl Client {
    /// Starts to connect.
    #[must_use]
    pub fn start(config: ClientConfig, deps: ClientDeps) -> Self {
        let (commands, receiver) = mpsc::channel(config.command_queue.max(1));
        let state = watch::Sender::new(ConnectionState::Connecting { attempt: 0, reason: None });
        let saved = Mutex::new(config.saved.clone().unwrap_or_default());
        let shared = Arc::new(Shared { saved, state });
        let tasks = deps.tasks.clone();
        // On the heap: the task's future then is a pointer wherever it is moved.
        let engine = Box::new(Engine::new(config, deps, receiver, Arc::clone(&shared)));
        tasks.background("client", Box::pin(engine.run()));
        Self { commands, shared }
    }

    /// Queues a send. Errors: [`ClientError::Full`] beyond `max_queued_sends`, [`ClientError::Ended`].
    pub async fn send(&self, outgoing: Outgoing) -> Result<Sending, ClientError> {
        let (answer, answered) = oneshot::channel();
        self.command(Command::Send { outgoing, answer }).await?;
        answered.await.map_err(|_| ClientError::Ended)?
    }

    pub async fn add_members(
        &self,
        conversation: &str,
        members: Vec<Membership>,
    ) -> Result<MembersChanged, ClientError> {
        self.change(Request::AddMembers(AddMembers { conversation: conversation.into(), members })).await
    }

    pub async fn remove_member(&self, conversation: &str, user: &str) -> Result<MembersChanged, ClientError> {
        self.change(Request::RemoveMember(RemoveMember { conversation: conversation.into(), user: user.into() })).await
    }

    pub async fn leave(&self, conversation: &str) -> Result<MembersChanged, ClientError> {
        self.change(Request::Leave(Leave { conversation: conversation.into() })).await
    }

    pub async fn set_role(&self, conversation: &str, user: &str, role: Role) -> Result<MembersChanged, ClientError> {
        let request = SetRole { conversation: conversation.into(), user: user.into(), role: role.into() };
        self.change(Request::SetRole(request)).await
    }

    pub async fn set_registers(&self, set: SetRegisters) -> Result<Registers, ClientError> {
        match self.call(Request::SetRegisters(set)).await? {
            Frame::RegistersSet(RegistersSet { registers: Some(registers) }) => Ok(registers),
            _ => Err(ClientError::Unexpected),
        }
    }

    async fn change(&self, request: Request) -> Result<MembersChanged, ClientError> {
        match self.call(request).await? {
            Frame::MembersChanged(changed) => Ok(changed),
            _ => Err(ClientError::Unexpected),
        }
    }

    async fn call(&self, request: Request) -> Result<Frame, ClientError> {
        let (answer, answered) = oneshot::channel();
        self.command(Command::Call { request, answer }).await?;
        answered.await.map_err(|_| ClientError::Ended)?
    }

    async fn command(&self, command: Command) -> Result<(), ClientError> {
        self.commands.send(Box::new(command)).await.map_err(|_| ClientError::Ended)
    }

    /// Where the client stands, with everything that was given to the sink; keep it across restarts.
    pub async fn saved(&self) -> Saved {
        let (answer, answered) = oneshot::channel();
        if self.command(Command::Save(answer)).await.is_ok()
            && let Ok(saved) = answered.await
        {
            return saved;
        }
        self.shared.saved.lock().clone()
    }

    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.shared.state.borrow().clone()
    }

    /// Waits for a connection; false if the client has ended instead.
    pub async fn connected(&self) -> bool {
        let mut state = self.shared.state.subscribe();
        let settled = |state: &ConnectionState| !matches!(state, ConnectionState::Connecting { .. });
        let found = state.wait_for(settled).await.map(|state| matches!(*state, ConnectionState::Connected { .. }));
        found.unwrap_or(false)
    }

    /// Cuts the connection without a goodbye, as a dying network would. The client comes back.
    pub async fn cut(&self) {
        let _ = self.command(Command::Cut).await;
    }

    /// Says goodbye and ends. Waits until that is done.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.command(Command::Close(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }
}
