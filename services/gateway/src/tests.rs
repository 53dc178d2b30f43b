//! What a hostile peer can do. The whole way in, byte for byte: HTTP/1.1 on sockets in memory, the real router, the
//! real services behind it, virtual time.

mod catalogue;
mod fuzz;
mod isolation;
mod isolation_http;
mod place;
mod secrets;
mod signed;
mod wire;
