//! Sessions across clusters: a user of one cluster at a phone of another (XC-1 to XC-10).
//!
//! What is decided here is decided from values alone: who is asked for a user, what is refused, which base device and
//! device pool are taken, how long it lasts, and which halves end when two clusters compare what they have.

pub mod admission;
pub mod base_device;
pub mod calling;
pub mod geolocation;
pub mod half;
pub mod parameters;
pub mod remote;
pub mod trust;
pub mod user_filter;
