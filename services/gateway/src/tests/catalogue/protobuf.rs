//! Binary messages that are no protobuf of the edge protocol.

use posthorn_proto::client::{ClientFrame, History, Typing, client_frame::Request};
use prost::Message as _;

use super::*;
use crate::tests::wire::{FIN_BINARY, frame};

const SEND: u32 = 12;
const TYPING: u32 = 17;

fn sent(name: &str, input: &str, bytes: &[u8], expected: Answer) -> Bad {
    bad(name, input, How::Connected(Proto, frame(FIN_BINARY, bytes)), expected)
}

fn malformed(name: &str, input: &str, bytes: &[u8]) -> Bad {
    sent(name, input, bytes, closed(4500, "malformed_frame"))
}

/// The key of a field, with its wire type.
fn key(field: u32, wire: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(u64::from(field << 3 | wire), &mut bytes);
    bytes
}

/// A field of bytes.
fn field(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = key(number, 2);
    prost::encoding::encode_varint(payload.len() as u64, &mut bytes);
    bytes.extend(payload);
    bytes
}

fn request(request: Request) -> Vec<u8> {
    ClientFrame { id: ID, request: Some(request), ..ClientFrame::default() }.encode_to_vec()
}

pub fn rows() -> Vec<Bad> {
    let mut rows = malformed_rows();
    rows.extend(understood());
    rows
}

fn malformed_rows() -> Vec<Bad> {
    let typing = request(Request::Typing(Typing { conversation: "club".into(), active: true }));
    // `body` of `send`, in which `created` is a message of its own: the deepest that the schema has.
    let nested = (0..20_000)
        .fold(Vec::new(), |inside: Vec<u8>, _| if inside.len() < 60_000 { field(3, &inside) } else { inside });
    vec![
        malformed("pb-cut", "a frame without its last byte", &typing[..typing.len() - 1]),
        malformed("pb-key-cut", "a key and nothing after it", &key(SEND, 2)),
        malformed("pb-varint-cut", "a varint that does not end", &[8, 0x80, 0x80]),
        malformed("pb-varint-11", "a varint of 11 bytes", &[&[8][..], &[0x80; 10], &[1]].concat()),
        malformed("pb-varint-2^64", "a varint beyond 64 bits", &[&[8][..], &[0xff; 9], &[2]].concat()),
        malformed("pb-key-0", "the field number 0", &[0, 0]),
        malformed("pb-key-2^32", "a key beyond 32 bits", &[0xff, 0xff, 0xff, 0xff, 0x7f, 0]),
        malformed(
            "pb-length-4gib",
            "a field of 4 GiB is announced",
            &[&key(SEND, 2)[..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
        ),
        malformed(
            "pb-length-2^64",
            "a field of 2^64 - 1 bytes is announced",
            &[&key(SEND, 2)[..], &[0xff; 9], &[1]].concat(),
        ),
        malformed("pb-length-beyond", "a field longer than its message", &[&key(SEND, 2)[..], &[9, 1]].concat()),
        malformed("pb-inner-beyond", "a text longer than the message it is in", &field(TYPING, &[10, 50, b'a'])),
        malformed("pb-wire-6", "the wire type 6", &key(SEND, 6)),
        malformed("pb-wire-7", "the wire type 7", &key(SEND, 7)),
        malformed("pb-group-start", "a group that does not end", &key(900, 3)),
        malformed("pb-group-end", "the end of a group that did not begin", &key(900, 4)),
        malformed("pb-group-crossed", "a group that ends as another", &[key(900, 3), key(901, 4)].concat()),
        malformed("pb-groups-deep", "10,000 groups in each other", &key(900, 3).repeat(10_000)),
        malformed("pb-request-varint", "a request as a varint", &[&key(SEND, 0)[..], &[1]].concat()),
        malformed("pb-id-text", "the id as a text", &field(1, b"7")),
        malformed("pb-text-no-utf8", "a conversation that is no UTF-8", &field(TYPING, &field(1, &[0xff, 0xfe]))),
        malformed("pb-body-garbage", "garbage inside the body of a send", &field(SEND, &field(10, &[0xff; 40]))),
        malformed("pb-all-ff", "20 bytes FF", &[0xff; 20]),
        malformed(
            "pb-nested-unknown",
            "thousands of bodies in each other, cut",
            &[&field(SEND, &field(10, &nested))[..], &[8]].concat(),
        ),
        bad(
            "pb-first-garbage",
            "garbage before `connect`",
            How::Fresh(Proto, frame(FIN_BINARY, &[0xff; 9])),
            closed(4500, "malformed_frame"),
        ),
    ]
}

fn understood() -> Vec<Bad> {
    let pong = || Answer::Taken("pong".into());
    let id = [8, ID as u8];
    let ping = [&id[..], &field(25, &[])].concat();
    let with = |more: &[u8]| [&ping[..], more].concat();
    let history =
        |unit: i32| request(Request::History(History { conversation: "club".into(), unit, ..History::default() }));
    let packed = field(11, &[field(2, &vec![1; 60_000])].concat());
    vec![
        sent("pb-no-request", "an id and no request", &id, refused("unknown_request")),
        sent(
            "pb-unknown-request",
            "a request that nobody knows",
            &[&id[..], &field(77, b"x")].concat(),
            refused("unknown_request"),
        ),
        sent(
            "pb-unknown-field",
            "100 KiB in a field that nobody knows",
            &with(&field(900, &vec![7; 100 * 1024])),
            pong(),
        ),
        sent(
            "pb-unknown-group",
            "a group that nobody knows, well formed",
            &with(&[key(900, 3), key(900, 4)].concat()),
            pong(),
        ),
        sent(
            "pb-two-requests",
            "two requests: the last one counts",
            &[&id[..], &field(77, b""), &field(22, &[]), &field(25, &[])].concat(),
            pong(),
        ),
        sent("pb-enum-unknown", "a unit that nobody knows", &history(99), refused("invalid_argument")),
        sent("pb-enum-negative", "a negative unit", &history(-1), refused("invalid_argument")),
        sent(
            "pb-packed-bomb",
            "60,000 kinds in a precondition of a send that lacks the rest",
            &[&id[..], &field(SEND, &packed)].concat(),
            refused("invalid_argument"),
        ),
    ]
}
