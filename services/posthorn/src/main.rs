//! The one binary: `posthorn help`.

mod bench;
mod chat;
mod commands;
mod dev;
mod page;
mod replay;
mod trust;

use std::process::ExitCode;

use anyhow::Result;
use bench::BenchArgs;
use chat::ChatArgs;
use clap::{Parser, Subcommand};
use commands::{
    backup::BackupArgs, cluster::ClusterCommand, config::ConfigCommand, drain::DrainArgs, errors::ErrorsArgs,
    export::ExportArgs, history::HistoryCommand, import::ImportArgs, letters::LettersCommand,
    operator_key::OperatorKeyArgs, restore::RestoreArgs, schema::SchemaCommand, serve::ServeArgs, token::TokenArgs,
    version::VersionArgs,
};
use dev::DevArgs;
use replay::ReplayArgs;

/// Durable, ordered, live conversations: a messaging backend
#[derive(Parser)]
#[command(name = "posthorn", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything in this process to try it: a page, two demo users, keys in a directory
    Dev(DevArgs),
    /// Start the services as a configuration file says
    Serve(ServeArgs),
    /// All services as processes of their own on NATS, Redis and Cassandra, on this machine
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Sign a token for a user with a key of their tenant
    Token(TokenArgs),
    /// The configuration: check it, print it, document it
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Explain the error codes
    Errors(ErrorsArgs),
    /// Copy the data of a running server into a file
    Backup(BackupArgs),
    /// Put a backup into an empty data directory
    Restore(RestoreArgs),
    /// Write all of a store into a file, to move it: from one machine to the cluster, or back
    Export(ExportArgs),
    /// Make a store, of any engine, of what was exported
    Import(ImportArgs),
    /// Send a gateway's connections elsewhere, or let it take new ones again
    Drain(DrainArgs),
    /// Make the operator's key of a deployment, and print it
    OperatorKey(OperatorKeyArgs),
    /// Entries that consumers of the feed gave up: list them, try them again, throw them away
    #[command(subcommand)]
    Letters(LettersCommand),
    /// The tables in ScyllaDB or Cassandra: say what is missing, make it
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Talk from a terminal
    Chat(ChatArgs),
    /// Replay chat logs over real connections and check what everybody received
    Replay(ReplayArgs),
    /// What a run recorded of its clients: hold it to the rules
    #[command(subcommand)]
    History(HistoryCommand),
    /// Measure durable sends a second on this machine and its disk
    Bench(BenchArgs),
    /// Say which build this is
    Version(VersionArgs),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("posthorn: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Dev(args) => return on_runtime(dev::run(args)),
        Command::Serve(args) => return on_runtime(commands::serve::run(args)),
        Command::Cluster(command) => return on_runtime(commands::cluster::run(command)),
        Command::Token(args) => commands::token::run(&args)?,
        Command::Config(command) => commands::config::run(&command)?,
        Command::Errors(args) => commands::errors::run(&args)?,
        Command::Backup(args) => return on_runtime(commands::backup::run(args)),
        Command::Export(args) => return on_runtime(commands::export::run(args)),
        Command::Import(args) => return on_runtime(commands::import::run(args)),
        Command::Drain(args) => return on_runtime(commands::drain::run(args)),
        Command::OperatorKey(args) => return on_runtime(commands::operator_key::run(args)),
        Command::Letters(command) => return on_runtime(commands::letters::run(command)),
        Command::Schema(command) => return on_runtime(commands::schema::run(command)),
        Command::Chat(args) => return on_runtime(chat::run(args)),
        Command::Bench(args) => return on_runtime(bench::run(args)),
        Command::Replay(args) => return on_runtime(replay::run(args)),
        Command::History(command) => return commands::history::run(&command),
        Command::Restore(args) => commands::restore::run(&args)?,
        Command::Version(args) => commands::version::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn on_runtime(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
