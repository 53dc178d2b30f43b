//! The names of subjects that services and gateways agree on.

/// What goes to every gateway.
pub const ALL_GATEWAYS: &str = "gateways";

/// What goes to one incarnation of a gateway.
#[must_use]
pub fn of_gateway(incarnation: &str) -> String {
    format!("gateway.{incarnation}")
}
