//! What an acknowledgement is worth, from what the nodes are configured to do.

use std::{sync::Arc, time::Duration};

use posthorn_store::Durability;
use scylla::{
    client::session::Session,
    cluster::Node,
    policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy},
    statement::Statement,
};

/// Where a node says it: Cassandra's virtual table, then ScyllaDB's (which nothing here was run on).
const SETTINGS: [&str; 2] = [
    "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'",
    "SELECT value FROM system.config WHERE name = 'commitlog_sync'",
];
const ANSWER: Duration = Duration::from_secs(5);

/// `Synced` where every node that answers syncs a write before it acknowledges it; else `Quorum`. A node that
/// is down is not asked: it acknowledges nothing.
pub(crate) async fn detect(session: &Session) -> Durability {
    let state = session.get_cluster_state();
    let mut known = Vec::new();
    for node in state.get_nodes_info() {
        match commit_log_of(session, node).await {
            Some(mode) => known.push(mode),
            None => tracing::warn!(node = %node.address.ip(), "the node does not say how it syncs its commit log"),
        }
    }
    let synced = |mode: &String| matches!(mode.trim_matches('"'), "batch" | "group");
    if !known.is_empty() && known.iter().all(synced) { Durability::Synced } else { Durability::Quorum }
}

async fn commit_log_of(session: &Session, node: &Arc<Node>) -> Option<String> {
    for text in SETTINGS {
        let mut statement = Statement::new(text);
        let target = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(Arc::clone(node)), None);
        statement.set_load_balancing_policy(Some(target));
        statement.set_consistency(scylla::statement::Consistency::One);
        statement.set_request_timeout(Some(ANSWER));
        let Ok(result) = session.query_unpaged(statement, ()).await else { continue };
        let value = result.into_rows_result().ok().and_then(|rows| rows.maybe_first_row::<(String,)>().ok().flatten());
        if let Some((value,)) = value {
            return Some(value);
        }
    }
    None
}
