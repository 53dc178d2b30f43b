//! Who is no member gets nothing: every kind of request, by everybody who must not. A kind of request without a word
//! here on who may does not compile; one without a try fails the test.

use std::collections::BTreeSet;

use posthorn_proto::client::{ClientFrame, client_frame::Request};
use serde_json::{Value, json};

use super::{
    place::{OTHER, Place, TENANT},
    wire::{Came, Wire, message_id},
};
use crate::ws::Protocol;

/// Stands in what was said in `room` before the former member joined, and after they left.
pub const SECRET_TEXT: &str = "swordfish-41c7";

/// Of whoever is shown to be there.
const ONLINE: &str = r#""status":"online""#;

/// Who tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Of the same tenant, in other conversations.
    Stranger,
    /// Of another tenant, under the very name of the owner.
    OtherTenant,
    /// Was a member for two entries in the middle.
    Former,
    /// Has not said who they are.
    Nobody,
}

/// What it must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Refused(&'static str),
    /// The connection ends.
    Closed(&'static str),
    /// Answered, of one's own alone: without the secret, and without the owner's doings.
    Own,
    /// Not answered at all.
    Silent,
}
use Verdict::{Closed, Own, Refused, Silent};

/// What a request about `room`, or about its owner, must come to. No wildcard: a new kind of request has to be judged.
fn verdict(request: &Request, who: Who) -> Verdict {
    if who == Who::Nobody {
        return Closed(if matches!(request, Request::Connect(_)) { "unauthenticated" } else { "not_connected" });
    }
    let former = who == Who::Former;
    match request {
        Request::Connect(_) => Closed("already_connected"),
        // With the owner's token.
        Request::Refresh(_) => Refused("forbidden"),
        // A former member is told that they may not; for others there is no such conversation.
        Request::Send(_)
        | Request::AddMembers(_)
        | Request::RemoveMember(_)
        | Request::Leave(_)
        | Request::SetRole(_) => Refused(if former { "forbidden" } else { "not_found" }),
        Request::Typing(_) | Request::ListMembers(_) => Refused("not_found"),
        // A former member reads and marks what they could see.
        Request::History(_) | Request::Mark(_) | Request::SetRegisters(_) => {
            if former {
                Own
            } else {
                Refused("not_found")
            }
        }
        // That an id is taken is all it tells, and only within the tenant.
        Request::CreateConversation(_) => {
            if who == Who::OtherTenant {
                Own
            } else {
                Refused("already_exists")
            }
        }
        Request::Sync(_) | Request::WatchPresence(_) | Request::Ping(_) => Own,
        Request::Pong(_) => Silent,
    }
}

/// One try of every kind, at `room` and its owner `ada`.
fn tries(owners_token: &str) -> Vec<(&'static str, Value)> {
    let room = json!({ "conversation": "room" });
    let with = |field: &str, value: Value| {
        let mut fields = room.clone();
        fields[field] = value;
        fields
    };
    let send = json!({ "conversation": "room", "message_id": message_id(900), "body": { "text": "let me in" } });
    let role = json!({ "conversation": "room", "user": "bob", "role": "owner" });
    vec![
        ("refresh", json!({ "token": owners_token })),
        ("send", send),
        ("history", with("after", json!(0))),
        ("sync", json!({})),
        ("mark", with("read", json!(99))),
        ("set_registers", with("draft", json!("mine"))),
        ("typing", with("active", json!(true))),
        ("watch_presence", json!({ "users": ["bob"] })),
        ("add_members", with("members", json!([{ "user": "mallory", "role": "owner" }]))),
        ("remove_member", with("user", json!("bob"))),
        ("leave", room.clone()),
        ("set_role", role),
        ("list_members", room.clone()),
        ("ping", json!({})),
        ("pong", json!({})),
        // Last: where it is done, the id is taken in the tenant of whoever did.
        ("create_conversation", with("members", json!([{ "user": "bob" }]))),
        ("connect", json!({ "token": "made up" })),
    ]
}

/// The kinds that the schema names.
fn kinds() -> BTreeSet<&'static str> {
    let schema = include_str!("../../../../proto/posthorn/client/v1/client.proto");
    let (_, from) = schema.split_once("oneof request {").unwrap();
    let (kinds, _) = from.split_once('}').unwrap();
    let fields = kinds.lines().filter(|line| line.contains('=')).filter_map(|line| line.split_whitespace().nth(1));
    fields.collect()
}

/// `room` of ada and bob, with the secret where a former member does not see it.
async fn furnished() -> Place {
    let place = Place::new().await;
    place.group(TENANT, "room", "ada", &[("bob", "member")]).await;
    let mut ada = place.person(TENANT, "ada").await;
    ada.say("room", 1, &format!("before: {SECRET_TEXT}")).await.unwrap();
    let fred = json!({ "conversation": "room", "members": [{ "user": "fred" }] });
    ada.ask("add_members", fred).await.unwrap();
    ada.say("room", 2, "hello fred").await.unwrap();
    ada.ask("remove_member", json!({ "conversation": "room", "user": "fred" })).await.unwrap();
    ada.say("room", 3, &format!("after: {SECRET_TEXT}")).await.unwrap();
    ada.ask("mark", json!({ "conversation": "room", "read": 6 })).await.unwrap();
    place
}

