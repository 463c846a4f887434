//! The scopes that RPCs ask for. Which role is given which of them stands in [`crate::role`].

/// Read, start and end one's own session.
pub const SESSION_OWN: &str = "session.own";
/// Read and end the sessions of users in the teams that one supervises.
pub const SESSION_TEAM: &str = "session.team";
/// Read the sessions in which a profile is worn that one is associated with, and control their phones (EV-4). It helps
/// applications alone.
pub const SESSION_ASSOCIATED: &str = "session.associated";
/// Read every session.
pub const SESSION_READ: &str = "session.read";
/// End every session.
pub const SESSION_MANAGE: &str = "session.manage";
/// Start a session for somebody else without his credential (LI-1). It helps no end user.
pub const SESSION_PROXY: &str = "session.proxy";
/// See one's own profiles and edit their speed dials (DP-13).
pub const PROFILE_OWN: &str = "profile.own";
/// Read the directory.
pub const DIRECTORY_READ: &str = "directory.read";
/// Change the directory.
pub const DIRECTORY_WRITE: &str = "directory.write";
/// Read the whole directory with the PINs in it.
pub const DIRECTORY_BACKUP: &str = "directory.backup";
/// Set the credentials of others.
pub const CREDENTIAL_WRITE: &str = "credential.write";
/// Set the credentials of users, and of no other principals.
pub const CREDENTIAL_WRITE_USERS: &str = "credential.write.users";
/// Make the next signing key the current one.
pub const KEY_ROTATE: &str = "key.rotate";
/// Be the link to phones.
pub const PHONE_LINK: &str = "phone.link";
/// For services: resolve what a login is about.
pub const DIRECTORY_RESOLVE: &str = "directory.resolve";
/// For services: check a user's credential.
pub const CREDENTIAL_VERIFY: &str = "credential.verify";
/// For services: delete the credentials of users who are deleted.
pub const CREDENTIAL_REMOVE: &str = "credential.remove";
/// For services: end every session, and say why (DP-9).
pub const SESSION_END: &str = "session.end";
/// For services: begin halves of cross-cluster sessions.
pub const SESSION_ROAM: &str = "session.roam";
/// See other clusters, and how they are.
pub const FEDERATION_READ: &str = "federation.read";
/// Add and change other clusters, and how this one takes part.
pub const FEDERATION_WRITE: &str = "federation.write";
/// Read the audit trail.
pub const AUDIT_READ: &str = "audit.read";

/// What the token of a service carries: what a login is about, the service parameters (SP-21), credentials, also those
/// of users who are deleted, and the sessions that stand in the way of a deletion (DP-9).
pub const SERVICE: &[&str] = &[
    DIRECTORY_RESOLVE,
    DIRECTORY_READ,
    CREDENTIAL_VERIFY,
    CREDENTIAL_REMOVE,
    SESSION_READ,
    SESSION_END,
    SESSION_ROAM,
];
