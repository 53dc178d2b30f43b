//! The driver on a real database: Apache Cassandra, started once for all tests of this binary, or the one
//! that `POSTHORN_TEST_CQL=host:port` names. `POSTHORN_TEST_ENGINES=off` leaves these tests out,
//! `POSTHORN_TEST_NODES=3` adds those of three nodes, which are always started here.

mod faults;
mod moves;
mod one;
mod place;
mod proxy;
mod rules;
mod wire;
