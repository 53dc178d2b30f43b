//! Asks the routing instances for what the bus did not bring: at once where a hole shows, and at a steady
//! pace while a publisher is silent that should not be, as all are where the bus is away.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use posthorn_clock::{Instant, sleep, timeout};
use posthorn_proto::internal::{MissedReply, MissedRequest};
use posthorn_rpc::OneInstance;
use tonic::Code;

use crate::Gateway;

/// Between two rounds, however much is missing.
const MIN_PAUSE: Duration = Duration::from_millis(20);

/// For as long as the node runs.
pub(crate) async fn ask_for_what_is_missing(gateway: Arc<Gateway>) {
    let stopping = gateway.deps.tasks.stopping();
    let work = async {
        loop {
            // Something is missing, or it is time to look.
            let _ = timeout(pace(&gateway), gateway.missing.notified()).await;
            gateway.handle_on(|links, now| links.tick(now));
            while wanting(&gateway) {
                let again = round(&gateway).await;
                sleep(MIN_PAUSE).await;
                if !again {
                    break;
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stopping.cancelled() => {}
    }
}

/// A quarter more or less, so that gateways do not ask together.
fn pace(gateway: &Gateway) -> Duration {
    let mean = gateway.config().ask_ms;
    Duration::from_millis((mean - mean / 4 + gateway.clock().below(mean / 2 + 1)).max(1))
}

fn wanting(gateway: &Gateway) -> bool {
    let (now, links) = (Instant::now(), gateway.links.lock());
    gateway.metrics.silent_publishers.set(i64::try_from(links.silent(now)).unwrap_or(i64::MAX));
    gateway.is_unsubscribed() || links.wanting(now) || gateway.following.table.lock().asks()
}

/// Asks every instance once. True if one has more.
async fn round(gateway: &Gateway) -> bool {
    let mut heard = gateway.links.lock().question();
    let asked = {
        let mut table = gateway.following.table.lock();
        for heard in &mut heard {
            heard.moved = table.moves.told(&heard.publisher);
        }
        table.moves.ask()
    };
    let request = MissedRequest { gateway: gateway.incarnation.clone(), heard };
    let instances = gateway.deps.routing.instances();
    let (mut answered, mut complete, mut more) = (Vec::new(), !instances.is_empty(), false);
    let mut replies: FuturesUnordered<_> =
        instances.into_iter().map(|instance| one(gateway, instance, request.clone())).collect();
    while let Some(reply) = replies.next().await {
        match reply {
            Some(Some(mut reply)) => {
                answered.push(reply.publisher.clone());
                let moved = reply.moved.take().unwrap_or_default();
                more |= gateway.following.table.lock().moved(&reply.publisher, moved);
                gateway.metrics.asked("ok");
                gateway.handle_on(|links, now| {
                    let (step, has_more) = links.answer(reply, now);
                    gateway.metrics.replayed.inc_by(step.ready.len() as u64);
                    more |= has_more;
                    step
                });
            }
            Some(None) => {}
            None => {
                gateway.metrics.asked("unanswered");
                complete = false;
            }
        }
    }
    gateway.handle_on(|links, now| links.conclude(&answered, complete, now));
    let mut table = gateway.following.table.lock();
    if complete {
        if table.moves.only(&answered) {
            table.doubt_unheard();
        }
    } else if asked {
        table.moves.want();
    }
    drop(table);
    more
}

/// `None`: no answer in time. One of the version before cannot answer.
async fn one(gateway: &Gateway, mut instance: OneInstance, request: MissedRequest) -> Option<Option<MissedReply>> {
    let limit = Duration::from_millis(gateway.config().ask_timeout_ms);
    match timeout(limit, gateway.in_context(instance.missed(request))).await {
        Ok(Ok(reply)) => Some(Some(reply.into_inner())),
        Ok(Err(status)) if status.code() == Code::Unimplemented => Some(None),
        Ok(Err(_)) | Err(_) => None,
    }
}
