//! Simulated sockets, where the nodes and the clients take theirs.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;
use http::Uri;
use posthorn_node::{Io, Listener, Network};

pub struct SimListener(pub turmoil::net::TcpListener);

#[async_trait]
impl Listener for SimListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn Io>, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((Box::new(stream), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Between the processes of the services.
pub struct SimNetwork;

#[async_trait]
impl Network for SimNetwork {
    fn scheme(&self) -> &'static str {
        "http"
    }

    async fn connect(&self, to: &Uri) -> io::Result<Box<dyn Io>> {
        let address = (to.host().unwrap_or_default(), to.port_u16().unwrap_or(80));
        Ok(Box::new(turmoil::net::TcpStream::connect(address).await?))
    }
}

/// A client's way to the gates, one after the other, as a balancer would send it.
pub struct SimConnector {
    gates: Vec<String>,
    next: AtomicUsize,
}

impl SimConnector {
    pub fn to(gates: Vec<String>, first: usize) -> Self {
        Self { gates, next: AtomicUsize::new(first) }
    }
}

#[async_trait]
impl posthorn_client::Connector for SimConnector {
    async fn connect(&self, url: &Uri) -> io::Result<Box<dyn posthorn_client::Io>> {
        let gate = &self.gates[self.next.fetch_add(1, Relaxed) % self.gates.len()];
        Ok(Box::new(turmoil::net::TcpStream::connect((gate.as_str(), url.port_u16().unwrap_or(80))).await?))
    }
}
