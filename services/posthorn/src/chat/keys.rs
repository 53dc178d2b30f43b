//! From the bytes of a terminal to keys. Pure.

/// What a person pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Typed or pasted; what was pasted may hold line breaks.
    Text(String),
    Enter,
    Erase,
    Delete,
    EraseWord,
    EraseToStart,
    EraseToEnd,
    Left,
    Right,
    WordLeft,
    WordRight,
    Start,
    End,
    Older,
    Newer,
    Redraw,
    /// Ctrl-C, in its turn among the other keys.
    Interrupt,
    /// Ctrl-D.
    Close,
}

/// Largest paste that is taken as one, bytes; a longer one comes in pieces.
const MAX_PASTE_BYTES: usize = 256 * 1024;
/// No sequence that a terminal sends is longer.
const MAX_SEQUENCE_BYTES: usize = 32;
const PASTE_END: &[u8] = b"\x1b[201~";

/// Bytes come in pieces: what is not whole yet is kept for the next.
#[derive(Default)]
pub struct Decoder {
    held: Vec<u8>,
    pasting: bool,
}

impl Decoder {
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.held.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            let taken = if self.pasting {
                paste(rest, &mut keys, &mut self.pasting)
            } else if rest[0] == 0x1b {
                sequence(rest, &mut keys, &mut self.pasting)
            } else if rest[0] < 0x20 || rest[0] == 0x7f {
                keys.extend(control(rest[0]));
                Some(1)
            } else {
                text(rest, &mut keys)
            };
            match taken {
                Some(taken) => at += taken,
                None => break,
            }
        }
        self.held.drain(..at);
        keys
    }
}

const fn control(byte: u8) -> Option<Key> {
    Some(match byte {
        b'\r' | b'\n' => Key::Enter,
        0x7f | 0x08 => Key::Erase,
        0x01 => Key::Start,
        0x02 => Key::Left,
        0x03 => Key::Interrupt,
        0x04 => Key::Close,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x0b => Key::EraseToEnd,
        0x0c => Key::Redraw,
        0x0e => Key::Newer,
        0x10 => Key::Older,
        0x15 => Key::EraseToStart,
        0x17 => Key::EraseWord,
        _ => return None,
    })
}

/// How many bytes an escape sequence takes; `None` where it is not whole.
fn sequence(bytes: &[u8], keys: &mut Vec<Key>, pasting: &mut bool) -> Option<usize> {
    let second = *bytes.get(1)?;
    if second != b'[' && second != b'O' {
        // Alt and a key.
        keys.extend(match second {
            b'b' => Some(Key::WordLeft),
            b'f' => Some(Key::WordRight),
            0x7f => Some(Key::EraseWord),
            _ => None,
        });
        return Some(if second.is_ascii() && second != 0x1b { 2 } else { 1 });
    }
    let Some(length) = bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
        return (bytes.len() > MAX_SEQUENCE_BYTES).then_some(bytes.len());
    };
    match (&bytes[2..2 + length], bytes[2 + length]) {
        (b"200", b'~') => *pasting = true,
        (b"", b'A') => keys.push(Key::Older),
        (b"", b'B') => keys.push(Key::Newer),
        (b"", b'C') => keys.push(Key::Right),
        (b"", b'D') => keys.push(Key::Left),
        (b"1;5" | b"1;3", b'C') => keys.push(Key::WordRight),
        (b"1;5" | b"1;3", b'D') => keys.push(Key::WordLeft),
        (b"", b'H') | (b"1" | b"7", b'~') => keys.push(Key::Start),
        (b"", b'F') | (b"4" | b"8", b'~') => keys.push(Key::End),
        (b"3", b'~') => keys.push(Key::Delete),
        _ => {}
    }
    Some(length + 3)
}

fn paste(bytes: &[u8], keys: &mut Vec<Key>, pasting: &mut bool) -> Option<usize> {
    let end = bytes.windows(PASTE_END.len()).position(|window| window == PASTE_END);
    let (pasted, taken) = match end {
        Some(end) => (&bytes[..end], end + PASTE_END.len()),
        None if bytes.len() >= MAX_PASTE_BYTES => (&bytes[..MAX_PASTE_BYTES / 2], MAX_PASTE_BYTES / 2),
        None => return None,
    };
    *pasting = end.is_none();
    // A terminal sends what Enter would send.
    let pasted = String::from_utf8_lossy(pasted).replace("\r\n", "\n").replace('\r', "\n");
    if !pasted.is_empty() {
        keys.push(Key::Text(pasted));
    }
    Some(taken)
}

/// As many characters as there are whole.
fn text(bytes: &[u8], keys: &mut Vec<Key>) -> Option<usize> {
    let end = bytes.iter().position(|&byte| byte < 0x20 || byte == 0x7f).unwrap_or(bytes.len());
    let (text, taken) = match std::str::from_utf8(&bytes[..end]) {
        Ok(text) => (text, end),
        Err(error) if error.valid_up_to() > 0 => {
            (std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(), error.valid_up_to())
        }
        // The rest of the character is still to come.
        Err(error) if error.error_len().is_none() && end == bytes.len() => return None,
        Err(error) => ("\u{fffd}", error.error_len().unwrap_or(end)),
    };
    keys.push(Key::Text(text.to_owned()));
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Key {
        Key::Text(text.to_owned())
    }

    #[test]
    fn keys_are_found_wherever_the_bytes_are_cut() {
        let bytes = "aé漢\r\x1b[D\x1b[1;5C\x1bOA\x1b[3~\x7f\x1b[200~x\ry\x1b[201~\x04".as_bytes();
        let whole = Decoder::default().read(bytes);
        let expect = [
            typed("aé漢"),
            Key::Enter,
            Key::Left,
            Key::WordRight,
            Key::Older,
            Key::Delete,
            Key::Erase,
            typed("x\ny"),
            Key::Close,
        ];
        assert_eq!(whole, expect);
        let mut decoder = Decoder::default();
        let single: Vec<Key> = bytes.iter().flat_map(|&byte| decoder.read(&[byte])).collect();
        assert_eq!(single[..3], [typed("a"), typed("é"), typed("漢")]);
        assert_eq!(single[3..], expect[1..]);
    }

    #[test]
    fn nothing_that_is_no_key_stays_for_ever() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.read(b"\xff\xc3("), [typed("\u{fffd}"), typed("\u{fffd}"), typed("(")]);
        assert_eq!(decoder.read(b"\x1b[?99;1Rx"), [typed("x")]);
        assert_eq!(decoder.read(b"\x1bx\x1b\x1b[C"), [Key::Right]);
        decoder.read(&[&b"\x1b["[..], &[b'0'; 40]].concat());
        assert_eq!(decoder.read(b"x"), [typed("x")]);
        decoder.read(b"\x1b[200~");
        assert!(!decoder.read(&[b'y'; MAX_PASTE_BYTES]).is_empty());
        assert!(decoder.held.len() < MAX_PASTE_BYTES);
    }
}
