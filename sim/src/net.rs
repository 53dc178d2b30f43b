//! Simulated sockets, where the node and the clients take theirs.

use std::{io, net::SocketAddr};

use async_trait::async_trait;
use http::Uri;
use posthorn_node::{Io, Listener};

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

pub struct SimConnector;

#[async_trait]
impl posthorn_client::Connector for SimConnector {
    async fn connect(&self, url: &Uri) -> io::Result<Box<dyn posthorn_client::Io>> {
        let address = (url.host().unwrap_or_default(), url.port_u16().unwrap_or(80));
        Ok(Box::new(turmoil::net::TcpStream::connect(address).await?))
    }
}
