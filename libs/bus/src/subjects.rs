//! The names of subjects that services and gateways agree on.

use std::fmt::Write;

/// What goes to every gateway.
pub const ALL_GATEWAYS: &str = "gateways";

/// What goes to one incarnation of a gateway.
#[must_use]
pub fn of_gateway(incarnation: &str) -> String {
    format!("gateway.{incarnation}")
}

/// What goes to every gateway with a connection of a member of this conversation: a large one.
#[must_use]
pub fn of_conversation(tenant: &str, conversation: &str) -> String {
    format!("conversation.{}.{}", token(tenant), token(conversation))
}

/// An id as one token: what a token may not hold is written as `_` and two hexadecimal digits, and so is `_`.
fn token(id: &str) -> String {
    let mut token = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => token.push(char::from(byte)),
            // Writing to a string cannot fail.
            other => drop(write!(token, "_{other:02x}")),
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_subject;

    #[test]
    fn every_conversation_has_a_subject_of_its_own() {
        let ids = ["d.6466", "d_6466", "d_2e6466", "d-6466", "a.b.c", "A.b.c", "._-", "tea"];
        let subjects: std::collections::BTreeSet<String> = ids.iter().map(|id| of_conversation("t.1", id)).collect();
        assert_eq!(subjects.len(), ids.len());
        assert!(subjects.iter().all(|subject| check_subject(subject).is_ok()), "{subjects:?}");
        assert_ne!(of_conversation("a.b", "c"), of_conversation("a", "b.c"));
        assert_eq!(of_conversation("acme", "d.64"), "conversation.acme.d_2e64");
    }
}
