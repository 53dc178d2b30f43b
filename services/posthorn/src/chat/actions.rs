//! What each command does.

use std::{io, time::Duration};

use posthorn_client::{
    ClientError, Outgoing,
    proto::{Body, CreateConversation, History, ListMembers, Membership, Role, Style, Typing, Unit, WatchPresence},
};
use posthorn_clock::sleep;

use super::{
    commands::{HELP, HISTORY, Input, KEYS},
    follow::follow,
    render,
    talk::{Chat, Place},
};

/// Members that `/members` names.
const MAX_MEMBERS: u64 = 100;

impl Chat {
    pub async fn act(&mut self, input: Input) -> io::Result<()> {
        match input {
            Input::Nothing => {}
            Input::Quit => self.leave(),
            Input::Help => self.help(),
            Input::Wrong(why) => self.screen.say(&format!("-- {why}")),
            Input::Wait(seconds) => drop(self.meanwhile(sleep(Duration::from_secs(seconds))).await?),
            Input::Say(text) => self.send(text, Style::Unspecified).await?,
            Input::Action(text) => self.send(text, Style::Action).await?,
            Input::List => self.show_list(),
            Input::Open(conversation) => self.open_conversation(conversation, HISTORY).await?,
            Input::To(user) => match self.list.with(&user) {
                Some(known) => self.open_conversation(known.conversation.clone(), HISTORY).await?,
                None => self.place = Place::To(user),
            },
            Input::Create { conversation, members } => self.create(conversation, members).await?,
            Input::Presence(users) => {
                let client = self.client.clone();
                let watched = self.ask(async move { client.watch_presence(WatchPresence { users }).await }).await?;
                for p in watched.into_iter().flat_map(|watched| watched.now) {
                    self.screen.say(&render::presence(&p.user, p.status(), p.last_seen_ms));
                }
            }
            _ if self.open().is_empty() => self.screen.say("-- nothing is open: /open CONVERSATION or /to USER"),
            Input::History(count) => self.open_conversation(self.open().to_owned(), count).await?,
            members => self.members(members).await?,
        }
        Ok(())
    }

    /// Waits for an answer while everything goes on; a refusal is shown.
    async fn ask<T>(&mut self, work: impl Future<Output = Result<T, ClientError>>) -> io::Result<Option<T>> {
        Ok(match self.meanwhile(work).await? {
            Some(Ok(answer)) => Some(answer),
            Some(Err(error)) => {
                self.screen.say(&format!("-- {}", render::plain(&error.to_string())));
                None
            }
            None => None,
        })
    }

    fn help(&mut self) {
        self.screen.say(HELP.trim_end());
        if self.screen.is_terminal() {
            self.screen.say(KEYS.trim_end());
        }
    }

    fn show_list(&mut self) {
        let lines: Vec<String> = self.list.all().iter().map(render::listed).collect();
        if lines.is_empty() {
            self.screen.say("-- no conversations yet: /to USER or /create ID USER... begins one");
        }
        lines.iter().for_each(|line| self.screen.say(line));
    }

    /// For who sits down without having said what to open.
    pub fn greet(&mut self) {
        if self.screen.is_terminal() {
            self.show_list();
            self.screen.say("-- /open CONVERSATION or /to USER opens one; /help says the rest");
        }
    }

    async fn send(&mut self, text: String, style: Style) -> io::Result<()> {
        let (conversation, to) = match &self.place {
            Place::None => {
                self.screen.say("-- nothing is open: /open CONVERSATION or /to USER");
                return Ok(());
            }
            Place::Conversation(conversation) => (conversation.clone(), String::new()),
            Place::To(user) => (String::new(), user.clone()),
        };
        let body = Body { text, style: style.into(), ..Body::default() };
        let outgoing = Outgoing { conversation, to: to.clone(), body, ..Outgoing::default() };
        let client = self.client.clone();
        let sending = self.ask(async move { client.send(outgoing).await }).await?;
        self.typists.sent();
        if let (Some(sending), Some(told)) = (sending, self.told.clone()) {
            self.ticks.sent(sending.message_id);
            self.tasks.background("chat_send", follow(sending, to, told, self.stored_is_enough.clone()));
        }
        Ok(())
    }

    /// Opens it if it can be read, and shows its latest messages.
    async fn open_conversation(&mut self, conversation: String, limit: u64) -> io::Result<()> {
        let asked = History { conversation, limit, unit: Unit::Messages.into(), ..History::default() };
        let client = self.client.clone();
        let Some(page) = self.ask(async move { client.history(asked).await }).await? else { return Ok(()) };
        page.entries.iter().for_each(|entry| self.screen.say(&render::entry(entry)));
        self.mark(&page.conversation, page.end_seq);
        self.place = Place::Conversation(page.conversation);
        Ok(())
    }

    async fn create(&mut self, conversation: String, members: Vec<String>) -> io::Result<()> {
        let members = members.into_iter().map(member).collect();
        let create = CreateConversation { conversation, members, ..CreateConversation::default() };
        let client = self.client.clone();
        if let Some(created) = self.ask(async move { client.create_conversation(create).await }).await? {
            self.place = Place::Conversation(created.conversation);
        }
        Ok(())
    }

    /// Of the open conversation.
    async fn members(&mut self, input: Input) -> io::Result<()> {
        let (client, open) = (self.client.clone(), self.open().to_owned());
        match input {
            Input::Members => {
                let asked = ListMembers { conversation: open, after: String::new(), limit: MAX_MEMBERS };
                if let Some(page) = self.ask(async move { client.list_members(asked).await }).await? {
                    let names: Vec<&str> = page.members.iter().map(|member| member.user.as_str()).collect();
                    let more = if page.next.is_empty() { "" } else { " ..." };
                    self.screen.say(&format!("-- {} members: {}{more}", page.total, names.join(" ")));
                }
            }
            Input::Add(user) => {
                self.ask(async move { client.add_members(&open, vec![member(user)]).await }).await?;
            }
            Input::Remove(user) => {
                self.ask(async move { client.remove_member(&open, &user).await }).await?;
            }
            Input::Leave => {
                let left = self.ask(async move { client.leave(&open).await }).await?;
                if left.is_some() {
                    self.place = Place::None;
                }
            }
            Input::Typing => {
                let typing = Typing { conversation: open, active: true };
                self.ask(async move { client.typing(typing).await }).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn member(user: String) -> Membership {
    Membership { user, role: Role::Member.into() }
}
