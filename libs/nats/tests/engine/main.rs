//! The drivers on a real server, which is killed, stopped and robbed of its data on the way.

mod bus;
mod feed;
mod place;
