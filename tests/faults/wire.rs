//! A TCP way from one process to another, whose weather changes: late, slow, stuck in one direction or both, or torn.

use std::{
    io::Result as Io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Result;
use posthorn_clock::{Instant, sleep, sleep_until};
use posthorn_tasks::Tasks;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;
/// Chunks that are on their way in one direction; the sender waits beyond.
const UNDERWAY: usize = 64;

/// After a connection that was not taken.
const AGAIN: Duration = Duration::from_millis(50);

/// How the way is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// What is sent arrives so much later, in either direction.
    pub delay: Duration,
    /// A bound on what is carried in one direction; 0: none.
    pub bytes_per_s: u32,
    /// Nothing arrives at the process; it waits, as TCP has it, until that is over.
    pub no_requests: bool,
    /// Nothing comes from the process.
    pub no_answers: bool,
    /// Connections of an earlier number are torn, in the middle of what they carry.
    pub torn: u32,
}

pub struct Wire {
    pub caller: String,
    pub target: String,
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
    taken: Arc<AtomicBool>,
    tasks: Tasks,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Wire {
    pub async fn to(caller: &str, target: &str, upstream: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, tasks) = (listener.local_addr()?, Tasks::new());
        let weather = watch::Sender::new(Weather::default());
        let (inner, told, taken) = (tasks.clone(), weather.clone(), Arc::<AtomicBool>::default());
        let carries = Arc::clone(&taken);
        let accept = async move {
            loop {
                let client = match listener.accept().await {
                    Ok((client, _)) => client,
                    Err(error) => {
                        println!("a way takes no connection: {error}");
                        sleep(AGAIN).await;
                        continue;
                    }
                };
                carries.store(true, Relaxed);
                let (upstream, told) = (upstream.clone(), told.subscribe());
                // An error ends the connection, which is all that either end has to know.
                let carried = async move { drop(carry(client, &upstream, told).await) };
                inner.background("a connection", inner.until_stopped(carried));
            }
        };
        tasks.background("a wire", tasks.until_stopped(accept));
        Ok(Self { caller: caller.to_owned(), target: target.to_owned(), address, weather, taken, tasks })
    }

    /// Whether anybody ever went it.
    pub fn taken(&self) -> bool {
        self.taken.load(Relaxed)
    }

    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// What is connected now ends.
    pub fn tear(&self) {
        self.change(|weather| weather.torn += 1);
    }

    pub fn calm(&self) {
        self.change(|weather| *weather = Weather { torn: weather.torn, ..Weather::default() });
    }
}

/// Which way a chunk goes.
#[derive(Clone, Copy)]
enum Direction {
    Requests,
    Answers,
}

impl Direction {
    const fn stuck(self, weather: &Weather) -> bool {
        match self {
            Self::Requests => weather.no_requests,
            Self::Answers => weather.no_answers,
        }
    }
}

async fn carry(mut client: TcpStream, upstream: &str, mut weather: watch::Receiver<Weather>) -> Io<()> {
    let begun = weather.borrow_and_update().torn;
    let mut server = TcpStream::connect(upstream).await?;
    // Small frames are not held back: what delays is the weather.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let torn = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let mut told = weather.clone();
        tokio::select! {
            _ = told.wait_for(|weather| weather.torn != begun) => true,
            () = one_way(Direction::Requests, from_client, to_server, weather.clone()) => false,
            () = one_way(Direction::Answers, from_server, to_client, weather) => false,
        }
    };
    if torn {
        // Both ends get a reset, not an end.
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

/// Until either end is gone.
async fn one_way(
    direction: Direction,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
) {
    let (underway, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(UNDERWAY);
    let delayed = weather.clone();
    let reading = async {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read) = from.read(&mut chunk).await {
            let delay = delayed.borrow().delay;
            if read == 0 || underway.send((Instant::now() + delay, chunk[..read].to_vec())).await.is_err() {
                break;
            }
        }
        drop(underway);
    };
    let writing = async {
        while let Some((due, chunk)) = arriving.recv().await {
            sleep_until(due).await;
            if weather.wait_for(|weather| !direction.stuck(weather)).await.is_err() {
                break;
            }
            let bytes_per_s = weather.borrow().bytes_per_s;
            if bytes_per_s > 0 {
                sleep(Duration::from_secs_f64(chunk.len() as f64 / f64::from(bytes_per_s))).await;
            }
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
