//! From the outbox to the socket: everything that waits leaves in one write.

use std::time::Duration;

use bytes::Bytes;
use posthorn_errors::Failure;
use posthorn_proto::client::{Resync, server_frame::Frame};

use super::{codec, connection::Serving, ending::Ending, timers::Due};
use crate::live::Item;

/// Bytes handed to the socket before it is flushed: many frames leave in one write.
const CORK_BYTES: usize = 64 * 1024;

impl Serving {
    /// Moves the next part of the outbox to the socket and flushes it, once.
    pub(super) fn write(&mut self) -> Result<(), Ending> {
        let lost = self.connection.outbox.take(CORK_BYTES, &mut self.corked);
        if self.corked.is_empty() && lost.is_none() {
            return Ok(());
        }
        // `connected` is the first frame of all, also where events were lost before it was out.
        let mut resync = lost.map(|lost| {
            let code = lost.code.as_str().to_owned();
            codec::reply(self.socket.protocol, 0, Frame::Resync(Resync { code, conversations: lost.conversations }))
        });
        let mut bytes = 0;
        for item in &self.corked {
            let payload = item.bytes(self.socket.protocol);
            bytes += payload.len();
            if matches!(item, Item::Event(_))
                && let Some(resync) = resync.take()
            {
                self.socket.queue(resync)?;
            }
            self.socket.queue(payload.clone())?;
        }
        if let Some(resync) = resync {
            self.socket.queue(resync)?;
        }
        self.gateway.metrics.queue_changed(-i64::try_from(bytes).unwrap_or(i64::MAX));
        self.flush()
    }

    pub(super) fn flush(&mut self) -> Result<(), Ending> {
        if self.socket.try_flush()? {
            self.written();
        } else {
            self.flushing = true;
            self.timers.after(Due::Write, self.gateway.config().write_timeout_ms);
        }
        Ok(())
    }

    pub(super) fn written(&mut self) {
        for item in self.corked.drain(..) {
            if let Item::Event(event) = item
                && let Some(confirmed_ms) = event.first_written()
            {
                let ms = self.gateway.clock().now_ms().saturating_sub(confirmed_ms);
                self.gateway.metrics.delivered(Duration::from_millis(ms).as_secs_f64());
            }
        }
        // A burst must not keep its memory for the life of the connection.
        if self.corked.capacity() > 64 {
            self.corked = Vec::new();
        }
    }

    pub(super) fn send(&self, payload: Bytes) {
        self.gateway.metrics.queue_changed(i64::try_from(payload.len()).unwrap_or(i64::MAX));
        self.connection.outbox.push_reply(payload);
    }

    pub(super) fn send_event(&self, frame: Frame) {
        self.send(codec::reply(self.socket.protocol, 0, frame));
    }

    pub(super) fn refuse(&self, id: u64, failure: &Failure) {
        self.send(codec::error(self.socket.protocol, id, failure));
    }

    pub(super) fn answered(&self, id: u64, name: &'static str, reply: Result<Frame, Failure>) {
        match reply {
            Ok(frame) => {
                self.gateway.metrics.answered(name, "ok");
                self.send(codec::reply(self.socket.protocol, id, frame));
            }
            Err(failure) => {
                self.gateway.metrics.answered(name, failure.code.as_str());
                self.refuse(id, &failure);
            }
        }
    }
}
