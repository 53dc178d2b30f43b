//! One trace from a sender's frame to the gateway that shows the message.

use std::{fmt, sync::Arc};

use anyhow::{Result, ensure};
use parking_lot::Mutex;
use posthorn_client::{
    Format,
    proto::{ClientFrame, Send, client_frame::Request, server_frame::Frame},
};
use posthorn_testkit::TOPOLOGIES;
use tracing::{Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{Layer, layer::Context, prelude::*, registry::LookupSpan};

use crate::raw::{Raw, text_of};

pub const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const SPAN_ID: &str = "00f067aa0ba902b7";

/// What the node logged: spans by name with their fields, and what was said inside of them.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, Fields)>>>);

#[derive(Clone, Debug, Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    }
}

impl tracing::field::Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &tracing::span::Attributes<'_>, id: &tracing::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields.clone());
        }
        self.0.lock().push((attributes.metadata().name().to_owned(), fields));
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        let mut fields = span.extensions().get::<Fields>().cloned().unwrap_or_default();
        event.record(&mut fields);
        self.0.lock().push((format!("in {}", span.name()), fields));
    }
}

impl Seen {
    fn all(&self, name: &str) -> Vec<Fields> {
        let seen = self.0.lock();
        let wanted = seen.iter().filter(|(seen, fields)| seen == name && fields.get("trace_id") == TRACE_ID);
        wanted.map(|(_, fields)| fields.clone()).collect()
    }
}

/// Method: a runtime of one thread, so that what this thread logs is what the node logs.
#[tokio::test]
async fn a_message_is_shown_in_the_trace_of_the_frame_that_sent_it() -> Result<()> {
    for topology in TOPOLOGIES {
        let seen = Seen::default();
        let filtered = seen.clone().with_filter(LevelFilter::INFO);
        let _logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(filtered));
        let cluster = crate::scenarios::start(topology).await?;
        let tenant = cluster.tenant("traces").await?;
        let mut ann = Raw::join(&tenant, "ann", "phone", Format::Json).await?;
        let mut ben = Raw::join(&tenant, "ben", "phone", Format::Proto).await?;
        ensure!(seen.all("deliver").is_empty() && seen.all("rpc").is_empty());

        let send = Send { to: "ben".into(), ..text_of("follow me") };
        let traceparent = format!("00-{TRACE_ID}-{SPAN_ID}-01");
        ann.send(&ClientFrame { id: 90, traceparent, request: Some(Request::Send(send)) }).await?;
        let Frame::Sent(sent) = ann.reply(90).await? else { anyhow::bail!("not sent") };
        ben.entries_to(&sent.conversation, sent.seq).await?;
        ann.entries_to(&sent.conversation, sent.seq).await?;

        // At the owner, at the store, where the recipients are looked up, and where registers are told.
        for (service, method) in
            [("routing", "Append"), ("storage", "Append"), ("session", "Lookup"), ("routing", "Tell")]
        {
            let there = |span: &Fields| span.get("service") == service && span.get("method") == method;
            ensure!(seen.all("rpc").iter().any(there), "{service} {method} in {topology:?}: {:?}", seen.all("rpc"));
        }
        let delivered = seen.all("deliver");
        ensure!(!delivered.is_empty(), "{topology:?}: no delivery in this trace");
        ensure!(delivered.iter().all(|span| !["", SPAN_ID].contains(&span.get("span_id"))), "{delivered:?}");
        let mut connections: Vec<String> =
            seen.all("in deliver").iter().map(|event| event.get("connection").to_owned()).collect();
        connections.sort();
        connections.dedup();
        ensure!(connections.len() == 2, "both connections were given it: {connections:?}");

        // What nobody asked to record is in no log at this level.
        let before = seen.0.lock().iter().filter(|(name, _)| name == "deliver").count();
        let quiet = ann.say(&sent.conversation, "nothing to see").await?;
        ben.entries_to(&sent.conversation, quiet.seq).await?;
        ensure!(seen.0.lock().iter().filter(|(name, _)| name == "deliver").count() == before);
        drop((ann, ben));
        cluster.stop().await?;
    }
    Ok(())
}
