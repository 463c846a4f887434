//! Databases on a real server, and a look into them beside the store.

#[path = "starter.rs"]
mod starter;

use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, Database, DatabaseConnection};

pub(crate) use starter::{PASSWORD, Server, Tls};

/// A fresh and empty database on the server of all tests.
pub(crate) async fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("db{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let server = Server::of_all();
    server.create(&name);
    server.url(&name)
}

/// One connection beside the store's.
pub(crate) async fn raw(url: &str) -> DatabaseConnection {
    Database::connect(ConnectOptions::new(url).max_connections(1).to_owned()).await.unwrap()
}
