//! Damage that finds edges: bits, lengths, numbers, pieces of other inputs.

use posthorn_clock::Clock;

use super::name_of;

const MAX_BYTES: usize = 32 * 1024;
const MOST_AT_ONCE: u64 = 6;

/// Pieces that parsers stumble over.
const PIECES: [&[u8]; 34] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b":",
    b",",
    b".",
    b"~",
    b"-1",
    b"0",
    b"1e400",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9007199254740993",
    b"null",
    b"true",
    b"\\ud800",
    b"\\u0000",
    b"\"id\":",
    b"\"$ref\":",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
    b"\xff\xff\xff\xff\x0f",
    b"\0\0\0\0",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x81\xfe",
    b"\x88\x82",
    b"\x0b\x0c",
    b"\n",
];

const BYTES: [u8; 10] = [0, 1, 0x7f, 0x80, 0x81, 0x88, 0xfe, 0xff, b'"', b'\\'];

pub struct Mutator(Clock);

impl Mutator {
    /// The same inputs in every run.
    pub fn new(target: &str) -> Self {
        Self(Clock::simulated(name_of(target.as_bytes()), 0))
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound.max(1) as u64)).unwrap_or_default()
    }

    pub fn mutated(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = pool[self.below(pool.len())].clone();
        for _ in 0..=self.0.below(MOST_AT_ONCE) {
            self.damage(&mut input, pool);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn damage(&self, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let at = self.below(input.len());
        let to = (at + 1 + self.below(16)).min(input.len());
        match self.below(11) {
            _ if input.is_empty() => input.extend(PIECES[self.below(PIECES.len())]),
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = BYTES[self.below(BYTES.len())],
            2 => input[at] = input[at].wrapping_add(1),
            3 => input[at] = input[at].wrapping_sub(1),
            4 => input.truncate(at),
            5 => drop(input.drain(at..to)),
            6 => {
                let piece = input[at..to].to_vec();
                drop(input.splice(at..at, piece));
            }
            7 => drop(input.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
            8 => drop(input.splice(at..to, PIECES[self.below(PIECES.len())].iter().copied())),
            9 => {
                let other = &pool[self.below(pool.len())];
                let from = self.below(other.len());
                input.truncate(at);
                input.extend(&other[from..]);
            }
            _ => self.number(input, at),
        }
    }

    /// The decimal number at or behind a place becomes another.
    fn number(&self, input: &mut Vec<u8>, at: usize) {
        let Some(from) = input[at..].iter().position(u8::is_ascii_digit).map(|n| at + n) else { return };
        let to = input[from..].iter().position(|b| !b.is_ascii_digit()).map_or(input.len(), |n| from + n);
        let number = match self.below(5) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(64),
            3 => (1 << self.below(63)) - 1,
            _ => self.0.random(),
        };
        drop(input.splice(from..to, number.to_string().into_bytes()));
    }
}
