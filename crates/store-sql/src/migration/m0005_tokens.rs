//! Sign-ins with their refresh tokens, revocations, and when a signing key begins and ceases to sign.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::{
    ColumnDef, DbErr, Index, IntoIden, MigrationName, MigrationTrait, SchemaManager, Table,
};

pub(crate) struct Tokens;

impl MigrationName for Tokens {
    fn name(&self) -> &'static str {
        "m0005_tokens"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Tokens {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["signs_from", "retired_at"] {
            let mut definition = ColumnDef::new(column.into_iden());
            definition.big_integer();
            manager.alter_table(Table::alter().table("signing_key").add_column(definition).take()).await?;
        }
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
        "sign_in",
        &[
            ("id", Text, false),
            ("principal", Text, false),
            ("secret_kind", Text, false),
            ("secret_set_at", Big, false),
            ("seed", Blob, false),
            ("counter", Big, false),
            ("current", Blob, false),
            ("previous", Blob, true),
            ("refreshed_at", Big, false),
            ("begun_at", Big, false),
            ("ends_at", Big, false),
            ("expires_at", Big, false),
        ],
        1,
    ),
    (
        "revocation",
        &[
            ("revision", Big, false),
            ("kind", Text, false),
            ("name", Text, false),
            ("signed_until", Big, false),
            ("expires_at", Big, false),
        ],
        1,
    ),
];

/// Name, table, columns after `cluster_id`: what is searched beside the keys.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("sign_in_by_principal", "sign_in", &["principal", "begun_at"]),
    ("sign_in_by_time", "sign_in", &["expires_at"]),
    ("revocation_by_name", "revocation", &["kind", "name"]),
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
