//! What a principal's credential policy says otherwise than the cluster's, and from which version on names are given again
//! after principals were deleted.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::{
    ColumnDef, DbErr, Index, IntoIden, MigrationName, MigrationTrait, SchemaManager, Table,
};

pub(crate) struct CredentialPolicy;

impl MigrationName for CredentialPolicy {
    fn name(&self) -> &'static str {
        "m0006_credential_policy"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CredentialPolicy {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let policy = text(manager, "policy");
        manager.alter_table(Table::alter().table("principal").add_column(policy).take()).await?;
        let mut version = ColumnDef::new("version".into_iden());
        let mut gone = Table::create();
        gone.table("principal_gone")
            .col(text(manager, "cluster_id").not_null())
            .col(version.big_integer().not_null())
            .primary_key(Index::create().col("cluster_id"));
        manager.create_table(gone).await
    }
}

/// SQLite orders by bytes; PostgreSQL as the database does, unless it is told.
fn text(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name.into_iden());
    match manager.get_database_backend() {
        DbBackend::Postgres => column.text().extra("COLLATE \"C\""),
        _ => column.text(),
    };
    column
}
