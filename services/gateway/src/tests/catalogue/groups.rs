//! Groups, their members, and whom one may watch.

use super::{
    requests::{ask, invalid, malformed, no_such, taken},
    *,
};
use crate::tests::wire::message_id;

pub fn rows() -> Vec<Bad> {
    let mut rows = groups();
    rows.extend(members());
    rows.extend(watching());
    rows
}

fn groups() -> Vec<Bad> {
    let create = |field: &str, value: Value| {
        let mut create = json!({ "conversation": "fresh", "title": "Fresh", "message_id": message_id(40) });
        create[field] = value;
        create
    };
    let crowd: Vec<Value> = (0..1_001).map(|n| json!({ "user": format!("u{n}") })).collect();
    vec![
        ask(
            "create-taken",
            "a group under an id that is taken",
            "create_conversation",
            create("conversation", json!("club")),
            refused("already_exists"),
        ),
        ask(
            "create-taken-foreign",
            "a group under the id of one of others",
            "create_conversation",
            create("conversation", json!("board")),
            refused("already_exists"),
        ),
        invalid(
            "create-direct",
            "a group with the id of a direct conversation",
            "create_conversation",
            create("conversation", json!("d.0123")),
        ),
        invalid(
            "create-id-slash",
            "a group with a slash in its id",
            "create_conversation",
            create("conversation", json!("a/b")),
        ),
        invalid("title-long", "a title of 513 bytes", "create_conversation", create("title", json!("t".repeat(513)))),
        taken(
            "visibility-unknown",
            "a visibility that is none counts as `since_join`",
            "create_conversation",
            json!({ "conversation": "fresh-1", "visibility": "public" }),
            "conversation_created",
        ),
        invalid(
            "create-message-id",
            "a `message_id` that is no UUID",
            "create_conversation",
            create("message_id", json!("x")),
        ),
        invalid(
            "create-1001",
            "a group of 1,001 members at once",
            "create_conversation",
            create("members", json!(crowd)),
        ),
        invalid(
            "create-member-wildcard",
            "a group with the member `*`",
            "create_conversation",
            create("members", json!([{ "user": "*" }])),
        ),
        taken(
            "create-member-role",
            "a group with a king, who is a member",
            "create_conversation",
            json!({ "conversation": "fresh-2", "members": [{ "user": "bob", "role": "king" }] }),
            "conversation_created",
        ),
        malformed(
            "create-members-object",
            "members that are an object",
            "create_conversation",
            create("members", json!({ "user": "bob" })),
        ),
    ]
}

fn members() -> Vec<Bad> {
    let add = |conversation: &str, user: &str, role: &str| json!({ "conversation": conversation, "members": [{ "user": user, "role": role }] });
    let user = |conversation: &str, user: &str| json!({ "conversation": conversation, "user": user });
    let role = |conversation: &str, user: &str, role: &str| json!({ "conversation": conversation, "user": user, "role": role });
    let many: Vec<Value> = (0..65).map(|n| json!({ "user": format!("u{n}") })).collect();
    let forbidden =
        |name: &str, input: &str, request: &str, fields: Value| ask(name, input, request, fields, refused("forbidden"));
    vec![
        forbidden("add-as-member", "a member adds somebody", "add_members", add("team", "eve", "member")),
        forbidden("add-owner-as-member", "a member makes an owner", "add_members", add("team", "eve", "owner")),
        forbidden("remove-as-member", "a member removes somebody", "remove_member", user("team", "cyd")),
        forbidden("remove-owner-as-member", "a member removes the owner", "remove_member", user("team", "bob")),
        forbidden("promote-self", "a member makes themselves owner", "set_role", role("team", "ada", "owner")),
        ask(
            "last-owner-leaves",
            "the last owner leaves",
            "leave",
            json!({ "conversation": "club" }),
            refused("last_owner"),
        ),
        ask(
            "last-owner-steps-down",
            "the last owner steps down",
            "set_role",
            role("club", "ada", "member"),
            refused("last_owner"),
        ),
        no_such("role-of-stranger", "a role for somebody who is no member", "set_role", role("club", "eve", "admin")),
        invalid("role-missing", "`set_role` without a role", "set_role", user("club", "bob")),
        taken(
            "remove-stranger",
            "who is no member is removed: nothing to do",
            "remove_member",
            user("club", "eve"),
            "members_changed",
        ),
        invalid("add-nobody", "no members to add", "add_members", json!({ "conversation": "club", "members": [] })),
        invalid(
            "add-65",
            "65 members in one request",
            "add_members",
            json!({ "conversation": "club", "members": many }),
        ),
        invalid("add-wildcard", "the member `*`", "add_members", add("club", "*", "member")),
        invalid("remove-empty", "the removal of nobody", "remove_member", user("club", "")),
        no_such("add-foreign", "a member for a conversation of others", "add_members", add("board", "ada", "owner")),
    ]
}

fn watching() -> Vec<Bad> {
    let users = |users: Value| json!({ "users": users });
    let crowd: Vec<String> = (0..1_001).map(|n| format!("u{n}")).collect();
    vec![
        ask("watch-1001", "1,001 users watched", "watch_presence", users(json!(crowd)), refused("too_many_watched")),
        invalid("watch-wildcard", "`*` watched", "watch_presence", users(json!(["*"]))),
        taken(
            "watch-stranger",
            "strangers watched: they are left out",
            "watch_presence",
            users(json!(["eve", "nobody"])),
            "presence_watched",
        ),
        malformed("watch-text", "`users` that is a text", "watch_presence", users(json!("bob"))),
    ]
}
