//! `posthorn chat`: a person at a terminal, or a script through pipes. Line by line.

mod commands;
mod follow;
mod render;

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use posthorn_client::{
    Client, ClientConfig, ClientDeps, ClientError, ConnectionState, Event, Outgoing, SendState, Sink, TcpConnector,
    TokenError, TokenReason, TokenSource,
    backend::Backend,
    proto::{
        Body, CreateConversation, History, ListMembers, Mark, Membership, Role, Style, Typing, Unit, WatchPresence,
    },
};
use posthorn_clock::{Clock, timeout};
use posthorn_errors::Code;
use posthorn_tasks::Tasks;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use self::{
    commands::{HELP, HISTORY, Input, parse},
    follow::follow,
};

/// Events that wait to be shown.
const MAX_EVENTS: usize = 256;
/// At the end of the input, for what was sent and for what is still coming, s.
const LAST_WORDS_S: u64 = 10;
const TOKEN_TTL_S: u64 = 3_600;
/// Before the first line of input is taken, s.
const FIRST_SYNC_S: u64 = 10;
/// Conversations that `/list` shows.
const MAX_LISTED: usize = 50;

/// Talk from a terminal
#[derive(Args, Debug)]
pub struct ChatArgs {
    /// Who you are
    #[arg(long)]
    user: String,
    /// WebSocket address of the server
    #[arg(long, env = "POSTHORN_URL", default_value = "ws://127.0.0.1:8080/v1/ws")]
    url: String,
    /// API key of the tenant: tokens are minted with it
    #[arg(long, env = "POSTHORN_ADMIN_KEY", hide_env_values = true, required_unless_present = "token")]
    admin_key: Option<String>,
    /// A token of the user
    #[arg(long, env = "POSTHORN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[arg(long, default_value = "terminal")]
    device: String,
    /// Open this conversation
    #[arg(long, conflicts_with = "to")]
    open: Option<String>,
    /// Open the direct conversation with this user
    #[arg(long)]
    to: Option<String>,
}

/// Mints tokens as they are needed.
struct Minted {
    backend: Backend,
    user: String,
    device: String,
}

#[async_trait::async_trait]
impl TokenSource for Minted {
    async fn token(&self, _reason: TokenReason) -> Result<String, TokenError> {
        let minted = self.backend.mint_token(&self.user, &self.device, TOKEN_TTL_S, "").await;
        minted
            .map(|minted| minted.token)
            .map_err(|error| TokenError { message: error.to_string(), give_up: !error.retryable() })
    }
}

async fn tokens(args: &ChatArgs) -> Result<Arc<dyn TokenSource>> {
    if let Some(token) = &args.token {
        return Ok(Arc::new(token.clone()));
    }
    let Some(key) = &args.admin_key else { bail!("one of --admin-key and --token is needed") };
    let backend = Backend::new(&Backend::base_of(&args.url)?, key, Duration::from_secs(20))?;
    match backend.create_user(&args.user, &args.user).await {
        // Known under another name.
        Err(error) if error.code() == Some(Code::AlreadyExists) => {}
        made => made?,
    }
    Ok(Arc::new(Minted { backend, user: args.user.clone(), device: args.device.clone() }))
}

