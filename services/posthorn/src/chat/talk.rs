//! One sitting: what comes from the server and what is typed, each in its turn. Nothing that is waited
//! for keeps the rest from being shown.

use std::{
    collections::VecDeque,
    io::{self, Stdout},
    pin::pin,
    time::Duration,
};

use posthorn_client::{
    Client, ConnectionState, Event, SendState,
    proto::{Entry, Mark, Typing},
};
use posthorn_clock::{Instant, sleep_until, timeout};
use posthorn_tasks::Tasks;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    commands::{Input, parse},
    edit::{Line, Pressed},
    follow::{Ticks, Told},
    input::{Came, Source, Terminal},
    keys::Key,
    list::List,
    render,
    screen::Screen,
    typists::Typists,
};

/// Lines of input that wait for those before them.
const MAX_TODO: usize = 64;
/// At the end, for what was sent, s.
const LAST_WORDS_S: u64 = 10;
/// Before the first line of input is acted on, s.
const FIRST_SYNC_S: u64 = 10;

/// What is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    None,
    Conversation(String),
    /// The direct conversation with a user, which is made by its first message.
    To(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    Asked,
    /// Whatever is still to be stored.
    AtOnce,
}

pub struct Chat {
    pub client: Client,
    pub tasks: Tasks,
    me: String,
    pub place: Place,
    pub list: List,
    pub ticks: Ticks,
    pub typists: Typists,
    pub screen: Screen<Stdout>,
    line: Line,
    source: Source,
    source_over: bool,
    todo: VecDeque<Input>,
    events: mpsc::Receiver<Event>,
    states: mpsc::Receiver<Told>,
    states_over: bool,
    /// How far own messages came; none is followed any more without it.
    pub told: Option<mpsc::Sender<Told>>,
    /// For who follows own messages: stored is enough now.
    pub stored_is_enough: CancellationToken,
    online: bool,
    was_online: bool,
    synced: bool,
    /// The latest reason that was shown for being offline.
    lost: String,
    leaving: Leaving,
    /// The client will not come back.
    ended: bool,
}

impl Chat {
    pub fn new(
        me: String,
        client: Client,
        tasks: Tasks,
        source: Source,
        events: mpsc::Receiver<Event>,
        (told, states): (mpsc::Sender<Told>, mpsc::Receiver<Told>),
    ) -> Self {
        let screen = match &source {
            Source::Terminal(_) => Screen::terminal(io::stdout(), Terminal::columns()),
            Source::Pipe(_) => Screen::lines(io::stdout()),
        };
        Self {
            client,
            tasks,
            me,
            place: Place::None,
            list: List::default(),
            ticks: Ticks::default(),
            typists: Typists::default(),
            screen,
            line: Line::default(),
            source,
            source_over: false,
            todo: VecDeque::new(),
            events,
            states,
            states_over: false,
            told: Some(told),
            stored_is_enough: CancellationToken::new(),
            online: false,
            was_online: false,
            synced: false,
            lost: String::new(),
            leaving: Leaving::No,
            ended: false,
        }
    }

    /// True: all that was sent was stored or refused, and the server had nothing against coming back.
    pub async fn run(&mut self, open: Option<String>, to: Option<String>) -> io::Result<bool> {
        // What is open, and what there is, is known with the first sync.
        let synced = async {
            while !self.synced && !self.over() {
                self.turn().await?;
            }
            io::Result::Ok(())
        };
        timeout(Duration::from_secs(FIRST_SYNC_S), synced).await.unwrap_or(Ok(()))?;
        match (open, to) {
            _ if self.over() => {}
            (Some(conversation), _) => self.act(Input::Open(conversation)).await?,
            (None, Some(user)) => self.act(Input::To(user)).await?,
            (None, None) => self.greet(),
        }
        while !self.over() {
            match self.todo.pop_front() {
                Some(input) => self.act(input).await?,
                None if self.source_over => break,
                None => self.turn().await?,
            }
        }
        self.last_words().await?;
        self.client.close().await;
        self.screen.erase();
        Ok(!self.ended && self.ticks.open() == 0)
    }

    fn over(&self) -> bool {
        self.ended || self.leaving != Leaving::No
    }

    pub fn leave(&mut self) {
        self.leaving = Leaving::Asked;
    }

