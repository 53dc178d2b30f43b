//! A log, or the chain of its last row, which comes to the same: three bits an entry behind a
//! leading one. A longer one is a greater number.

/// Nothing yet.
pub const EMPTY: u16 = 1;
/// More do not fit.
pub const MAX_ENTRIES: u8 = 5;

pub const fn link(chain: u16, value: u8) -> u16 {
    chain << 3 | value as u16
}

#[allow(clippy::cast_possible_truncation, reason = "at most five")]
pub const fn len(chain: u16) -> u8 {
    (chain.ilog2() / 3) as u8
}

/// The entries up to `seq`, which there are.
pub const fn up_to(chain: u16, seq: u8) -> u16 {
    chain >> (3 * (len(chain) - seq))
}

/// The last entry.
pub const fn last(chain: u16) -> u8 {
    (chain & 7) as u8
}

/// The entry at `seq`, which there is.
pub const fn at(chain: u16, seq: u8) -> u8 {
    last(up_to(chain, seq))
}

/// Whether `longer` goes on where `chain` ends, or is the same.
pub const fn continues(longer: u16, chain: u16) -> bool {
    len(longer) >= len(chain) && up_to(longer, len(chain)) == chain
}

pub fn entries(chain: u16) -> impl Iterator<Item = u8> {
    (1..=len(chain)).map(move |seq| at(chain, seq))
}

pub fn holds(chain: u16, value: u8) -> bool {
    entries(chain).any(|entry| entry == value)
}

/// `[1 2]`
pub fn shown(chain: u16) -> String {
    let entries: Vec<String> = entries(chain).map(|value| value.to_string()).collect();
    format!("[{}]", entries.join(" "))
}
