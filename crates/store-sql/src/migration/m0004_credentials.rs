//! What a principal is for, when his secrets were last proven, and those before them.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::{
    ColumnDef, DbErr, IntoIden, MigrationName, MigrationTrait, SchemaManager, Table,
};

pub(crate) struct Credentials;

impl MigrationName for Credentials {
    fn name(&self) -> &'static str {
        "m0004_credentials"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Credentials {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (column, is_text) in COLUMNS {
            let mut definition = ColumnDef::new(column.into_iden());
            match (is_text, manager.get_database_backend()) {
                // SQLite orders by bytes; PostgreSQL as the database does, unless it is told.
                (true, DbBackend::Postgres) => definition.text().extra("COLLATE \"C\""),
                (true, _) => definition.text(),
                (false, _) => definition.big_integer(),
            };
            manager.alter_table(Table::alter().table("principal").add_column(definition).take()).await?;
        }
        Ok(())
    }
}

/// Name, and whether it is text rather than an instant.
const COLUMNS: [(&str, bool); 5] = [
    ("roles", true),
    ("pin_used_at", false),
    ("pin_history", true),
    ("password_used_at", false),
    ("password_history", true),
];
