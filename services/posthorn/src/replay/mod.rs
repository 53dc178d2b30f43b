//! `posthorn replay`: real conversations over real connections, then a check of everything.
//!
//! A user per nick and a conversation per file; each line is sent by its author over the author's own
//! WebSocket, in the order of the file, and received by every member. See [`lines`] for the grammar,
//! [`plan`] for what a file comes to, [`ledger`] for what counts as a fault, [`check`] for what is compared
//! with what.

mod check;
mod drive;
mod fleet;
mod ledger;
mod lines;
mod marks;
mod patience;
mod people;
mod plan;
mod presence;
mod progress;
mod report;
mod run_state;
pub mod tape;

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures_util::{TryStreamExt, stream};
use posthorn_client::backend::Backend;
use posthorn_clock::{Clock, Instant, interval};
use posthorn_tasks::Tasks;

use self::{
    drive::{Drive, File, Pace},
    fleet::{Fleet, Launch, Person},
    ledger::{Expected, Ledger},
    patience::Patience,
    plan::Plan,
    report::{FileReport, Report},
    run_state::RunState,
    tape::Tape,
};
use crate::trust::TrustArgs;

/// Files of one run; each is in flight at the same time.
const MAX_FILES: usize = 10_000;
/// For one request over HTTP, s.
const HTTP_TIMEOUT_S: u64 = 20;

/// Replay chat logs over real connections and check what everybody received
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// WebSocket address of the server, ws:// or wss://; the HTTP address follows from it
    #[arg(long, env = "POSTHORN_URL", default_value = "ws://127.0.0.1:7200/v1/ws")]
    url: String,
    /// API key of the tenant
    #[arg(long, env = "POSTHORN_ADMIN_KEY", hide_env_values = true)]
    admin_key: String,
    /// Messages a second over the whole run, or `max`
    #[arg(long, default_value = "max", value_parser = speed)]
    speed: Speed,
    /// Cut so many random connections a second
    #[arg(long, value_name = "PER_S", value_parser = rate)]
    drop_connections: Option<f64>,
    /// Keep the run in this file, and go on with the run that it holds
    #[arg(long, value_name = "STATE")]
    resume: Option<PathBuf>,
    /// Write what everybody did and saw into this file, check it at the end and fail if it breaks a rule
    /// (docs/history.md)
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// A JSON line a second on stderr; a bar where that is a terminal
    #[arg(long)]
    progress: bool,
    /// One JSON object at the end, on stdout
    #[arg(long)]
    json: bool,
    /// End the run when nothing succeeded for so many seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    give_up_after_s: u64,
    #[command(flatten)]
    trust: TrustArgs,
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Messages a second; `None`: as fast as it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Speed(Option<f64>);

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" { Ok(Speed(None)) } else { rate(text).map(|rate| Speed(Some(rate))) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "a number above 0".to_owned())
}

