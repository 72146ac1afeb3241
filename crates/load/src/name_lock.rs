//! A name that one process at a time has, as long as it lives and has its connection: a lock of
//! PostgreSQL's session, which ends with the process, whichever way that goes. Nothing is stored.

use super::connect::Connection;
use super::failure::Failure;

/// What tells this database from every other one. A copy of the whole server has the same.
pub async fn database_identity(connection: &Connection) -> Result<String, Failure> {
    let oid =
        "SELECT oid::text || ' ' || datname FROM pg_database WHERE datname = current_database()";
    let database: String = connection.within(connection.client.query_one(oid, &[])).await?.get(0);
    // Some services keep it from their users, and what is like PostgreSQL need not have it.
    let system = "SELECT system_identifier::text FROM pg_control_system()";
    let system = connection
        .within(connection.client.query_one(system, &[]))
        .await
        .map_or_else(|_| String::new(), |row| row.get(0));
    Ok(format!("{system} {database}"))
}

/// Takes the name if nobody has it. A session may lock twice what it has, and behind a pooler that
/// gives each transaction another session it may be anybody's: so the name counts as taken whoever
/// holds it.
pub async fn try_lock(connection: &Connection, name: &str) -> Result<bool, Failure> {
    let lock = "SELECT CASE WHEN EXISTS (
                  SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                     AND classid = ((k >> 32) & 4294967295)::oid AND objid = (k & 4294967295)::oid)
                THEN false ELSE pg_try_advisory_lock(k) END
                FROM hashtextextended($1, 0) AS k";
    Ok(connection.within(connection.client.query_one(lock, &[&name])).await?.get(0))
}