    /// Handles the next thing that happens. Cancel-safe.
    async fn turn(&mut self) -> io::Result<()> {
        self.screen.draw(&self.prompt(), &self.line);
        // A terminal is always listened to: Ctrl-C comes from there.
        let listening = !self.source_over && (self.screen.is_terminal() || self.todo.len() < MAX_TODO);
        let typist = self.typists.due();
        tokio::select! {
            came = self.source.next(), if listening => self.came(came?),
            Some(event) = self.events.recv() => self.show(event),
            told = self.states.recv(), if !self.states_over => match told {
                Some(told) => self.told(&told),
                None => self.states_over = true,
            },
            () = sleep_until(typist.unwrap_or_else(Instant::now)), if typist.is_some() => {
                self.typists.expire(Instant::now());
            }
            else => self.ended = true,
        }
        Ok(())
    }

    /// Goes on with everything while `work` is waited for; `None` where the end came first.
    pub async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> io::Result<Option<T>> {
        let mut work = pin!(work);
        while !self.over() {
            tokio::select! {
                biased;
                done = &mut work => return Ok(Some(done)),
                turned = self.turn() => turned?,
            }
        }
        Ok(None)
    }

    fn came(&mut self, came: Came) {
        match came {
            Came::Keys(keys) => keys.into_iter().for_each(|key| self.press(key)),
            Came::Line(line) => self.todo.push_back(parse(&line)),
            Came::Resized => self.screen.resize(Terminal::columns()),
            Came::Continued => self.screen.begin_anew(Terminal::columns()),
            Came::Interrupted => self.interrupted(),
            Came::Terminated => self.leaving = Leaving::AtOnce,
            Came::Over => self.source_over = true,
        }
    }

    fn interrupted(&mut self) {
        if self.leaving != Leaving::No {
            self.leaving = Leaving::AtOnce;
        } else if self.line.is_empty() {
            self.leave();
        } else {
            self.line.clear();
            self.tell_typing();
        }
    }

    fn press(&mut self, key: Key) {
        match self.line.press(key) {
            Pressed::Edited => self.tell_typing(),
            Pressed::Done(_) if self.todo.len() >= MAX_TODO => {
                self.screen.say("-- too much is waiting already; the up arrow brings the line back");
            }
            Pressed::Done(text) => {
                let input = parse(&text);
                // A message comes back from the server, where it has its place among the others.
                if !matches!(input, Input::Say(_) | Input::Action(_) | Input::Nothing) {
                    self.screen.say(&format!("> {text}"));
                    self.tell_typing();
                }
                self.todo.push_back(input);
            }
            Pressed::Interrupted => self.interrupted(),
            Pressed::Redraw => self.screen.clear(),
            Pressed::Full => self.screen.say("-- the line is full"),
            Pressed::Over => self.todo.push_back(Input::Quit),
        }
    }

    fn tell_typing(&mut self) {
        let Place::Conversation(conversation) = &self.place else { return };
        let typing = !self.line.is_empty() && !self.line.is_command();
        let Some(active) = self.typists.own(conversation, typing, Instant::now()) else { return };
        if self.online {
            let (client, conversation) = (self.client.clone(), conversation.clone());
            self.tasks.background("chat_typing", async move {
                // Nothing to be done about it: whoever waits for it will see the message.
                let _ = client.typing(Typing { conversation, active }).await;
            });
        }
    }

    fn show(&mut self, event: Event) {
        for line in self.lines(&event) {
            self.screen.say(&line);
        }
        match event {
            Event::State(state) => self.state(&state),
            Event::Conversation(conversation) => {
                if self.place == Place::To(conversation.peer.clone()) {
                    self.place = Place::Conversation(conversation.conversation.clone());
                }
                self.list.note(*conversation);
            }
            Event::Synced { .. } => self.synced = true,
            Event::Typing(t) => self.typists.is(&t.conversation, &t.user, t.active, Instant::now()),
            Event::Entries { conversation, entries } => self.heard(&conversation, &entries),
            _ => {}
        }
    }

