//! The document and what is checked against it; the layers; the API over real services on the memory
//! drivers, linked locally.

mod access;
mod api;
mod document;
mod drain;
mod errors;
mod health;
mod letters;
mod once;
mod place;
