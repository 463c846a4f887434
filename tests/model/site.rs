//! The small site on which the model and the service live: few users and few phones, so that they meet often.

/// Phones that the directory has. The number itself stands for a phone that it does not have.
pub(crate) const PHONES: usize = 4;
/// Users that the directory has.
pub(crate) const USERS: usize = 5;
/// The credential of every user.
pub(crate) const PASSWORD: &str = "pass123";

/// How long a user may stay, by his own record (SP-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnLimit {
    Cluster,
    Unlimited,
    Seconds(u64),
}

/// What the directory has about a user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserFacts {
    pub(crate) limit: OwnLimit,
    /// The idle limit of his profile in seconds (DP-14).
    pub(crate) idle: Option<u64>,
    /// The ACD line of his profile (CC-7).
    pub(crate) acd_line: Option<&'static str>,
}

/// Two agents share an ACD line; one user has no limit at all.
pub(crate) fn facts(user: usize) -> UserFacts {
    let (limit, idle, acd_line) = match user {
        0 => (OwnLimit::Cluster, None, None),
        1 => (OwnLimit::Unlimited, Some(600), None),
        2 => (OwnLimit::Seconds(7_200), None, Some("2101")),
        3 => (OwnLimit::Cluster, Some(1_800), Some("2101")),
        _ => (OwnLimit::Unlimited, None, Some("2102")),
    };
    UserFacts { limit, idle, acd_line }
}

pub(crate) fn user_name(user: usize) -> String {
    format!("agent{user}")
}

pub(crate) fn phone_name(phone: usize) -> String {
    format!("SEP02000000000{phone}")
}