/// Runs it. The exit code is success only if nothing is wrong.
pub async fn run(args: ReplayArgs) -> Result<ExitCode> {
    let clock = Clock::system();
    let tasks = Tasks::new();
    let prepared = Prepared::new(&args, &clock)?;
    let mut report = Report { messages: prepared.messages(), ..Report::default() };
    let patience = Patience::new(Duration::from_secs(args.give_up_after_s));
    let following = progress::follow(
        &prepared.ledger,
        report.messages,
        args.progress,
        prepared.state.clone(),
        args.resume.as_deref(),
    );
    let worked = tokio::select! {
        worked = work(&args, &clock, &tasks, &patience, &prepared, &mut report) => worked,
        () = following => unreachable!("it follows until it is dropped"),
    };
    report.take(&prepared.ledger, prepared.people.len() as u64);
    if let Err(error) = worked {
        report.error = Some(format!("{error:#}"));
    }
    if let Some(path) = &args.history
        && let Err(error) = prepared.judge(path, &mut report)
    {
        report.error.get_or_insert(format!("{error:#}"));
    }
    if report.files.is_empty() {
        report.files = prepared.file_reports(&vec![0; prepared.files.len()]);
    }
    if let Some(path) = &args.resume {
        RunState { acked: report.acked, ..prepared.state.clone() }.save(path)?;
    }
    if args.progress && !std::io::stderr().is_terminal() {
        eprintln!("{}", serde_json::json!({"acked": report.acked, "messages": report.messages}));
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.text());
    }
    tasks.stop();
    tasks.ended(Duration::from_secs(2)).await;
    Ok(if report.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that is known before the first request.
struct Prepared {
    state: RunState,
    resumed: bool,
    files: Vec<File>,
    people: Vec<Person>,
    ledger: Arc<Ledger>,
    tape: Tape,
}

impl Prepared {
    fn new(args: &ReplayArgs, clock: &Clock) -> Result<Self> {
        if args.files.len() > MAX_FILES {
            bail!("{} files are too many: {MAX_FILES} at most", args.files.len());
        }
        let read = |path: &PathBuf| {
            let content = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((path.to_string_lossy().into_owned(), content))
        };
        let contents = args.files.iter().map(read).collect::<Result<Vec<_>>>()?;
        let plans: Vec<Plan> = contents.iter().map(|(_, content)| Plan::of(content)).collect();
        let messages = plans.iter().map(Plan::messages).sum();
        let known = args.resume.as_deref().map(RunState::load).transpose()?.flatten();
        let resumed = known.is_some();
        let state = match known {
            Some(mut state) => {
                state.fits(&contents)?;
                state.resumed += 1;
                state
            }
            None => RunState::new(clock, &contents, messages),
        };
        // Before anything is sent under its ids.
        if let Some(path) = &args.resume {
            state.save(path)?;
        }
        let (files, people) = cast(plans);
        let expected = files.iter().enumerate().map(|(at, file)| {
            let conversation = state.files[at].conversation.clone();
            Expected::new(&file.plan, conversation, &file.number, |line| state.message_id(at, line).to_string())
        });
        let ledger = Arc::new(Ledger::new(expected.collect()));
        let tape = Tape::to(args.history.as_deref())?;
        Ok(Self { state, resumed, files, people, ledger, tape })
    }

    /// Of a run that failed the history tells what happened; it came to no end that could be judged.
    fn judge(&self, path: &Path, report: &mut Report) -> Result<()> {
        match report.error {
            Some(_) => self.tape.flush(path)?,
            None => report.history = Some(self.tape.judge(path)?),
        }
        Ok(())
    }

    fn messages(&self) -> u64 {
        self.files.iter().map(|file| file.plan.messages()).sum()
    }

    fn file_reports(&self, heads: &[u64]) -> Vec<FileReport> {
        let files = self.files.iter().zip(&self.state.files).zip(heads);
        files
            .map(|((file, state), &head)| FileReport::new(&state.path, &state.conversation, &file.plan, head))
            .collect()
    }
}

/// The users of all files, each once.
fn cast(plans: Vec<Plan>) -> (Vec<File>, Vec<Person>) {
    let (mut numbers, mut people) = (BTreeMap::<String, u32>::new(), Vec::<Person>::new());
    let mut files = Vec::new();
    for (at, plan) in plans.into_iter().enumerate() {
        let mut number = Vec::new();
        for ((id, name), seats) in plan.users.iter().zip(&plan.seats) {
            let of_run = *numbers.entry(id.clone()).or_insert_with(|| {
                people.push(Person { id: id.clone(), name: name.clone(), seats: Vec::new() });
                u32::try_from(people.len() - 1).unwrap_or(u32::MAX)
            });
            number.push(of_run);
            if !seats.is_empty() {
                people[of_run as usize].seats.push((at, seats.clone()));
            }
        }
        files.push(File { plan, number });
    }
    (files, people)
}

async fn work(
    args: &ReplayArgs,
    clock: &Clock,
    tasks: &Tasks,
    patience: &Patience,
    prepared: &Prepared,
    report: &mut Report,
) -> Result<()> {
    let base = Backend::base_of(&args.url)?;
    let connector = args.trust.connector()?;
    let timeout = Duration::from_secs(HTTP_TIMEOUT_S);
    let backend = Backend::over(Arc::clone(&connector), &base, &args.admin_key, timeout)?;
    let (ledger, tape) = (&prepared.ledger, &prepared.tape);
    let device = format!("replay-{:012x}", prepared.state.run);
    let resumed = prepared.resumed;
    let launch = Launch {
        backend: &backend,
        connector,
        url: &args.url,
        device: &device,
        clock,
        tasks,
        ledger,
        tape,
        patience,
        resumed,
    };
    let fleet = Arc::new(Fleet::launch(&launch, &prepared.people).await?);
    report.connect_seconds = seconds(ledger.elapsed());

    let (state, patience, tape) = (prepared.state.clone(), patience.clone(), tape.clone());
    let pace = Pace::new(args.speed.0);
    let drive = Drive { backend, fleet, ledger: Arc::clone(ledger), tape, patience, pace, state, resumed };
    let begun = Instant::now();
    let all = stream::iter(prepared.files.iter().enumerate().map(Ok::<_, anyhow::Error>))
        .try_for_each_concurrent(None, |(at, file)| drive.file(at, file));
    // Connections are cut as long as messages flow, not during the check.
    let driven = tokio::select! {
        driven = all => driven,
        () = cut(args.drop_connections, clock, &drive.fleet) => unreachable!("it cuts until it is dropped"),
        () = marks::follow(&drive) => unreachable!("it marks until it is dropped"),
        () = presence::follow(&drive) => unreachable!("it watches until it is dropped"),
    };
    report.expected_deliveries = check::expected_deliveries(&drive);
    if driven.is_ok() {
        check::settle(&drive, Duration::from_secs(args.give_up_after_s.min(20))).await;
        drive.tape.settled();
    }
    report.seconds = seconds(begun.elapsed());
    let acked = ledger.acked.load(std::sync::atomic::Ordering::Relaxed);
    report.messages_per_s = if report.seconds > 0.0 { acked as f64 / report.seconds } else { 0.0 };
    report.delivered = ledger.seen.load(std::sync::atomic::Ordering::Relaxed);
    driven?;

    let checking = Instant::now();
    let outcome = check::members(&drive).await?;
    report.expected_deliveries = outcome.expected.into_inner();
    report.delivered = outcome.delivered.into_inner();
    report.files = prepared.file_reports(&check::logs(&drive).await?);
    presence::look(&drive).await;
    report.check_seconds = seconds(checking.elapsed());
    drive.fleet.close().await;
    Ok(())
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// Cuts random connections, so many a second, until it is dropped.
async fn cut(per_s: Option<f64>, clock: &Clock, fleet: &Fleet) {
    let Some(per_s) = per_s.filter(|_| !fleet.members.is_empty()) else { return std::future::pending().await };
    let mut turn = interval(Duration::from_secs_f64(1.0 / per_s));
    loop {
        turn.tick().await;
        let victim = usize::try_from(clock.below(fleet.members.len() as u64)).unwrap_or(0);
        fleet.members[victim].client.cut().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_a_rate_or_max() {
        assert_eq!(speed("max"), Ok(Speed(None)));
        assert_eq!(speed("250"), Ok(Speed(Some(250.0))));
        for bad in ["0", "-1", "fast", "inf", "NaN", ""] {
            assert!(speed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_nick_in_two_files_is_one_user_with_two_seats() {
        let (files, people) = cast(vec![Plan::of(b"<ada> a\n<bob> b\n"), Plan::of(b"<bob> c\n=== eve has left #x\n")]);
        let of = |id: &str| people.iter().find(|p| p.id == id).map(|p| p.seats.len());
        assert_eq!((of("ada"), of("bob"), of("eve")), (Some(1), Some(2), None));
        assert_eq!((files[0].number.as_slice(), files[1].number.as_slice()), (&[0, 1][..], &[1][..]));
    }
}
