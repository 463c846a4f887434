//! The first tables. Column types are those that SQLite and PostgreSQL share; texts are in the order of their bytes on
//! both.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::{
    ColumnDef, DbErr, Index, IntoIden, MigrationName, MigrationTrait, SchemaManager, Table,
};

pub(crate) struct First;

impl MigrationName for First {
    fn name(&self) -> &'static str {
        "m0001_first"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, columns, key) in TABLES {
            create_table(manager, table, columns, *key).await?;
        }
        for (name, table, columns) in INDEXES {
            let mut index = Index::create();
            index.name(*name).table(*table).col("cluster_id");
            for column in *columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Type {
    Text,
    Big,
    Bool,
    Blob,
}
use Type::{Big, Blob, Bool, Text};

/// Name, type, whether it may be absent.
type Column = (&'static str, Type, bool);

/// Name, columns after `cluster_id`, how many of them belong to the key.
const TABLES: &[(&str, &[Column], usize)] = &[
    (
        "phone_state",
        &[
            ("phone", Text, false),
            ("epoch", Big, false),
            ("generation", Big, false),
            ("acknowledged", Big, false),
            ("wears", Blob, false),
            ("actions", Text, false),
            ("hook", Text, false),
            ("last_user", Text, true),
            ("session_id", Text, true),
            ("session_user", Text, true),
            ("session_acd_line", Text, true),
            ("session_expires_at", Big, true),
            ("session", Text, true),
            ("logout_configuration", Blob, true),
        ],
        1,
    ),
    ("guard", &[("kind", Text, false), ("name", Text, false), ("version", Big, false)], 2),
    (
        "session_event",
        &[
            ("sequence", Big, false),
            ("at", Big, false),
            ("body", Text, false),
            ("logout_configuration", Blob, true),
        ],
        1,
    ),
    (
        "reply",
        &[
            ("request", Text, false),
            ("fingerprint", Blob, false),
            ("answer", Blob, false),
            ("expires_at", Big, false),
        ],
        1,
    ),
    (
        "resource",
        &[
            ("kind", Text, false),
            ("name", Text, false),
            ("version", Big, false),
            ("updated_at", Big, false),
            ("body", Text, false),
        ],
        2,
    ),
    (
        "claim",
        &[
            ("space", Text, false),
            ("name", Text, false),
            ("owner_kind", Text, false),
            ("owner_name", Text, false),
        ],
        2,
    ),
    (
        "reference",
        &[
            ("from_kind", Text, false),
            ("from_name", Text, false),
            ("to_kind", Text, false),
            ("to_name", Text, false),
        ],
        4,
    ),
    (
        "principal",
        &[
            ("name", Text, false),
            ("kind", Text, false),
            ("pin_hash", Text, true),
            ("pin_must_change", Bool, true),
            ("pin_set_at", Big, true),
            ("password_hash", Text, true),
            ("password_must_change", Bool, true),
            ("password_set_at", Big, true),
            ("attempts", Text, false),
            ("version", Big, false),
        ],
        1,
    ),
    ("signing_key", &[("kid", Text, false), ("pkcs8", Blob, false), ("created_at", Big, false)], 1),
];

/// Name, table, columns after `cluster_id`: what is searched beside the keys, in the order in which it is listed.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("phone_state_by_session", "phone_state", &["session_id"]),
    ("phone_state_by_user", "phone_state", &["session_user", "phone"]),
    ("phone_state_by_acd_line", "phone_state", &["session_acd_line"]),
    ("phone_state_by_deadline", "phone_state", &["session_expires_at", "phone"]),
    ("reply_by_deadline", "reply", &["expires_at"]),
    ("claim_by_owner", "claim", &["owner_kind", "owner_name"]),
    ("reference_by_to", "reference", &["to_kind", "to_name"]),
];

async fn create_table(
    manager: &SchemaManager<'_>,
    name: &'static str,
    columns: &[Column],
    key: usize,
) -> Result<(), DbErr> {
    let mut table = Table::create();
    table.table(name).col(text(manager, &mut ColumnDef::new("cluster_id")).not_null());
    let mut primary = Index::create();
    primary.col("cluster_id");
    for (place, (column, kind, absent)) in columns.iter().enumerate() {
        let mut definition = ColumnDef::new(column.into_iden());
        match kind {
            Text => text(manager, &mut definition),
            Big => definition.big_integer(),
            Bool => definition.boolean(),
            Blob => definition.blob(),
        };
        if !absent {
            definition.not_null();
        }
        table.col(definition);
        if place < key {
            primary.col(*column);
        }
    }
    table.primary_key(&mut primary);
    manager.create_table(table).await
}

/// SQLite orders by bytes; PostgreSQL as the database does, unless it is told.
fn text<'a>(manager: &SchemaManager<'_>, column: &'a mut ColumnDef) -> &'a mut ColumnDef {
    match manager.get_database_backend() {
        DbBackend::Postgres => column.text().extra("COLLATE \"C\""),
        _ => column.text(),
    }
}
