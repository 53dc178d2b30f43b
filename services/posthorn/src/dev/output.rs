//! What `dev` says when it is ready.

use std::{net::SocketAddr, path::Path};

use serde_json::json;

use super::{
    demo::Seat,
    provision::{GROUP, Provisioned, TENANT},
};

pub struct Ready<'a> {
    pub addr: SocketAddr,
    pub data_dir: &'a Path,
    pub provisioned: &'a Provisioned,
    pub seats: Vec<Seat>,
}

impl Ready<'_> {
    /// One line, with its end.
    pub fn json(&self) -> String {
        let addr = self.addr;
        let line = json!({
            "ws": format!("ws://{addr}/v1/ws"),
            "http": format!("http://{addr}"),
            "metrics": format!("http://{addr}/metrics"),
            "admin_key": self.provisioned.admin_key,
            "demo": {
                "page": format!("http://{addr}/"),
                "tenant": TENANT,
                "users": self.seats,
                "conversation": self.provisioned.conversation,
                "group": GROUP,
                "operator_key": self.provisioned.operator_key,
            },
        });
        format!("{line}\n")
    }

    pub fn text(&self) -> String {
        let Self { addr, data_dir, provisioned, seats } = self;
        let tokens: String = seats.iter().map(|seat| format!("  token of {:<8}{}\n", seat.user, seat.token)).collect();
        format!(
            "\nPosthorn is ready: open http://{addr}/ in a browser.\n\n\
             \x20 page            http://{addr}/\n\
             \x20 metrics         http://{addr}/metrics\n\
             \x20 API document    http://{addr}/v1/openapi.json\n\
             \x20 admin key       {admin}\n\
             {tokens}\n\
             Say something as Alice:\n\n\
             \x20 curl -s http://{addr}/v1/conversations/{conversation}/entries \\\n\
             \x20   -H 'Authorization: Bearer {admin}' \\\n\
             \x20   -H 'Content-Type: application/json' -d '{{\"author\":\"alice\",\"text\":\"Hello from curl\"}}'\n\n\
             Data and keys are in {data_dir} and survive a restart. Ctrl-C stops.\n\n",
            admin = provisioned.admin_key,
            conversation = provisioned.conversation,
            data_dir = data_dir.display(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_one_line_and_a_person_every_address() {
        let provisioned = Provisioned { admin_key: "ak".into(), operator_key: "ok".into(), conversation: "d.1".into() };
        let seats = vec![Seat { user: "alice", name: "Alice", token: "jwt".into() }];
        let addr = SocketAddr::from(([127, 0, 0, 1], 7200));
        let ready = Ready { addr, data_dir: Path::new("data"), provisioned: &provisioned, seats };
        let line = ready.json();
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["ws"], "ws://127.0.0.1:7200/v1/ws");
        assert_eq!(value["http"], "http://127.0.0.1:7200");
        assert_eq!(value["admin_key"], "ak");
        assert_eq!(value["demo"]["users"][0]["token"], "jwt");
        let text = ready.text();
        for part in ["http://127.0.0.1:7200/ ", "/metrics", "Bearer ak", "jwt", "curl"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