    /// What is said of an event. A terminal shows who types, and that there is no connection, in the prompt.
    fn lines(&mut self, event: &Event) -> Vec<String> {
        let terminal = self.screen.is_terminal();
        match event {
            Event::Typing(_) if terminal => Vec::new(),
            Event::State(ConnectionState::Connecting { reason: Some(why), .. }) => {
                let why = render::not_connected(why, self.was_online);
                // Once, not with every attempt.
                let new = self.lost != why;
                self.lost.clone_from(&why);
                if new { vec![why] } else { Vec::new() }
            }
            Event::Entries { conversation, entries } => {
                let prefix = if *self.open() == **conversation {
                    String::new()
                } else if terminal {
                    format!("{} ", self.label(conversation))
                } else {
                    format!("{conversation} ")
                };
                entries.iter().map(|entry| format!("{prefix}{}", render::entry(entry))).collect()
            }
            event => render::event(event),
        }
    }

    fn state(&mut self, state: &ConnectionState) {
        self.online = matches!(state, ConnectionState::Connected { .. });
        if self.online {
            self.was_online = true;
            self.lost.clear();
        }
        self.ended |= matches!(state, ConnectionState::Disconnected { .. });
    }

    fn heard(&mut self, conversation: &str, entries: &[Entry]) {
        let now = Instant::now();
        entries.iter().for_each(|entry| self.typists.is(conversation, &entry.author, false, now));
        let open = self.open() == conversation;
        self.list.heard(&self.me, conversation, entries, open);
        // What is on the screen is read.
        if open && entries.iter().any(|entry| entry.author != self.me) {
            self.mark(conversation, entries.last().map_or(0, |entry| entry.seq));
        }
    }

    pub fn mark(&mut self, conversation: &str, read: u64) {
        self.list.read(conversation);
        let mark = Mark { conversation: conversation.to_owned(), delivered: read, read };
        let client = self.client.clone();
        self.tasks.background("chat_mark", async move {
            if let Err(error) = client.mark(mark).await {
                tracing::debug!(%error, "not marked");
            }
        });
    }

    fn told(&mut self, told: &Told) {
        self.ticks.told(told);
        // A terminal shows ticks in the prompt.
        let shown = !self.screen.is_terminal() || matches!(told.state, SendState::Failed(_));
        if let Some(line) = render::sending(&told.state).filter(|_| shown) {
            self.screen.say(&line);
        }
        // The first message made the direct conversation.
        if let Some(stored) = told.state.stored()
            && self.place == Place::To(told.to.clone())
        {
            self.place = Place::Conversation(stored.conversation.clone());
        }
    }

    /// The open conversation; empty where there is none yet.
    pub fn open(&self) -> &str {
        match &self.place {
            Place::Conversation(conversation) => conversation,
            Place::None | Place::To(_) => "",
        }
    }

    /// A direct conversation is called by whom it is with.
    fn label(&self, conversation: &str) -> String {
        match self.list.get(conversation) {
            Some(known) if !known.peer.is_empty() => format!("@{}", known.peer),
            _ => conversation.to_owned(),
        }
    }

    fn prompt(&self) -> String {
        let name = match &self.place {
            Place::None => String::new(),
            Place::Conversation(conversation) => self.label(conversation),
            Place::To(user) => format!("@{user}"),
        };
        let offline = (!self.online).then(|| "offline".to_owned());
        let open = self.open();
        let words = [offline, self.ticks.words(open), self.typists.words(open)];
        let words: Vec<String> = words.into_iter().flatten().collect();
        match (name.is_empty(), words.is_empty()) {
            (true, true) => "> ".to_owned(),
            (false, true) => format!("{name}> "),
            (true, false) => format!("({})> ", words.join(", ")),
            (false, false) => format!("{name} ({})> ", words.join(", ")),
        }
    }

    /// What was sent is not left behind.
    async fn last_words(&mut self) -> io::Result<()> {
        self.told = None;
        self.stored_is_enough.cancel();
        if self.screen.is_terminal() && self.ticks.open() > 0 && !self.ended {
            self.screen.say("-- waiting until everything is stored; Ctrl-C leaves it behind");
        }
        let words = async {
            // What comes is shown, too: unread, it would keep the client from reading the acknowledgements.
            while !self.states_over && self.leaving != Leaving::AtOnce {
                self.turn().await?;
            }
            io::Result::Ok(())
        };
        timeout(Duration::from_secs(LAST_WORDS_S), words).await.unwrap_or(Ok(()))?;
        if self.ticks.open() > 0 {
            self.screen.say(&format!("-- not known to be stored: {} of what you sent", self.ticks.open()));
        }
        Ok(())
    }
}