/// Runs until the input ends, `/quit`, or the server says not to come back.
pub async fn run(args: ChatArgs) -> Result<ExitCode> {
    let tasks = Tasks::new();
    let (sink, events) = Sink::channel(MAX_EVENTS);
    let (told, states) = mpsc::channel(MAX_EVENTS);
    let deps = ClientDeps {
        clock: Clock::system(),
        tasks: tasks.clone(),
        connector: Arc::new(TcpConnector),
        tokens: tokens(&args).await?,
        sink,
    };
    let config = ClientConfig { name: "posthorn-chat".into(), ..ClientConfig::new(&args.url) };
    let mut chat = Chat {
        client: Client::start(config, deps),
        tasks: tasks.clone(),
        me: args.user,
        place: Place::None,
        listed: Vec::new(),
        leaving: CancellationToken::new(),
        told: Some(told),
        states,
        events,
        ended: false,
    };
    // What is open, and what there is, is known with the first sync.
    chat.receive(Duration::from_secs(FIRST_SYNC_S), true).await;
    match (args.open, args.to) {
        (Some(conversation), _) => chat.input(Input::Open(conversation)).await,
        (None, Some(user)) => chat.input(Input::To(user)).await,
        (None, None) => true,
    };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while !chat.ended {
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else { break };
                if !chat.input(parse(&line)).await {
                    break;
                }
            }
            Some(event) = chat.events.recv() => chat.show(event).await,
            Some(state) = chat.states.recv() => chat.show_state(&state),
        }
    }
    chat.last_words().await;
    chat.client.close().await;
    tasks.stop();
    tasks.ended(Duration::from_secs(1)).await;
    Ok(if chat.ended { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    // A reader that went away ends the program at its next read of the input.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// What is open.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    None,
    Conversation(String),
    To(String),
}

struct Chat {
    client: Client,
    tasks: Tasks,
    me: String,
    place: Place,
    /// Latest first.
    listed: Vec<posthorn_client::proto::Conversation>,
    leaving: CancellationToken,
    /// How far own messages came; none is followed any more without the sender.
    told: Option<mpsc::Sender<SendState>>,
    states: mpsc::Receiver<SendState>,
    events: mpsc::Receiver<Event>,
    /// The client will not come back.
    ended: bool,
}

impl Chat {
    fn open(&self) -> &str {
        match &self.place {
            Place::Conversation(conversation) => conversation,
            Place::None | Place::To(_) => "",
        }
    }

    fn show_state(&mut self, state: &SendState) {
        if let Some(line) = render::sending(state) {
            say(line);
        }
        // The first message made the direct conversation.
        if let (Place::To(_), Some(stored)) = (&self.place, state.stored()) {
            self.place = Place::Conversation(stored.conversation.clone());
        }
    }

    /// Shows what comes for so long, or until a sync is complete.
    async fn receive(&mut self, limit: Duration, until_synced: bool) {
        let _ = timeout(limit, async {
            while !self.ended {
                tokio::select! {
                    Some(event) = self.events.recv() => {
                        let synced = matches!(event, Event::Synced { .. });
                        self.show(event).await;
                        if synced && until_synced {
                            return;
                        }
                    }
                    Some(state) = self.states.recv() => self.show_state(&state),
                    else => return,
                }
            }
        })
        .await;
    }

    async fn show(&mut self, event: Event) {
        for line in render::event(&event, self.open()) {
            say(line);
        }
        match event {
            Event::State(ConnectionState::Disconnected { .. }) => self.ended = true,
            Event::Conversation(conversation) => self.note(*conversation),
            Event::Entries { conversation, entries } => {
                let read = entries.last().map_or(0, |entry| entry.seq);
                // What is on the screen is read.
                if *conversation == *self.open() && entries.iter().any(|entry| entry.author != self.me) {
                    self.mark(&conversation, read).await;
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, conversation: posthorn_client::proto::Conversation) {
        if let Place::To(user) = &self.place
            && *user == conversation.peer
        {
            self.place = Place::Conversation(conversation.conversation.clone());
        }
        self.listed.retain(|known| known.conversation != conversation.conversation);
        self.listed.push(conversation);
        self.listed.sort_by_key(|known| std::cmp::Reverse(known.last_activity_ms));
        self.listed.truncate(MAX_LISTED);
    }

    async fn mark(&self, conversation: &str, read: u64) {
        let mark = Mark { conversation: conversation.to_owned(), delivered: read, read };
        if let Err(error) = self.client.mark(mark).await {
            tracing::debug!(%error, "not marked");
        }
    }

    /// False: the end was asked for.
    async fn input(&mut self, input: Input) -> bool {
        let done = match input {
            Input::Nothing => Ok(()),
            Input::Quit => return false,
            Input::Help => {
                say(HELP.trim_end());
                Ok(())
            }
            Input::Wrong(why) => {
                say(format_args!("-- {why}"));
                Ok(())
            }
            Input::Wait(seconds) => {
                self.receive(Duration::from_secs(seconds), false).await;
                Ok(())
            }
            Input::Say(text) => self.send(text, Style::Unspecified).await,
            Input::Action(text) => self.send(text, Style::Action).await,
            Input::List => {
                self.listed.iter().for_each(|conversation| say(render::listed(conversation)));
                Ok(())
            }
            Input::Open(conversation) => {
                self.place = Place::Conversation(conversation);
                self.history(HISTORY).await
            }
            Input::To(user) => self.open_direct(user).await,
            Input::History(count) => self.history(count).await,
            members => self.members(members).await,
        };
        if let Err(error) = done {
            say(format_args!("-- {}", render::plain(&error.to_string())));
        }
        true
    }

    async fn open_direct(&mut self, user: String) -> Result<(), ClientError> {
        let known = self.listed.iter().find(|c| c.peer == user).map(|c| c.conversation.clone());
        match known {
            Some(conversation) => {
                self.place = Place::Conversation(conversation);
                self.history(HISTORY).await
            }
            None => {
                self.place = Place::To(user);
                Ok(())
            }
        }
    }

    async fn send(&mut self, text: String, style: Style) -> Result<(), ClientError> {
        let (conversation, to) = match &self.place {
            Place::None => {
                say("-- nothing is open: /open CONVERSATION or /to USER");
                return Ok(());
            }
            Place::Conversation(conversation) => (conversation.clone(), String::new()),
            Place::To(user) => (String::new(), user.clone()),
        };
        let body = Body { text, style: style.into(), ..Body::default() };
        let sending = self.client.send(Outgoing { conversation, to, body, ..Outgoing::default() }).await?;
        if let Some(told) = self.told.clone() {
            self.tasks.background("chat_send", follow(sending, told, self.leaving.clone()));
        }
        Ok(())
    }

    async fn history(&self, limit: u64) -> Result<(), ClientError> {
        let conversation = self.open().to_owned();
        if conversation.is_empty() {
            say("-- nothing is open");
            return Ok(());
        }
        let asked = History { conversation, limit, unit: Unit::Messages.into(), ..History::default() };
        let page = self.client.history(asked).await?;
        page.entries.iter().for_each(|entry| say(render::entry(entry)));
        self.mark(&page.conversation, page.end_seq).await;
        Ok(())
    }

    async fn members(&mut self, input: Input) -> Result<(), ClientError> {
        let open = self.open().to_owned();
        match input {
            Input::Create { conversation, members } => {
                let member = |user: String| Membership { user, role: Role::Member.into() };
                let members = members.into_iter().map(member).collect();
                let create = CreateConversation { conversation, members, ..CreateConversation::default() };
                let created = self.client.create_conversation(create).await?;
                self.place = Place::Conversation(created.conversation);
            }
            Input::Members => {
                let asked = ListMembers { conversation: open, after: String::new(), limit: 100 };
                let page = self.client.list_members(asked).await?;
                let names: Vec<&str> = page.members.iter().map(|member| member.user.as_str()).collect();
                say(format_args!("-- {} members: {}", page.total, names.join(" ")));
            }
            Input::Add(user) => {
                let member = Membership { user, role: Role::Member.into() };
                self.client.add_members(&open, vec![member]).await?;
            }
            Input::Remove(user) => drop(self.client.remove_member(&open, &user).await?),
            Input::Leave => drop(self.client.leave(&open).await?),
            Input::Typing => drop(self.client.typing(Typing { conversation: open, active: true }).await?),
            Input::Presence(users) => {
                let watched = self.client.watch_presence(WatchPresence { users }).await?;
                watched.now.iter().for_each(|p| say(render::presence(&p.user, p.status(), p.last_seen_ms)));
            }
            _ => {}
        }
        Ok(())
    }

    /// What was sent is not left behind.
    async fn last_words(&mut self) {
        self.told = None;
        self.leaving.cancel();
        let _ = timeout(Duration::from_secs(LAST_WORDS_S), async {
            loop {
                tokio::select! {
                    state = self.states.recv() => match state {
                        Some(state) => self.show_state(&state),
                        None => return,
                    },
                    // Unread, it would stop the client from reading the acknowledgements.
                    Some(event) = self.events.recv() => self.show(event).await,
                }
            }
        })
        .await;
    }
}
