//! The audit trail: its records, how far it has come, and the sessions that it knows to be live.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::{
    ColumnDef, DbErr, Index, IntoIden, MigrationName, MigrationTrait, SchemaManager, Table,
};

pub(crate) struct Audit;

impl MigrationName for Audit {
    fn name(&self) -> &'static str {
        "m0003_audit"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Audit {
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
    Blob,
}
use Type::{Big, Blob, Text};

/// Name, type, whether it may be absent.
type Column = (&'static str, Type, bool);

/// Name, columns after `cluster_id`, how many of them belong to the key.
const TABLES: &[(&str, &[Column], usize)] = &[
    (
        "audit_record",
        &[
            ("number", Big, false),
            ("at", Big, false),
            ("kind", Text, false),
            ("phone", Text, false),
            ("user_id", Text, false),
            ("event", Big, true),
            ("fingerprint", Blob, true),
            ("body", Text, false),
            ("hash", Blob, false),
        ],
        1,
    ),
    (
        "audit_place",
        &[
            ("sequence", Big, false),
            ("fingerprint", Blob, false),
            ("number", Big, false),
            ("hash", Blob, false),
        ],
        0,
    ),
    ("audit_live", &[("phone", Text, false), ("session_id", Text, false), ("session", Text, false)], 1),
];

/// Name, table, columns after `cluster_id`: what is searched beside the keys, in the order in which it is listed.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("audit_record_by_user", "audit_record", &["user_id", "number"]),
    ("audit_record_by_phone", "audit_record", &["phone", "number"]),
    ("audit_record_by_kind", "audit_record", &["kind", "number"]),
    ("audit_record_by_time", "audit_record", &["at", "number"]),
    ("audit_record_by_event", "audit_record", &["event"]),
    ("audit_live_by_session", "audit_live", &["session_id"]),
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
