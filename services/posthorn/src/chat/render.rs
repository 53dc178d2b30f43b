//! What is shown. Pure. Nothing that others wrote reaches the terminal as a control sequence.

use posthorn_client::{
    ConnectionState, Event, Gap, Reason, SendState,
    proto::{Conversation, Entry, Kind, Status, Style},
};

/// Control characters would move the cursor or worse; those of bidirectional text (Unicode UAX 9) would
/// turn the rest of the line around.
pub fn plain(text: &str) -> String {
    let harmful = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// Further lines stand below the first, moved in: none can be taken for the message of somebody else.
fn lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n        ")
}

/// `HH:MM` in UTC.
fn time(ms: u64) -> String {
    let minutes = ms / 60_000;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

pub fn entry(entry: &Entry) -> String {
    let (at, author) = (time(entry.time_ms), &entry.author);
    let body = entry.body.as_ref();
    let about = body.and_then(|b| b.member.as_ref()).map_or("", |m| m.user.as_str());
    let text = body.map(|b| lines(&b.text));
    match (entry.kind(), text) {
        (Kind::Message, Some(text)) if body.is_some_and(|b| b.style() == Style::Action) => {
            format!("[{at}] * {author} {text}")
        }
        (Kind::Message, Some(text)) => format!("[{at}] <{author}> {text}"),
        (Kind::Message, None) => format!("[{at}] <{author}> (gone)"),
        (Kind::System, text) => format!("[{at}] -- {}", text.unwrap_or_default()),
        (Kind::Created, _) => format!("[{at}] -- {author} created the conversation"),
        (Kind::Joined, _) => format!("[{at}] -- {about} joined"),
        (Kind::Left | Kind::Removed, _) => format!("[{at}] -- {about} left"),
        (Kind::Role, _) => format!("[{at}] -- {about} has another role"),
        (Kind::Title, _) => format!("[{at}] -- the title is now {}", plain(body.map_or("", |b| &b.title))),
        (_, _) => format!("[{at}] -- {author} did something that this version does not know"),
    }
}

pub fn listed(conversation: &Conversation) -> String {
    let c = conversation;
    let name = if !c.peer.is_empty() { format!("with {}", c.peer) } else { plain(&c.title) };
    let preview = c.preview.as_ref().map(|preview| format!("  {}", entry(preview))).unwrap_or_default();
    // A line each.
    let preview = preview.lines().next().unwrap_or_default();
    format!("{}  {name}  {} members, {} unread{preview}", c.conversation, c.member_count, c.unread)
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Application => "as asked".into(),
        Reason::Network(why) | Reason::Token(why) => plain(why),
        Reason::Server(failure) => plain(&failure.to_string()),
        Reason::Closed(code) => format!("closed with {code}"),
    }
}

/// Why there is no connection, again or still.
pub fn not_connected(why: &Reason, was_online: bool) -> String {
    let what = if was_online { "connection lost" } else { "no connection" };
    format!("-- {what} ({}), trying again", reason(why))
}

/// A line for an event other than entries, if it needs one.
pub fn event(event: &Event) -> Vec<String> {
    match event {
        Event::State(ConnectionState::Connected { resumed, .. }) => {
            vec![if *resumed { "-- connected again".into() } else { "-- connected".into() }]
        }
        Event::State(ConnectionState::Disconnected { reason: why }) => vec![format!("-- ended: {}", reason(why))],
        Event::Gap { gap: Gap::Hidden, .. } => Vec::new(),
        Event::Gap { conversation, from, to, .. } => vec![format!("{conversation} -- {from} to {to} are not shown")],
        Event::Reset { .. } => vec!["-- the server was restored from a backup".into()],
        Event::Typing(t) if t.active => vec![format!("{} -- {} is typing", t.conversation, t.user)],
        Event::Presence(p) => vec![presence(&p.user, p.status(), p.last_seen_ms)],
        _ => Vec::new(),
    }
}

pub fn presence(user: &str, status: Status, last_seen_ms: u64) -> String {
    match status {
        Status::Online => format!("-- {user} is online"),
        Status::Offline if last_seen_ms > 0 => format!("-- {user} is offline since {}", time(last_seen_ms)),
        Status::Offline => format!("-- {user} is offline"),
        _ => format!("-- nobody knows where {user} is"),
    }
}

/// How far an own message came; `None` where nothing is to be said.
pub fn sending(state: &SendState) -> Option<String> {
    match state {
        SendState::Queued | SendState::Sent => None,
        SendState::NotConfirmed => Some("-- not confirmed yet, trying again".into()),
        SendState::Stored(s) => Some(format!("-- {} stored ({})", s.seq, durability(s.durability))),
        SendState::Delivered(s) => Some(format!("-- {} delivered", s.seq)),
        SendState::Read(s) => Some(format!("-- {} read", s.seq)),
        SendState::Failed(failure) => Some(format!("-- not sent: {}", plain(&failure.to_string()))),
    }
}

const fn durability(durability: posthorn_client::proto::Durability) -> &'static str {
    use posthorn_client::proto::Durability;
    match durability {
        Durability::Synced => "synced",
        Durability::Quorum => "quorum",
        Durability::Memory | Durability::Unspecified => "memory",
    }
}

#[cfg(test)]
mod tests {
    use posthorn_client::proto::Body;

    use super::*;

    #[test]
    fn messages_look_like_a_log_and_cannot_drive_the_terminal() {
        let body = |text: &str, style: Style| Some(Body { text: text.into(), style: style.into(), ..Body::default() });
        let said = |body| Entry {
            kind: Kind::Message.into(),
            author: "ada".into(),
            time_ms: 33_240_000,
            body,
            ..Entry::default()
        };
        assert_eq!(entry(&said(body("hi", Style::Unspecified))), "[09:14] <ada> hi");
        assert_eq!(entry(&said(body("waves", Style::Action))), "[09:14] * ada waves");
        assert_eq!(entry(&said(body("\u{1b}[2J", Style::Unspecified))), "[09:14] <ada> \u{fffd}[2J");
        assert_eq!(entry(&said(None)), "[09:14] <ada> (gone)");
    }

    #[test]
    fn further_lines_are_moved_in() {
        let body = Body { text: "one\n[09:15] <ben> two\u{202e}".into(), ..Body::default() };
        let said = Entry { kind: Kind::Message.into(), author: "ada".into(), body: Some(body), ..Entry::default() };
        assert_eq!(entry(&said), "[00:00] <ada> one\n        [09:15] <ben> two\u{fffd}");
        let known = Conversation { conversation: "lobby".into(), preview: Some(said), ..Conversation::default() };
        assert_eq!(listed(&known), "lobby    0 members, 0 unread  [00:00] <ada> one");
    }
}
