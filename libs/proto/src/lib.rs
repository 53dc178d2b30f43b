//! Generated messages and services (`cargo xtask codegen`), and their conversions to and from the
//! types of `posthorn-core`. The only crate that knows the generator.

#![allow(clippy::large_enum_variant, reason = "generated oneofs")]

pub mod convert;
pub mod errors;

#[allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all)]
#[rustfmt::skip]
mod generated {
    pub mod client {
        pub mod v1 {
            include!("generated/posthorn.client.v1.rs");
            include!("generated/posthorn.client.v1.serde.rs");
        }
    }
    pub mod internal {
        pub mod v1 {
            include!("generated/posthorn.internal.v1.rs");
        }
    }
}

pub use generated::client::v1 as client;
pub use generated::internal::v1 as internal;
