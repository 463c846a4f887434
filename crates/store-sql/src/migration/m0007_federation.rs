//! Other clusters, and halves of the sessions with them.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::{
    ColumnDef, DbErr, Index, IntoIden, MigrationName, MigrationTrait, SchemaManager, Table,
};

pub(crate) struct Federation;

impl MigrationName for Federation {
    fn name(&self) -> &'static str {
        "m0007_federation"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Federation {
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
        // A base device is held once.
        let mut held = Index::create();
        held.name("federation_half_by_device").table("federation_half").col("cluster_id");
        held.col("held_device").unique();
        manager.create_index(held).await
    }
}

#[derive(Clone, Copy)]
enum Type {
    Text,
    Big,
}
use Type::{Big, Text};

/// Name, type, whether it may be absent.
type Column = (&'static str, Type, bool);

/// Name, columns after `cluster_id`, how many of them belong to the key.
const TABLES: &[(&str, &[Column], usize)] = &[
    (
        "federation_setting",
        &[("kind", Text, false), ("name", Text, false), ("version", Big, false), ("body", Text, false)],
        2,
    ),
    (
        "federation_half",
        &[
            ("session_id", Text, false),
            ("side", Text, false),
            ("peer", Text, false),
            ("user_id", Text, false),
            ("visiting_phone", Text, false),
            ("base_device", Big, true),
            ("held_device", Big, true),
            ("begun_at", Big, false),
            ("ended_at", Big, true),
            ("told", Big, false),
        ],
        1,
    ),
];

/// Name, table, columns after `cluster_id`: what is searched beside the keys.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("federation_half_by_peer", "federation_half", &["peer", "session_id"]),
    ("federation_half_by_end", "federation_half", &["told", "ended_at"]),
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
