//! The rules of extension mobility, as pure functions and types that cannot be wrong.
//!
//! Nothing here waits, reads a clock or a disk, or knows the wire. A request is parsed into these types once, at the
//! edge; a decision (`decide_login`, `decide_logout`, `render`) takes everything it needs as arguments. Each rule
//! stands under its id (DP-1, LL-3, CC-2, SP-5, LI-3, LO-2), which also names the test that proves it.

pub mod catalogue;
pub mod check;
pub mod contact_centre;
pub mod credential;
pub mod directory;
pub mod layout;
pub mod lint;
pub mod login;
pub mod logout;
pub mod name;
pub mod parameters;
pub mod phone_state;
pub mod profile_choice;
pub mod render;
pub mod settings;
pub mod violation;

pub use name::{
    ClusterId, InvalidName, LineName, LogoutTag, ModelName, PhoneName, PrincipalName, ProfileName, RequestId,
    SessionId, UserId,
};
pub use violation::{Violation, Violations};
