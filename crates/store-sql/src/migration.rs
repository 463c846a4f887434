//! The migrations, in their order. One that has been released is frozen: a test compares what it makes.

mod m0001_first;
mod m0002_imports;
mod m0003_audit;
mod m0004_credentials;
mod m0005_tokens;
mod m0006_credential_policy;
mod m0007_federation;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// All migrations.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first::First),
            Box::new(m0002_imports::Imports),
            Box::new(m0003_audit::Audit),
            Box::new(m0004_credentials::Credentials),
            Box::new(m0005_tokens::Tokens),
            Box::new(m0006_credential_policy::CredentialPolicy),
            Box::new(m0007_federation::Federation),
        ]
    }
}
