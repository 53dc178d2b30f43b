//! `posthorn letters`: what consumer groups of the feed gave up.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use posthorn_client::operator::{Letter, Operator};
use serde_json::json;

use super::operator::OperatorArgs;

/// Letters of one question.
const PAGE: u32 = 200;

#[derive(Subcommand)]
pub enum LettersCommand {
    /// Say which entries were given up, and why
    List(ListArgs),
    /// Try letters again, now; those that go well are gone
    Retry(SomeArgs),
    /// Throw letters away
    Discard(SomeArgs),
}

#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Letters at most
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,
}

#[derive(Args)]
pub struct SomeArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Which: TENANT/CONVERSATION/GENERATION/SEQ, as listed
    #[arg(value_name = "LETTER", required_unless_present = "all")]
    letters: Vec<String>,
    /// All that the group has now
    #[arg(long, conflicts_with = "letters")]
    all: bool,
}

#[derive(Args)]
struct CommonArgs {
    /// The consumer group of the feed
    #[arg(long, value_name = "NAME", default_value = "push")]
    group: String,
    /// One JSON object a line instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
}

pub async fn run(command: LettersCommand) -> Result<ExitCode> {
    match command {
        LettersCommand::List(args) => list(args).await,
        LettersCommand::Retry(args) => each(args, true).await,
        LettersCommand::Discard(args) => each(args, false).await,
    }
}

async fn list(args: ListArgs) -> Result<ExitCode> {
    let operator = args.common.operator.client()?;
    let letters = all(&operator, &args.common.group, args.limit).await?;
    if letters.is_empty() && !args.common.json {
        eprintln!("group `{}` has no dead letters", args.common.group);
    }
    for letter in letters {
        let id = letter.id();
        let line = if args.common.json {
            let Letter { tenant, conversation, generation, seq, why, attempts, parked_ms } = letter;
            json!({
                "letter": id, "tenant": tenant, "conversation": conversation, "generation": generation, "seq": seq,
                "why": why, "attempts": attempts, "parked_ms": parked_ms,
            })
            .to_string()
        } else {
            format!("{id}  {} attempts, given up at {} ms: {}", letter.attempts, letter.parked_ms, letter.why)
        };
        super::print(&format!("{line}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn all(operator: &Operator, group: &str, limit: usize) -> Result<Vec<Letter>> {
    let mut letters = Vec::new();
    let mut after = None;
    while letters.len() < limit {
        let left = u32::try_from(limit - letters.len()).unwrap_or(u32::MAX).min(PAGE);
        let page = operator.letters(group, after.as_deref(), left).await?;
        letters.extend(page.letters);
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    Ok(letters)
}

/// One after the other. Fails if one of them is still there.
async fn each(args: SomeArgs, retry: bool) -> Result<ExitCode> {
    let SomeArgs { common: CommonArgs { group, json, operator }, mut letters, all: everything } = args;
    let operator = operator.client()?;
    if everything {
        letters = all(&operator, &group, usize::MAX).await?.iter().map(Letter::id).collect();
    }
    let mut kept = 0_usize;
    for id in &letters {
        if id.split('/').count() != 4 {
            bail!("`{id}` is no letter: TENANT/CONVERSATION/GENERATION/SEQ");
        }
        let why = if retry {
            let tried = operator.retry_letter(&group, id).await?;
            (!tried.done).then(|| tried.why.unwrap_or_default())
        } else {
            operator.discard_letter(&group, id).await?;
            None
        };
        kept += usize::from(why.is_some());
        let line = match (json, why) {
            (true, why) => json!({ "letter": id, "done": why.is_none(), "why": why }).to_string(),
            (false, Some(why)) => format!("{id}: stays, {why}"),
            (false, None) => format!("{id}: {}", if retry { "done" } else { "discarded" }),
        };
        super::print(&format!("{line}\n"))?;
    }
    Ok(if kept == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
