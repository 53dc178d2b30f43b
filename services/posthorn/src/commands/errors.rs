//! `posthorn errors [CODE]`: the table of codes, for people and for programs.

use std::fmt::Write;

use anyhow::{Result, bail};
use clap::Args;
use posthorn_config::nearest;
use posthorn_errors::{ALL, Code};
use serde_json::json;

#[derive(Args)]
pub struct ErrorsArgs {
    /// One code, such as `rate_limited`; without it all are listed
    code: Option<String>,
    /// One JSON object (or, without CODE, a list of them) instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(args: &ErrorsArgs) -> Result<()> {
    let text = match &args.code {
        Some(word) => {
            let code = find(word)?;
            if args.json { as_json(code).to_string() + "\n" } else { in_full(code) }
        }
        None if args.json => serde_json::Value::from_iter(ALL.iter().copied().map(as_json)).to_string() + "\n",
        None => ALL.iter().fold(String::new(), |mut text, code| {
            let _ = writeln!(text, "{:<24} {}", code.as_str(), code.summary());
            text
        }),
    };
    super::print(&text)
}

/// By its word, or by its close code.
fn find(word: &str) -> Result<Code> {
    if let Ok(code) = word.parse() {
        return Ok(code);
    }
    let close = word.parse::<u16>().ok();
    if let Some(code) = ALL.iter().find(|code| close.is_some() && code.close() == close) {
        return Ok(*code);
    }
    match nearest(word, ALL.iter().map(|code| code.as_str())) {
        Some(near) => bail!("no error code `{word}`, did you mean `{near}`?"),
        None => bail!("no error code `{word}`; `posthorn errors` lists all"),
    }
}

fn in_full(code: Code) -> String {
    let yes = |is: bool| if is { "yes" } else { "no" };
    let close = code.close().map_or_else(|| "the connection goes on".to_owned(), |close| close.to_string());
    format!(
        "{code}\n  what happened     {}\n  what to do        {}\n  retryable         {}\n  side-effect-free  {}\n  \
         gRPC status       {:?}\n  HTTP status       {}\n  close code        {close}\n",
        code.summary(),
        code.advice(),
        yes(code.retryable()),
        yes(code.side_effect_free()),
        code.grpc(),
        code.http(),
    )
}

fn as_json(code: Code) -> serde_json::Value {
    json!({
        "code": code.as_str(),
        "summary": code.summary(),
        "advice": code.advice(),
        "retryable": code.retryable(),
        "side_effect_free": code.side_effect_free(),
        "grpc": format!("{:?}", code.grpc()),
        "http": code.http(),
        "close": code.close(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_by_word_and_by_close_code() {
        assert_eq!(find("rate_limited").ok(), Some(Code::RateLimited));
        assert_eq!(find("4420").ok(), Some(Code::Flood));
        let unknown = |word| find(word).unwrap_err().to_string();
        assert_eq!(unknown("rate_limitd"), "no error code `rate_limitd`, did you mean `rate_limited`?");
        assert_eq!(unknown("4999"), "no error code `4999`; `posthorn errors` lists all");
    }

    #[test]
    fn every_code_has_its_page() {
        for &code in ALL {
            assert!(in_full(code).contains(code.advice()), "{code}");
            assert_eq!(as_json(code)["retryable"], code.retryable());
        }
    }
}
