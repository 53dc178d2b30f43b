//! `posthorn config check|print|docs`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use posthorn_node::{ConfigSource, docs};

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Read the configuration as `serve` would, and say whether it is right
    Check(FileArgs),
    /// Print the configuration in effect, with where each value that is not a default came from
    Print(FileArgs),
    /// Write docs/configuration.md and config/posthorn.example.toml
    Docs(DocsArgs),
}

#[derive(Args)]
pub struct FileArgs {
    /// The file; without it defaults and environment alone
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
pub struct DocsArgs {
    /// The repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Write nothing; fail if a page is out of date
    #[arg(long)]
    check: bool,
}

pub fn run(command: &ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check(args) => {
            ConfigSource::from_env(args.config.as_deref()).load()?;
            super::print("the configuration is right\n")
        }
        ConfigCommand::Print(args) => {
            let (config, sources) = ConfigSource::from_env(args.config.as_deref()).load()?;
            super::print(&docs::effective(&config, &sources)?)
        }
        ConfigCommand::Docs(args) => pages(&args.root, args.check),
    }
}

fn pages(root: &Path, check: bool) -> Result<()> {
    for (path, text) in docs::pages()? {
        let path = root.join(path);
        let present = std::fs::read_to_string(&path).unwrap_or_default();
        if present == text {
            continue;
        }
        if check {
            bail!("{} is out of date: run `posthorn config docs`", path.display());
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
