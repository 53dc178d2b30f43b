//! `libs/proto/src/generated` from `proto/`. The output is committed, so that no build needs a
//! protobuf compiler.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use prost::Message;

use crate::Fresh;

const FILES: [&str; 8] = [
    "posthorn/client/v1/client.proto",
    "posthorn/internal/v1/log.proto",
    "posthorn/internal/v1/storage.proto",
    "posthorn/internal/v1/routing.proto",
    "posthorn/internal/v1/session.proto",
    "posthorn/internal/v1/push.proto",
    "posthorn/internal/v1/bus.proto",
    "posthorn/internal/v1/transfer.proto",
];
const OUT: &str = "libs/proto/src/generated";

pub fn generate(root: &Path) -> Result<Fresh> {
    let descriptors = protox::compile(FILES, [root.join("proto")]).context("proto/ does not compile")?;
    let scratch = root.join("target/codegen");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .emit_rerun_if_changed(false)
        .out_dir(&scratch)
        .compile_fds(descriptors.clone())?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors.encode_to_vec())?
        .preserve_proto_field_names()
        .ignore_unknown_fields()
        .ignore_unknown_enum_variants()
        .out_dir(&scratch)
        .build(&[".posthorn.client.v1"])?;
    let mut texts = Fresh::new();
    for file in fs::read_dir(&scratch)? {
        let file = file?;
        let name = file.file_name().into_string().map_err(|name| anyhow::anyhow!("odd file name {name:?}"))?;
        let mut text = fs::read_to_string(file.path())?;
        if name.ends_with(".serde.rs") {
            text = plain_json(&text);
        }
        texts.insert(format!("{OUT}/{name}"), text);
    }
    Ok(texts)
}

/// The edge protocol's JSON is proto3 canonical but for two things that people writing clients by
/// hand stumble over: 64-bit integers are numbers (all of ours are below 2^53), and the names of
/// enum values are plain words in lower case, without the name of the enum before them.
fn plain_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut prefix = String::new();
    for line in text.lines() {
        let mut line =
            line.replace("ToString::to_string(&v).as_str()", "v").replace("ToString::to_string(&self.", "&(self.");
        if line.contains("serialize_field") && line.contains("&(self.") {
            line = line.replace(").as_str())?;", "))?;");
        }
        if let Some(name) = implementing(&line) {
            prefix = screaming(name) + "_";
        }
        out.push_str(&plain_names(&line, &prefix));
        out.push('\n');
    }
    out
}

/// The type whose serde impl begins at this line.
fn implementing(line: &str) -> Option<&str> {
    let traits = line.starts_with("impl serde::Serialize") || line.starts_with("impl<'de> serde::Deserialize");
    line.split(" for ").nth(1).filter(|_| traits).map(|rest| rest.trim_end_matches(" {"))
}

/// `ConversationKind` -> `CONVERSATION_KIND`
fn screaming(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

/// Names of an enum's values without its name before them, in lower case.
fn plain_names(line: &str, prefix: &str) -> String {
    let mut parts: Vec<String> = line.split('"').map(str::to_owned).collect();
    for part in parts.iter_mut().skip(1).step_by(2) {
        if part.len() > 1 && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
            *part = part.strip_prefix(prefix).unwrap_or(part).to_ascii_lowercase();
        }
    }
    parts.join("\"")
}
