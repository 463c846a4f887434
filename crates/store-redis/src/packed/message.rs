//! The messages. A tag is never given twice, nor another meaning.

use prost::Message;

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct PackedInstant {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(sfixed32, tag = "2")]
    pub(super) nanos: i32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct PackedLength {
    #[prost(uint64, tag = "1")]
    pub(super) seconds: u64,
    #[prost(fixed32, tag = "2")]
    pub(super) nanos: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PackedActor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) source: String,
    #[prost(string, tag = "3")]
    pub(super) application: String,
    /// The digits of a trace id as the bytes that they are, where they come back the same.
    #[prost(bytes = "vec", tag = "4")]
    pub(super) trace: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(super) trace_text: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct PackedPending {
    #[prost(uint32, tag = "1")]
    pub(super) reason: u32,
    #[prost(message, required, tag = "2")]
    pub(super) due_at: PackedInstant,
    #[prost(message, required, tag = "3")]
    pub(super) until: PackedInstant,
}

/// A session; on a phone's record, without the phone. Its logout rendering stands elsewhere.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PackedSession {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) id: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) user: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) phone: Vec<u8>,
    #[prost(string, tag = "4")]
    pub(super) profile: String,
    #[prost(message, required, tag = "5")]
    pub(super) since: PackedInstant,
    #[prost(message, optional, tag = "6")]
    pub(super) expires_at: Option<PackedInstant>,
    #[prost(message, optional, tag = "7")]
    pub(super) idle_limit: Option<PackedLength>,
    #[prost(message, optional, tag = "8")]
    pub(super) idle_since: Option<PackedInstant>,
    #[prost(message, optional, tag = "9")]
    pub(super) daily_logout_at: Option<PackedInstant>,
    #[prost(message, optional, tag = "10")]
    pub(super) pending_logout: Option<PackedPending>,
    #[prost(message, optional, tag = "11")]
    pub(super) apply_by: Option<PackedInstant>,
    #[prost(uint32, tag = "12")]
    pub(super) agent_state: u32,
    #[prost(string, tag = "13")]
    pub(super) primary_extension: String,
    #[prost(string, repeated, tag = "14")]
    pub(super) lines: Vec<String>,
    #[prost(string, tag = "15")]
    pub(super) acd_line: String,
    #[prost(uint64, tag = "16")]
    pub(super) generation: u64,
    #[prost(uint64, tag = "17")]
    pub(super) epoch: u64,
    #[prost(message, required, tag = "18")]
    pub(super) actor: PackedActor,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PackedPhone {
    #[prost(uint64, tag = "1")]
    pub(super) generation: u64,
    #[prost(uint64, tag = "2")]
    pub(super) acknowledged: u64,
    /// A bit for each action: restart, reset, clear the call history, cancel call-back.
    #[prost(uint32, tag = "3")]
    pub(super) actions: u32,
    #[prost(bool, tag = "4")]
    pub(super) off_hook: bool,
    #[prost(string, tag = "5")]
    pub(super) last_user: String,
    #[prost(message, optional, tag = "6")]
    pub(super) session: Option<PackedSession>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PackedEnd {
    #[prost(message, required, tag = "1")]
    pub(super) session: PackedSession,
    #[prost(uint32, tag = "2")]
    pub(super) reason: u32,
    #[prost(message, required, tag = "3")]
    pub(super) at: PackedInstant,
    #[prost(message, required, tag = "4")]
    pub(super) actor: PackedActor,
    #[prost(uint64, tag = "5")]
    pub(super) epoch: u64,
    #[prost(string, tag = "6")]
    pub(super) note: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PackedRefusal {
    #[prost(uint32, tag = "1")]
    pub(super) what: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) phone: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(super) user: String,
    #[prost(string, tag = "4")]
    pub(super) profile: String,
    #[prost(string, tag = "5")]
    pub(super) reason: String,
    #[prost(message, required, tag = "6")]
    pub(super) actor: PackedActor,
    #[prost(uint64, tag = "7")]
    pub(super) more: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PackedEvent {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) kind: Option<Kind>,
    /// Who asked for what `Refreshed` tells of. A release that did not know it told of the session alone.
    #[prost(message, optional, tag = "7")]
    pub(super) refreshed_by: Option<PackedActor>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(message, tag = "1")]
    LoggedIn(PackedSession),
    #[prost(message, tag = "2")]
    LoggedOut(PackedEnd),
    #[prost(message, tag = "3")]
    LogoutPending(PackedSession),
    #[prost(bytes = "vec", tag = "4")]
    Redressed(Vec<u8>),
    #[prost(message, tag = "5")]
    Refreshed(PackedSession),
    #[prost(message, tag = "6")]
    Refused(PackedRefusal),
}
