//! What a command says at its end: where the cluster is, and who.

use anyhow::{Context, Result};
use posthorn_engines::detached::Detached;
use serde_json::{Value, json};

use super::{
    launch::Cluster,
    state::{Member, Part, State},
};
use crate::dev::{keys::Keys, provision::TENANT};

/// Where its clients connect, and the ids of what runs, by service or engine.
pub fn addresses(state: &State) -> Value {
    let balancer = state.of(Part::Balancer).next();
    let at = balancer.map(|member| member.address().to_string()).unwrap_or_default();
    let inner = balancer.and_then(Member::inner_address).map(|at| at.to_string()).unwrap_or_default();
    let pids: serde_json::Map<String, Value> = Part::ALL
        .into_iter()
        .map(|part| {
            let running = state.of(part).filter(|member| member.running()).filter_map(|member| member.process);
            (part.name().to_owned(), running.map(Detached::pid).collect())
        })
        .collect();
    json!({
        "ws": format!("ws://{at}/v1/ws"),
        "http": format!("http://{at}"),
        "metrics": format!("http://{inner}/metrics"),
        "pids": pids,
    })
}

pub fn print(cluster: &Cluster, json: bool) -> Result<()> {
    let keys = Keys::of(&cluster.dir);
    let read = |file: &std::path::Path| Keys::read(file)?.with_context(|| format!("no key in {}", file.display()));
    let mut line = addresses(&cluster.state);
    line["admin_key"] = read(&keys.admin_file(TENANT))?.into();
    line["operator_key"] = read(&keys.operator_file())?.into();
    crate::commands::print(&if json { format!("{line}\n") } else { text(&line, &cluster.dir.display().to_string()) })
}

fn text(line: &Value, dir: &str) -> String {
    let of = |key: &str| line[key].as_str().unwrap_or_default();
    let mut text = format!(
        "\n  WebSocket   {}\n  HTTP        {}\n  metrics     {}\n  admin key   {}\n",
        of("ws"),
        of("http"),
        of("metrics"),
        of("admin_key")
    );
    for (name, pids) in line["pids"].as_object().into_iter().flatten() {
        let pids: Vec<String> = pids.as_array().into_iter().flatten().map(Value::to_string).collect();
        text.push_str(&format!("  {name:<10}  {}\n", if pids.is_empty() { "-".to_owned() } else { pids.join(" ") }));
    }
    text + &format!("\nLogs are in {dir}/log. `posthorn cluster down --dir {dir}` ends it.\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::cluster::state::{Given, tests::member};

    #[test]
    fn a_program_finds_everything_by_its_name_also_what_does_not_run() {
        let this = Detached::of(std::process::id()).expect("this one");
        let mut balancer = member("balancer", Part::Balancer, 7);
        balancer.inner_port = Some(8);
        let mut routing = member("routing-2", Part::Routing, 20);
        routing.process = Some(this);
        let members = vec![member("routing-1", Part::Routing, 10), routing, balancer];
        let line = addresses(&State::new(Given::default(), Vec::new(), members));
        assert_eq!(line["ws"], "ws://127.0.0.1:7/v1/ws");
        assert_eq!(line["http"], "http://127.0.0.1:7");
        assert_eq!(line["metrics"], "http://127.0.0.1:8/metrics");
        assert_eq!(line["pids"]["routing"], json!([this.pid()]));
        assert_eq!(line["pids"]["cassandra"], json!([]));
        assert_eq!(line["pids"].as_object().map(serde_json::Map::len), Some(Part::ALL.len()));
    }
}
