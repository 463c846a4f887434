//! The tables. Every key begins with the cluster's id.
#![allow(unreachable_pub, reason = "the derives make public items")]

/// An entity without relations: rows are found by their keys alone.
macro_rules! table {
    ($(#[$doc:meta])* $module:ident, $name:literal, { $($key:ident: $key_type:ty,)+ }, { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        pub(crate) mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $name)]
            pub struct Model {
                $(#[sea_orm(primary_key, auto_increment = false)] pub $key: $key_type,)+
                $(pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

table!(
    /// What is live on a phone. Of a session, the columns that are searched stand beside its JSON; `session_expires_at`
    /// is the next instant at which the clock has something to do about it.
    phone_state, "phone_state",
    { cluster_id: String, phone: String, },
    {
        epoch: i64, generation: i64, acknowledged: i64, wears: Vec<u8>, actions: String, hook: String,
        last_user: Option<String>, session_id: Option<String>, session_user: Option<String>,
        session_acd_line: Option<String>, session_expires_at: Option<i64>, session: Option<String>,
        logout_configuration: Option<Vec<u8>>,
    }
);
table!(
    /// Versions of guards; `kind` is `user` or `acd-line`, or `directory` for the number of its commits.
    guard, "guard",
    { cluster_id: String, kind: String, name: String, },
    { version: i64, }
);
table!(
    /// What others are told, as JSON; the rendering in it stands beside it.
    session_event, "session_event",
    { cluster_id: String, sequence: i64, },
    { at: i64, body: String, logout_configuration: Option<Vec<u8>>, }
);
table!(
    /// Remembered answers.
    reply, "reply",
    { cluster_id: String, request: String, },
    { fingerprint: Vec<u8>, answer: Vec<u8>, expires_at: i64, }
);
table!(
    /// The directory's resources, as JSON.
    resource, "resource",
    { cluster_id: String, kind: String, name: String, },
    { version: i64, updated_at: i64, body: String, }
);
table!(
    /// Names that are unique over several kinds.
    claim, "claim",
    { cluster_id: String, space: String, name: String, },
    { owner_kind: String, owner_name: String, }
);
table!(
    /// What refers to what, since when.
    reference, "reference",
    { cluster_id: String, from_kind: String, from_name: String, to_kind: String, to_name: String, },
    { since: i64, }
);
table!(
    /// Imports. One without a token has ended, and its rows are being cleared away.
    import, "import",
    { cluster_id: String, id: String, },
    { token: Option<String>, created_at: i64, used_at: i64, next_row: i64, staged: i64, }
);
table!(
    /// Resources of imports: what they shall be, without a body for those that shall not; `expected` is the version
    /// that is demanded, 0 where there must be none.
    staged_resource, "staged_resource",
    { cluster_id: String, import_id: String, kind: String, name: String, },
    { at_row: i64, expected: i64, body: Option<String>, }
);
table!(
    /// Names that resources of imports take.
    staged_claim, "staged_claim",
    { cluster_id: String, import_id: String, space: String, name: String, },
    { at_row: i64, owner_kind: String, owner_name: String, }
);
table!(
    /// What resources of imports refer to.
    staged_reference, "staged_reference",
    {
        cluster_id: String, import_id: String, from_kind: String, from_name: String, to_kind: String,
        to_name: String,
    },
    { at_row: i64, }
);
table!(
    /// What imports were decided from: `expected` as that of a resource.
    staged_guard, "staged_guard",
    { cluster_id: String, import_id: String, kind: String, name: String, expected: i64, },
    { at_row: i64, }
);
table!(
    /// Whoever has a credential.
    principal, "principal",
    { cluster_id: String, name: String, },
    {
        kind: String, pin_hash: Option<String>, pin_must_change: Option<bool>, pin_set_at: Option<i64>,
        password_hash: Option<String>, password_must_change: Option<bool>, password_set_at: Option<i64>,
        attempts: String, version: i64, roles: Option<String>, pin_used_at: Option<i64>,
        pin_history: Option<String>, password_used_at: Option<i64>, password_history: Option<String>,
        policy: Option<String>,
    }
);
table!(
    /// The highest version of the principals who were deleted.
    principal_gone, "principal_gone",
    { cluster_id: String, },
    { version: i64, }
);
table!(
    /// Keys that sign tokens.
    signing_key, "signing_key",
    { cluster_id: String, kid: String, },
    { pkcs8: Vec<u8>, created_at: i64, signs_from: Option<i64>, retired_at: Option<i64>, }
);
table!(
    /// Whoever has signed in, with the hashes of his refresh tokens.
    sign_in, "sign_in",
    { cluster_id: String, id: String, },
    {
        principal: String, secret_kind: String, secret_set_at: i64, seed: Vec<u8>, counter: i64, current: Vec<u8>,
        previous: Option<Vec<u8>>, refreshed_at: i64, begun_at: i64, ends_at: i64, expires_at: i64,
    }
);
table!(
    /// Tokens that are good no more; `kind` is `sign-in`, `principal` or `key`.
    revocation, "revocation",
    { cluster_id: String, revision: i64, },
    { kind: String, name: String, signed_until: i64, expires_at: i64, }
);
table!(
    /// The audit trail. What a record is found by stands beside its body.
    audit_record, "audit_record",
    { cluster_id: String, number: i64, },
    {
        at: i64, kind: String, phone: String, user_id: String, event: Option<i64>, fingerprint: Option<Vec<u8>>,
        body: String, hash: Vec<u8>,
    }
);
table!(
    /// How far the audit trail of a cluster has come.
    audit_place, "audit_place",
    { cluster_id: String, },
    { sequence: i64, fingerprint: Vec<u8>, number: i64, hash: Vec<u8>, }
);
table!(
    /// Sessions that are live as far as the audit trail knows, as JSON.
    audit_live, "audit_live",
    { cluster_id: String, phone: String, },
    { session_id: String, session: String, }
);
table!(
    /// Settings of the federation, as JSON.
    federation_setting, "federation_setting",
    { cluster_id: String, kind: String, name: String, },
    { version: i64, body: String, }
);
table!(
    /// Halves of cross-cluster sessions; `held_device` is set while the half is live, so that a base device is held once.
    federation_half, "federation_half",
    { cluster_id: String, session_id: String, },
    {
        side: String, peer: String, user_id: String, visiting_phone: String, base_device: Option<i64>,
        held_device: Option<i64>, begun_at: i64, ended_at: Option<i64>, told: i64,
    }
);
