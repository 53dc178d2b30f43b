//! One connection: its bytes go to a gateway and back, whatever they are.

use std::time::Duration;

use tokio::{
    io::{AsyncWriteExt, copy},
    net::TcpStream,
};

use super::{Traffic, gateways::Gateways};

/// For one gateway to take a connection.
const CONNECT: Duration = Duration::from_secs(1);

/// Until either side has ended. A client that has said all it will say still gets the answer.
pub async fn serve(mut client: TcpStream, gateways: &Gateways, traffic: &Traffic) {
    let Some((mut gateway, _seat)) = gateways.connect(CONNECT).await else {
        traffic.refused.inc();
        return;
    };
    // Neither matters to whether it works.
    let _ = (client.set_nodelay(true), gateway.set_nodelay(true));
    let (mut from_client, mut to_client) = client.split();
    let (mut from_gateway, mut to_gateway) = gateway.split();
    let up = async {
        if copy(&mut from_client, &mut to_gateway).await.is_ok() && to_gateway.shutdown().await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let down = async {
        let _ = copy(&mut from_gateway, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
