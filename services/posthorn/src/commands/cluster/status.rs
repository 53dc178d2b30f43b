//! `posthorn cluster status`: who runs, and is it ready.

use std::{fmt::Write, process::ExitCode};

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    Place, launch, ready,
    state::{Member, State},
};

/// Success where everything is up, runs and is ready.
pub async fn run(place: Place) -> Result<ExitCode> {
    let dir = place.there()?;
    let state = State::load(&dir)?.with_context(|| format!("there is no cluster in {}", dir.display()))?;
    let asked = state.members.iter().map(async |member| member.running() && launch::ready(member).await);
    let answers = futures_util::future::join_all(asked).await;
    let whole = state.up && answers.iter().all(|ready| *ready);
    let members = state.members.iter().zip(&answers);
    let text = if place.json {
        let mut line = ready::addresses(&state);
        line["up"] = state.up.into();
        line["ready"] = whole.into();
        line["members"] = members.map(|(member, ready)| object(member, *ready)).collect();
        format!("{line}\n")
    } else {
        members.fold(String::new(), |mut text, (member, ready)| {
            let pid = member.process.map(|process| process.pid().to_string()).unwrap_or_default();
            let Member { name, .. } = member;
            let (word, at) = (word(member, *ready), member.address());
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<12} {word:<9} {pid:>8}  {at}");
            text
        })
    };
    crate::commands::print(&text)?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn object(member: &Member, ready: bool) -> serde_json::Value {
    json!({
        "name": member.name,
        "service": member.part.name(),
        "state": word(member, ready),
        "pid": member.process.map(|process| process.pid()).filter(|_| member.running()),
        "address": member.address().to_string(),
        "inner_address": member.inner_address().map(|at| at.to_string()),
    })
}

fn word(member: &Member, ready: bool) -> &'static str {
    match (member.running(), ready) {
        (false, _) => "dead",
        (true, false) => "unready",
        (true, true) => "ready",
    }
}
