//! Bounds of what one call asks for. Callers page; these hold whatever they ask.

/// Rows of one page of a log.
pub const MAX_PAGE_ROWS: usize = 2_000;
/// Envelopes and bodies of one page; a larger row comes alone.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Records of one page.
pub const MAX_PAGE_RECORDS: usize = 1_000;
/// Conversations, users or registers that one call names.
pub const MAX_NAMES: usize = 16_384;
/// One small record.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;
/// Rows of one append, and their bytes.
pub const MAX_APPEND_ROWS: usize = 1_024;
pub const MAX_APPEND_BYTES: usize = 8 * 1024 * 1024;
