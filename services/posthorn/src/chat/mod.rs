//! `posthorn chat`: a person at a terminal, or a script through pipes. Line by line.

mod actions;
mod commands;
mod edit;
mod follow;
mod input;
mod keys;
mod list;
mod render;
mod screen;
mod talk;
mod typists;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use posthorn_client::{
    Client, ClientConfig, ClientDeps, Connector, Sink, TokenError, TokenReason, TokenSource, backend::Backend,
};
use posthorn_clock::Clock;
use posthorn_core::TenantId;
use posthorn_errors::Code;
use posthorn_tasks::Tasks;
use tokio::sync::mpsc;

use self::{input::Source, talk::Chat};
use crate::{dev::keys::Keys, trust::TrustArgs};

/// Events that wait to be shown.
const MAX_EVENTS: usize = 256;
const TOKEN_TTL_S: u64 = 3_600;

/// Talk from a terminal
///
/// On a terminal, what you type stays on the last line and what others say comes above it. Through a pipe,
/// every line of the input is a message or a command, and every line of the output something that happened.
#[derive(Args, Debug)]
#[command(after_help = commands::AFTER_HELP)]
pub struct ChatArgs {
    /// Who you are; made if nobody is called so yet
    #[arg(long, value_name = "ID")]
    user: String,
    /// The server, ws://HOST:PORT/v1/ws or wss://HOST/v1/ws
    #[arg(long, env = "POSTHORN_URL", default_value = "ws://127.0.0.1:7200/v1/ws")]
    url: String,
    /// API key of the tenant: tokens are minted with it [default: the one of --tenant in --data-dir]
    #[arg(long, value_name = "KEY", env = "POSTHORN_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
    /// A token of the user: no key is needed with one
    #[arg(long, env = "POSTHORN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[arg(long, value_name = "ID", default_value = "demo")]
    tenant: TenantId,
    /// Where the server keeps its data and keys, if it is on this machine
    #[arg(long, value_name = "DIR", default_value = "posthorn-data")]
    data_dir: PathBuf,
    #[arg(long, value_name = "ID", default_value = "terminal")]
    device: String,
    /// Open this conversation
    #[arg(long, value_name = "CONVERSATION", conflicts_with = "to")]
    open: Option<String>,
    /// Open the direct conversation with this user
    #[arg(long, value_name = "USER")]
    to: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Mints tokens as they are needed.
struct Minted {
    backend: Backend,
    user: String,
    device: String,
}

#[async_trait::async_trait]
impl TokenSource for Minted {
    async fn token(&self, _reason: TokenReason) -> Result<String, TokenError> {
        let minted = self.backend.mint_token(&self.user, &self.device, TOKEN_TTL_S, "").await;
        minted
            .map(|minted| minted.token)
            .map_err(|error| TokenError { message: error.to_string(), give_up: !error.retryable() })
    }
}

async fn tokens(args: &ChatArgs, connector: &Arc<dyn Connector>) -> Result<Arc<dyn TokenSource>> {
    if let Some(token) = &args.token {
        return Ok(Arc::new(token.clone()));
    }
    let key = match &args.admin_key {
        Some(key) => key.clone(),
        None => {
            let file = Keys::of(&args.data_dir).admin_file(args.tenant.as_str());
            let none = || format!("no --admin-key, no --token, and no key in {}", file.display());
            Keys::read(&file)?.with_context(none)?
        }
    };
    let base = Backend::base_of(&args.url)?;
    let backend = Backend::over(Arc::clone(connector), &base, &key, Duration::from_secs(20))?;
    match backend.create_user(&args.user, &args.user).await {
        // Known under another name.
        Err(error) if error.code() == Some(Code::AlreadyExists) => {}
        made => made.with_context(|| format!("cannot begin with the server at {base}"))?,
    }
    Ok(Arc::new(Minted { backend, user: args.user.clone(), device: args.device.clone() }))
}

/// Runs until the input ends, `/quit`, Ctrl-C, or the server says not to come back. Success if nothing
/// that was sent is left unstored.
pub async fn run(args: ChatArgs) -> Result<ExitCode> {
    let tasks = Tasks::new();
    let connector = args.trust.connector()?;
    let (sink, events) = Sink::channel(MAX_EVENTS);
    let (told, states) = mpsc::channel(MAX_EVENTS);
    let tokens = tokens(&args, &connector).await?;
    let deps = ClientDeps { clock: Clock::system(), tasks: tasks.clone(), connector, tokens, sink };
    let config = ClientConfig { name: "posthorn-chat".into(), ..ClientConfig::new(&args.url) };
    // Before the client: what is wrong with the terminal is told while there is nothing to clean up.
    let input = Source::open()?;
    let client = Client::start(config, deps);
    let mut chat = Chat::new(args.user, client, tasks.clone(), input, events, (told, states));
    let clean = chat.run(args.open, args.to).await;
    // Before anything else is said: it puts the terminal back.
    drop(chat);
    tasks.stop();
    tasks.ended(Duration::from_secs(1)).await;
    Ok(if clean? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
