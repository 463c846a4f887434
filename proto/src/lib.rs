//! The wire contract: generated messages, clients and servers, and what the protos say about themselves beyond their
//! types (scopes, reasons, proto JSON, how renderings are kept). Knows nothing of the rules.

mod codec;
pub mod contract;
pub mod json;
mod length;
pub mod mask;
mod redacted;
pub mod refusal;
pub mod rendering;

/// The compiled protos with source information and our options, for reflection and documentation.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/roamline.binpb"));

#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::wildcard_imports, unreachable_pub)]
mod generated {
    pub mod options {
        pub mod v1 {
            tonic::include_proto!("roamline.options.v1");
        }
    }
    pub mod error {
        pub mod v1 {
            tonic::include_proto!("roamline.error.v1");
        }
    }
    pub mod auth {
        pub mod v1 {
            tonic::include_proto!("roamline.auth.v1");
        }
    }
    pub mod profile {
        pub mod v1 {
            tonic::include_proto!("roamline.profile.v1");
        }
    }
    pub mod session {
        pub mod v1 {
            tonic::include_proto!("roamline.session.v1");
        }
    }
    pub mod emcc {
        pub mod v1 {
            tonic::include_proto!("roamline.emcc.v1");
        }
    }
}

pub use generated::auth::v1 as auth;
/// `roamline.emcc.v1`.
pub use generated::emcc::v1 as emcc;
/// `roamline.error.v1`.
pub use generated::error::v1 as error;
/// `roamline.options.v1`.
pub use generated::options::v1 as options;
/// `roamline.profile.v1`.
pub use generated::profile::v1 as profile;
/// `roamline.session.v1`.
pub use generated::session::v1 as session;
/// `roamline.auth.v1`.
pub use length::length;
