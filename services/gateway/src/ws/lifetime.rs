//! What ends a connection besides its client: silence, its token, its age, a drain, a revocation.

use posthorn_clock::Instant;
use posthorn_errors::Code;
use posthorn_proto::client::{Ping, Reconnect, TokenExpiring, server_frame::Frame};
use posthorn_rpc::within;

use super::{
    connection::{Outcome, Serving},
    ending::Ending,
    timers::Due,
};
use crate::live::Order;

/// After the window of a `reconnect`, for requests still in flight, ms.
const LEAVE_GRACE_MS: u64 = 2_000;

impl Serving {
    pub(super) fn due(&mut self, due: Due) -> Result<(), Ending> {
        let config = self.gateway.config();
        match due {
            Due::Write => return Err(Ending::server(Code::SlowConsumer)),
            Due::Pong => return Err(Ending::server(Code::PingTimeout)),
            Due::TokenExpired => return Err(Ending::server(Code::TokenExpired)),
            Due::Ping => {
                let (interval, wait) = (config.ping_interval_ms, config.ping_timeout_ms);
                self.timers.after(Due::Ping, interval);
                // While we cannot write, the deadline of the write decides.
                if !self.flushing {
                    self.timers.after(Due::Pong, wait);
                    self.pinged = Some(Instant::now());
                    self.send_event(Frame::Ping(Ping {}));
                }
            }
            Due::TokenExpiring => {
                let token_expires_ms = self.connection.token.lock().expires_ms;
                self.send_event(Frame::TokenExpiring(TokenExpiring { token_expires_ms }));
            }
            Due::Follow => self.follow(),
            Due::Age => self.leave(Code::ConnectionAge),
            Due::Leave => {
                let code = self.leaving.unwrap_or(Code::ConnectionAge);
                if self.pending == 0 {
                    return Err(Ending::server(code));
                }
                // What is in flight finishes, but not for ever: every call has its deadline.
            }
        }
        Ok(())
    }

    /// A client that has not synced is told of its large conversations as of all others.
    fn follow(&mut self) {
        let (gateway, connection) = (self.gateway.clone(), self.connection.clone());
        let context = self.context(self.trace(""));
        let work = async move { Outcome::Followed(within(context, gateway.follow_unasked(&connection)).await) };
        self.reads.push(Box::pin(work));
    }

    pub(super) fn obey(&mut self, order: Order) -> Result<(), Ending> {
        match order {
            Order::End(ending) => Err(ending),
            Order::Leave(code) => {
                self.leave(code);
                Ok(())
            }
        }
    }

    /// Asks the client to come back elsewhere within a window; after it the connection ends.
    pub(super) fn leave(&mut self, code: Code) {
        if self.leaving.replace(code).is_some() {
            return;
        }
        let window = self.gateway.config().reconnect_window_ms;
        self.timers.after(Due::Leave, window + LEAVE_GRACE_MS);
        self.send_event(Frame::Reconnect(Reconnect {
            code: code.as_str().to_owned(),
            delay_min_ms: 0,
            delay_max_ms: window,
            resume_token: self.resume_token.clone(),
        }));
    }
}
