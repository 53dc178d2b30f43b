//! What mutation begins with: frames that were recorded, and what the catalogue has.

use posthorn_proto::client::ClientFrame;
use prost::Message;

use crate::tests::wire::{FIN_BINARY, FIN_TEXT, frame};

/// The clients' frames of the session that docs/protocol.md shows, which was recorded from a node.
pub fn recorded() -> Vec<Vec<u8>> {
    let page = include_str!("../../../../../docs/protocol.md");
    let sent = page.lines().filter_map(|line| line.split_once(" > ").map(|(_, json)| json));
    let frames: Vec<Vec<u8>> = sent.filter(|json| json.starts_with('{')).map(|json| json.as_bytes().to_vec()).collect();
    assert!(frames.len() >= 15, "{}", frames.len());
    frames
}

pub fn recorded_as_protobuf() -> Vec<Vec<u8>> {
    let decoded = recorded().into_iter().map(|json| serde_json::from_slice::<ClientFrame>(&json).unwrap());
    decoded.map(|frame| frame.encode_to_vec()).collect()
}

/// On the socket: whole, in two fragments with a ping between, and several in a row.
pub fn recorded_on_the_wire() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for json in recorded() {
        let (left, right) = json.split_at(json.len() / 2);
        all.push(frame(FIN_TEXT, &json));
        all.push([frame(0x01, left), frame(0x89, b"hi"), frame(0x80, right), frame(0x88, &[3, 232])].concat());
    }
    all.push(recorded_as_protobuf().iter().flat_map(|bytes| frame(FIN_BINARY, bytes)).collect());
    all.push([[0x01, 0xff, 0, 0, 0, 0, 0, 1, 0, 0].to_vec(), vec![7; 4], vec![b' '; 1_000]].concat());
    all
}
