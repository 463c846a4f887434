//! The migrations, in their order. One that has been released is frozen: a test compares what it makes.

mod m0001_first;
mod m0002_imports;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// All migrations.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_first::First), Box::new(m0002_imports::Imports)]
    }
}
