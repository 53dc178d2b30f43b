//! What is shown. Pure. Nothing that others wrote reaches the terminal as a control sequence.

use posthorn_client::{
    ConnectionState, Event, Gap, Reason, SendState,
    proto::{Conversation, Entry, Kind, Status, Style},
};

/// Control characters would move the cursor or worse.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
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
    let text = body.map(|b| plain(&b.text));
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

/// A line for an event, if it needs one. `open`: only its entries come without their conversation.
pub fn event(event: &Event, open: &str) -> Vec<String> {
    match event {
        Event::State(ConnectionState::Connected { resumed, .. }) => {
            vec![if *resumed { "-- connected again".into() } else { "-- connected".into() }]
        }
        Event::State(ConnectionState::Connecting { reason: Some(why), .. }) => {
            vec![format!("-- connection lost ({}), trying again", reason(why))]
        }
        Event::State(ConnectionState::Connecting { .. }) => Vec::new(),
        Event::State(ConnectionState::Disconnected { reason: why }) => vec![format!("-- ended: {}", reason(why))],
        Event::Entries { conversation, entries } => {
            let prefix = if **conversation == *open { String::new() } else { format!("{conversation} ") };
            entries.iter().map(|e| format!("{prefix}{}", entry(e))).collect()
        }
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
    fn only_other_conversations_are_named() {
        let of = |open: &str| {
            let entries = vec![Entry { kind: Kind::System.into(), body: Some(Body::default()), ..Entry::default() }];
            event(&Event::Entries { conversation: "lobby".into(), entries }, open)
        };
        assert_eq!((of("lobby"), of("x")), (vec!["[00:00] -- ".to_owned()], vec!["lobby [00:00] -- ".to_owned()]));
    }
}
