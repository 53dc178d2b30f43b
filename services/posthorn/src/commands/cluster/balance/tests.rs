use posthorn_clock::timeout;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{gateways::Health, *};

const LIMIT: Duration = Duration::from_secs(30);

/// Says its name to whoever sends a byte, and `ready` as told to whoever asks over HTTP.
struct Fake {
    address: SocketAddr,
    tasks: Tasks,
}

impl Fake {
    async fn start(name: &'static str, status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let tasks = Tasks::new();
        let connections = tasks.clone();
        let stop = tasks.stopping();
        tasks.background("fake gateway", async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stop.cancelled() => return,
                };
                let (mut stream, _) = accepted.expect("accepts");
                let stop = stop.clone();
                connections.background("connection", async move {
                    let talk = async {
                        let mut first = [0; 4];
                        if stream.read_exact(&mut first).await.is_err() {
                            return;
                        }
                        if &first == b"GET " {
                            // Closed with something unread, the connection would be reset.
                            let _ = stream.read(&mut [0; 1_024]).await;
                            let _ = stream.write_all(format!("HTTP/1.0 {status} X\r\n\r\n").as_bytes()).await;
                            return;
                        }
                        let _ = stream.write_all(name.as_bytes()).await;
                        // Stays until the client goes.
                        let _ = stream.read(&mut first).await;
                    };
                    tokio::select! {
                        () = talk => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        });
        Self { address, tasks }
    }

    async fn die(&self) {
        self.tasks.stop();
        assert!(self.tasks.ended(LIMIT).await);
    }
}

struct Balancer {
    address: SocketAddr,
    gateways: Gateways,
    traffic: Traffic,
    _tasks: Tasks,
}

impl Balancer {
    async fn over(fakes: &[&Fake]) -> Self {
        let gateways = Gateways::default();
        gateways.replace(&fakes.iter().map(|fake| fake.address).collect::<Vec<_>>());
        gateways.check().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (tasks, traffic) = (Tasks::new(), Traffic::new(&Metrics::default()));
        tasks.background("listener", accept(listener, gateways.clone(), traffic.clone(), tasks.clone()));
        Self { address, gateways, traffic, _tasks: tasks }
    }

    /// A connection, and the gateway it went to; empty where it was closed.
    async fn connect(&self) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        stream.write_all(b"name").await.expect("says");
        let mut name = [0; 1];
        let read = timeout(LIMIT, stream.read(&mut name)).await.expect("in time").unwrap_or(0);
        (stream, String::from_utf8_lossy(&name[..read]).into_owned())
    }
}

#[tokio::test]
async fn connections_are_shared_and_go_to_the_other_when_one_dies() {
    let (a, b) = (Fake::start("a", "200").await, Fake::start("b", "200").await);
    let balancer = Balancer::over(&[&a, &b]).await;
    let (first, second) = (balancer.connect().await, balancer.connect().await);
    let mut names = [first.1, second.1];
    names.sort();
    assert_eq!(names, ["a", "b"]);

    a.die().await;
    // Not checked since: whoever connects finds out, and is served all the same.
    for _ in 0..4 {
        assert_eq!(balancer.connect().await.1, "b");
    }
    assert_eq!(balancer.gateways.count(Health::Ready), 1);
}

#[tokio::test]
async fn a_client_is_told_when_its_gateway_dies() {
    let a = Fake::start("a", "200").await;
    let balancer = Balancer::over(&[&a]).await;
    let (mut stream, name) = balancer.connect().await;
    assert_eq!(name, "a");
    a.die().await;
    let mut rest = Vec::new();
    let ended = timeout(LIMIT, stream.read_to_end(&mut rest)).await.expect("in time");
    assert!(ended.is_err() || rest.is_empty());
    // And where nobody is left, whoever comes is sent away.
    assert_eq!(balancer.connect().await.1, "");
    assert_eq!(balancer.traffic.refused.get(), 1);
}

#[tokio::test]
async fn a_gateway_that_is_not_ready_gets_connections_only_if_no_other_is() {
    let (a, b) = (Fake::start("a", "503").await, Fake::start("b", "200").await);
    let balancer = Balancer::over(&[&a, &b]).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let (stream, name) = balancer.connect().await;
        assert_eq!(name, "b");
        kept.push(stream);
    }
    b.die().await;
    assert_eq!(balancer.connect().await.1, "a");
}

#[tokio::test]
async fn gateways_come_and_go_while_it_runs() {
    let (a, b) = (Fake::start("a", "200").await, Fake::start("b", "200").await);
    let balancer = Balancer::over(&[&a]).await;
    balancer.gateways.replace(&[b.address]);
    balancer.gateways.check().await;
    assert_eq!(balancer.connect().await.1, "b");
}
