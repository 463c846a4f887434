//! Imports, whose rows stand beside the directory until they are committed; since when references are there; lists by
//! time.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::{
    ColumnDef, DbErr, Index, IntoIden, MigrationName, MigrationTrait, SchemaManager, Table,
};

pub(crate) struct Imports;

impl MigrationName for Imports {
    fn name(&self) -> &'static str {
        "m0002_imports"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Imports {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut since = ColumnDef::new("since");
        since.big_integer().not_null().default(0);
        manager.alter_table(Table::alter().table("reference").add_column(since).to_owned()).await?;
        manager.drop_index(Index::drop().name("reference_by_to").table("reference").to_owned()).await?;
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
        let mut token = Index::create();
        token.name("import_by_token").table("import").col("cluster_id").col("token").unique();
        manager.create_index(token).await
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
        "import",
        &[
            ("id", Text, false),
            ("token", Text, true),
            ("created_at", Big, false),
            ("used_at", Big, false),
            ("next_row", Big, false),
            ("staged", Big, false),
        ],
        1,
    ),
    (
        "staged_resource",
        &[
            ("import_id", Text, false),
            ("kind", Text, false),
            ("name", Text, false),
            ("at_row", Big, false),
            ("expected", Big, false),
            ("body", Text, true),
        ],
        3,
    ),
    (
        "staged_claim",
        &[
            ("import_id", Text, false),
            ("space", Text, false),
            ("name", Text, false),
            ("at_row", Big, false),
            ("owner_kind", Text, false),
            ("owner_name", Text, false),
        ],
        3,
    ),
    (
        "staged_reference",
        &[
            ("import_id", Text, false),
            ("from_kind", Text, false),
            ("from_name", Text, false),
            ("to_kind", Text, false),
            ("to_name", Text, false),
            ("at_row", Big, false),
        ],
        5,
    ),
    (
        "staged_guard",
        &[
            ("import_id", Text, false),
            ("kind", Text, false),
            ("name", Text, false),
            ("expected", Big, false),
            ("at_row", Big, false),
        ],
        4,
    ),
];

/// Name, table, columns after `cluster_id`: what is searched beside the keys, in the order in which it is listed.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("reference_by_to", "reference", &["to_kind", "to_name", "from_kind", "from_name"]),
    ("resource_by_time", "resource", &["kind", "updated_at", "name"]),
    ("staged_resource_by_row", "staged_resource", &["import_id", "at_row"]),
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
