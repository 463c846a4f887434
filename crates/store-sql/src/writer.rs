//! Who writes: a connection for each of the four stores, of which nothing is written together.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};

/// The writers of a store. On SQLite they share one connection.
#[derive(Debug)]
pub(crate) struct Writers {
    pub(crate) sessions: Writer,
    pub(crate) directory: Writer,
    pub(crate) credentials: Writer,
    pub(crate) audit: Writer,
}

/// Who writes one of the stores: whatever it reads in a transaction holds until that ends, as nobody else writes
/// meanwhile, in this process or in another one.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    connection: DatabaseConnection,
    /// Waits for the turn of the transaction it is executed in, where a transaction alone does not.
    turn: Option<Statement>,
}

impl Writer {
    pub(crate) fn new(connection: DatabaseConnection, turn: Option<Statement>) -> Self {
        Self { connection, turn }
    }

    /// For what is read alone.
    pub(crate) fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// A transaction that is a writer from its first statement: nobody else can write between what it reads and what
    /// it writes.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = self.connection.begin_with_options(options).await?;
        if let Some(turn) = &self.turn {
            tx.execute_raw(turn.clone()).await?;
        }
        Ok(tx)
    }
}
