//! The document and what is checked against it.

mod document;
