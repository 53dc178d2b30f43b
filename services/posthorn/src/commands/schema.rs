//! `posthorn schema plan|apply|status|restored`: the tables of the store on ScyllaDB or Cassandra.

use std::{fmt::Write, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand};
use posthorn_node::ConfigSource;
use posthorn_store_cql::schema::{Schema, Status, Step};
use serde_json::json;

#[derive(Subcommand)]
pub enum SchemaCommand {
    /// Print the statements that `apply` would send; change nothing
    Plan(SchemaArgs),
    /// Make what is missing. Steps only add, and one that was cut off is taken again
    Apply(SchemaArgs),
    /// Say which version the tables have; exits with 1 if this build needs a newer one
    Status(SchemaArgs),
    /// Say that the tables were put back from a snapshot: begins a new generation. Stop the services first
    Restored {
        #[command(flatten)]
        args: SchemaArgs,
        /// The highest generation that there was after the snapshot, if it is known
        #[arg(long, default_value_t = 0, value_name = "N")]
        seen: u64,
    },
}

#[derive(Args)]
pub struct SchemaArgs {
    /// The configuration file; its `[cql]` section says where the database is
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub async fn run(command: SchemaCommand) -> Result<ExitCode> {
    let (SchemaCommand::Plan(args)
    | SchemaCommand::Apply(args)
    | SchemaCommand::Status(args)
    | SchemaCommand::Restored { args, .. }) = &command;
    let (config, _) = ConfigSource::from_env(args.config.as_deref()).load()?;
    let schema = Schema::connect(&config.cql).await?;
    let mut code = ExitCode::SUCCESS;
    let text = match &command {
        SchemaCommand::Plan(_) => {
            let missing: Vec<Step> = schema.status().await?.steps.into_iter().filter(|step| !step.applied).collect();
            if args.json { line(&json!({ "steps": missing })) } else { statements(&missing) }
        }
        SchemaCommand::Apply(_) => {
            let taken = schema.apply().await?;
            if args.json { line(&json!({ "applied": taken })) } else { names("applied", &taken) }
        }
        SchemaCommand::Status(_) => {
            let status = schema.status().await?;
            if status.version < status.minimum {
                code = ExitCode::FAILURE;
            }
            if args.json { line(&json!(status)) } else { summary(&status) }
        }
        SchemaCommand::Restored { seen, .. } => {
            let generation = schema.restored(*seen).await?;
            let told = json!({ "generation": generation });
            if args.json { line(&told) } else { format!("generation {generation} begins\n") }
        }
    };
    super::print(&text)?;
    Ok(code)
}

fn line(value: &serde_json::Value) -> String {
    format!("{value}\n")
}

fn statements(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "-- {}: {}", step.version, step.name);
        for statement in &step.statements {
            let _ = writeln!(text, "{statement};");
        }
    }
    if steps.is_empty() { "-- nothing is missing\n".to_owned() } else { text }
}

fn names(what: &str, steps: &[Step]) -> String {
    if steps.is_empty() {
        return "nothing was missing\n".to_owned();
    }
    steps.iter().fold(String::new(), |text, step| text + &format!("{what} {}: {}\n", step.version, step.name))
}

fn summary(status: &Status) -> String {
    let Status { keyspace, version, minimum, current, steps } = status;
    let mut text = format!("keyspace {keyspace}: version {version}; this build needs {minimum}, and knows {current}\n");
    for step in steps {
        let state = if step.applied { "applied" } else { "missing" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {} {state}  {}", step.version, step.name);
    }
    text
}
