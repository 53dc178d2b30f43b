//! A way to a node on which every statement is seen, and answers can be kept back: what a network does that
//! takes a request along and loses its answer. It speaks version 4 of CQL's native protocol.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use posthorn_store_cql::CqlConfig;
use posthorn_tasks::Tasks;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

const HEADER: usize = 9;
const RESULT: u8 = 0x08;
const PREPARE: u8 = 0x09;
const EXECUTE: u8 = 0x0a;
const BATCH: u8 = 0x0d;
const PREPARED: i32 = 4;

pub const LOCAL_QUORUM: u16 = 6;
pub const LOCAL_SERIAL: u16 = 9;

/// A statement that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    pub text: String,
    pub consistency: u16,
    pub serial: Option<u16>,
}

#[derive(Default)]
struct Known {
    texts: HashMap<Vec<u8>, String>,
    sent: Vec<Sent>,
    /// Part of a statement's text, and how many of its answers are kept back.
    kept_back: Option<(String, usize)>,
}

#[derive(Clone)]
pub struct Wire {
    pub address: SocketAddr,
    known: Arc<Mutex<Known>>,
}

/// What the answers of one connection belong to, by stream.
type Asked = Arc<Mutex<HashMap<u16, Vec<String>>>>;

impl Wire {
    pub async fn to(node: SocketAddr, tasks: &Tasks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let wire = Self { address: listener.local_addr().expect("has an address"), known: Arc::default() };
        let (accepting, here) = (tasks.clone(), wire.clone());
        tasks.background("wire", async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(node).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let asked = Asked::default();
                accepting.background("wire up", here.clone().up(from_client, to_server, Arc::clone(&asked)));
                accepting.background("wire down", here.clone().down(from_server, to_client, asked));
            }
        });
        wire
    }

    /// `config`, with the one node that it names reached by this way.
    pub fn of(&self, config: &CqlConfig) -> CqlConfig {
        let (address, _) = config.nodes[0].rsplit_once(':').expect("a port");
        let addresses = vec![format!("{address}={}", self.address)];
        CqlConfig { nodes: vec![self.address.to_string()], addresses, ..config.clone() }
    }

    /// Keeps back so many answers to statements that have `part` in their text.
    pub fn keep_back(&self, part: &str, answers: usize) {
        self.known.lock().kept_back = Some((part.to_owned(), answers));
    }

    pub fn let_all_through(&self) {
        self.known.lock().kept_back = None;
    }

    /// What was executed so far, prepared statements alone: those of the driver, not of its session.
    pub fn sent(&self) -> Vec<Sent> {
        self.known.lock().sent.clone()
    }

    async fn up(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: Asked) {
        while let Some(frame) = read(&mut from).await {
            let texts = self.known.lock().request(&frame);
            asked.lock().insert(stream(&frame), texts);
            if to.write_all(&frame).await.is_err() {
                return;
            }
        }
    }

    async fn down(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: Asked) {
        while let Some(frame) = read(&mut from).await {
            let texts = asked.lock().remove(&stream(&frame)).unwrap_or_default();
            let through = self.known.lock().answer(&frame, &texts);
            if through && to.write_all(&frame).await.is_err() {
                return;
            }
        }
    }
}

impl Known {
    /// The texts of a request's statements.
    fn request(&mut self, frame: &[u8]) -> Vec<String> {
        let mut body = Body(&frame[HEADER..]);
        let (texts, skip_values) = match frame[4] {
            PREPARE => {
                let length = body.int();
                return vec![String::from_utf8_lossy(body.take(length)).into_owned()];
            }
            EXECUTE => (vec![self.text(body.short_bytes())], true),
            BATCH => {
                body.take(1);
                let mut texts = Vec::new();
                for _ in 0..body.short() {
                    assert_eq!(body.take(1), [1], "a batch of prepared statements");
                    texts.push(self.text(body.short_bytes()));
                    body.values();
                }
                (texts, false)
            }
            _ => return Vec::new(),
        };
        let consistency = body.short();
        let flags = body.take(1)[0];
        if skip_values && flags & 0x01 != 0 {
            body.values();
        }
        if flags & 0x04 != 0 {
            body.take(4);
        }
        if flags & 0x08 != 0 {
            let length = body.int();
            body.take(length);
        }
        let serial = (flags & 0x10 != 0).then(|| body.short());
        self.sent.extend(texts.iter().map(|text| Sent { text: text.clone(), consistency, serial }));
        texts
    }

    fn text(&self, id: &[u8]) -> String {
        self.texts.get(id).cloned().unwrap_or_default()
    }

    /// Whether it is handed on.
    fn answer(&mut self, frame: &[u8], texts: &[String]) -> bool {
        let mut body = Body(&frame[HEADER..]);
        if frame[4] == RESULT && body.int() == usize::try_from(PREPARED).expect("small") {
            if let [text] = texts {
                self.texts.insert(body.short_bytes().to_vec(), text.clone());
            }
            return true;
        }
        match &mut self.kept_back {
            Some((part, left)) if *left > 0 && texts.iter().any(|text| text.contains(part.as_str())) => {
                *left -= 1;
                false
            }
            _ => true,
        }
    }
}

fn stream(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[2], frame[3]])
}

async fn read(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; HEADER];
    from.read_exact(&mut frame).await.ok()?;
    let length = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
    frame.resize(HEADER + usize::try_from(length).ok()?, 0);
    from.read_exact(&mut frame[HEADER..]).await.ok()?;
    Some(frame)
}

struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }

    /// A length; what is null or unset has none.
    fn int(&mut self) -> usize {
        let length = i32::from_be_bytes(self.take(4).try_into().expect("four bytes"));
        usize::try_from(length).unwrap_or(0)
    }

    fn short_bytes(&mut self) -> &'a [u8] {
        let length = self.short();
        self.take(length.into())
    }

    fn values(&mut self) {
        for _ in 0..self.short() {
            let length = self.int();
            self.take(length);
        }
    }
}
