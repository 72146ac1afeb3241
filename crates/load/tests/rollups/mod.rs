//! Rollups on a real PostgreSQL: an expression that `duto check` accepts has one value here and
//! there, and a measure that it accepts counts the same live, filled and verified.

mod expressions; // expressions over edge values
mod measures; // every measure over every type
mod zones; // time zones through all years

use tokio_postgres::{Client, NoTls};

/// A connection to this database, with the settings of the worker's.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client.batch_execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'").await.expect("settings");
    client
}

pub fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}