/// All of `room` as its owner has it.
async fn state(place: &Place) -> (Value, Value, Value) {
    let mut ada = place.person(TENANT, "ada").await;
    let room = json!({ "conversation": "room", "after": 0 });
    let mut sync = ada.ask("sync", json!({})).await.unwrap()["sync"]["conversations"].take();
    // Its version may have moved with marks; what it says may not.
    sync[0].as_object_mut().unwrap().remove("last_activity_ms");
    let (history, members) =
        (ada.ask("history", room.clone()).await, ada.ask("list_members", json!({ "conversation": "room" })).await);
    (history.unwrap()["history"].take(), members.unwrap()["members"].take(), sync)
}

/// What a try came to, and every word that came with it.
async fn tried(wire: &mut Wire, id: u64, name: &str, fields: &Value, heard: &mut String) -> Verdict {
    wire.ask(&json!({ "id": id, name: fields })).await;
    wire.ask(&json!({ "id": id + 1, "ping": {} })).await;
    let (mut reply, mut answered) = (None, false);
    // Replies may come in any order; `pong` alone has none.
    while !answered || (reply.is_none() && name != "pong") {
        match wire.read().await.expect("something comes") {
            Came::Frame(frame) => {
                heard.push_str(&frame.to_string());
                answered |= frame["id"] == id + 1;
                if frame["id"] == id {
                    reply = Some(frame["error"]["code"].as_str().map_or(Own, |code| Refused(leaked(code))));
                }
            }
            Came::Closed(_, word) => return Closed(leaked(&word)),
            Came::Control => {}
            Came::End => return Closed("without a word"),
        }
    }
    reply.unwrap_or(Silent)
}

/// Codes are few: they may as well live for good.
fn leaked(code: &str) -> &'static str {
    let codes = posthorn_errors::ALL.iter().map(|code| code.as_str());
    codes.into_iter().find(|known| *known == code).unwrap_or("an unknown code")
}

async fn opened(place: &Place, who: Who) -> Wire {
    match who {
        Who::Stranger => place.connected(Protocol::Json, TENANT, "eve").await,
        Who::OtherTenant => place.connected(Protocol::Json, OTHER, "ada").await,
        Who::Former => place.connected(Protocol::Json, TENANT, "fred").await,
        Who::Nobody => Wire::open(place, Protocol::Json).await,
    }
}

/// Everything that `who` tries, with what went wrong; the words that they heard.
async fn all_tries(place: &Place, who: Who, heard: &mut String) -> (BTreeSet<&'static str>, Vec<String>) {
    let token = place.token(TENANT, "ada").await;
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    let mut wire = opened(place, who).await;
    for (n, (name, fields)) in (0_u64..).zip(tries(&token)) {
        seen.insert(name);
        let frame: ClientFrame = serde_json::from_value(json!({ name: fields })).unwrap();
        let expected = verdict(&frame.request.unwrap(), who);
        let got = tried(&mut wire, 1_000 + 2 * n, name, &fields, heard).await;
        if got != expected {
            wrong.push(format!("{who:?} {name}: {got:?}, not {expected:?}"));
        }
        if matches!(got, Closed(_)) {
            wire = opened(place, who).await;
        }
    }
    (seen, wrong)
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_request_is_refused_to_everybody_who_must_not() {
    for who in [Who::Stranger, Who::OtherTenant, Who::Former, Who::Nobody] {
        let place = furnished().await;
        // There to be seen, by those who may.
        let _bob = place.connected(Protocol::Json, TENANT, "bob").await;
        let seen = place.person(TENANT, "ada").await.ask("watch_presence", json!({ "users": ["bob"] })).await;
        assert!(seen.unwrap().to_string().contains(ONLINE), "a member sees who is online");
        let before = state(&place).await;
        assert!(before.0.to_string().contains(SECRET_TEXT), "the owner sees what others must not");
        let mut heard = String::new();
        let (seen, wrong) = all_tries(&place, who, &mut heard).await;
        assert_eq!(seen, kinds(), "a kind of request that nobody tries");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(!heard.contains(SECRET_TEXT), "{who:?} heard {heard}");
        assert!(!heard.contains(ONLINE), "{who:?} sees who is online: {heard}");
        assert_eq!(state(&place).await, before, "{who:?} changed something");
        println!("{who:?}: {} kinds of requests", seen.len());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_live_reaches_members_alone() {
    let place = furnished().await;
    let mut outsiders = Vec::new();
    for who in [Who::Stranger, Who::OtherTenant, Who::Former] {
        outsiders.push(opened(&place, who).await);
    }
    let mut bob = place.connected(Protocol::Json, TENANT, "bob").await;
    let mut ada = place.person(TENANT, "ada").await;
    ada.say("room", 50, SECRET_TEXT).await.unwrap();
    ada.ask("typing", json!({ "conversation": "room", "active": true })).await.unwrap();
    ada.ask("mark", json!({ "conversation": "room", "read": 7 })).await.unwrap();
    for kind in ["entries", "typing", "marks"] {
        loop {
            let Some(Came::Frame(frame)) = bob.read().await else { panic!("no {kind}") };
            if frame[kind].is_object() {
                break;
            }
        }
    }
    // Bob has it all: so would they, if it came to them.
    for mut wire in outsiders {
        wire.ask(&json!({ "id": 9, "ping": {} })).await;
        loop {
            let Some(Came::Frame(frame)) = wire.read().await else { panic!("no pong") };
            if frame["id"] == 9 {
                break;
            }
            let events = ["entries", "typing", "marks", "presence", "registers"];
            assert!(events.iter().all(|event| frame[event].is_null()), "{frame}");
        }
    }
}
