//! How many connections there may be: of the file, the role, the database and the server.

use anyhow::Context;
use tokio_postgres::Transaction;

/// The limits that hold for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// What a process of ours opens at most.
    pub ours: usize,
    /// The CONNECTION LIMIT of the role, and of the database; None where there is none.
    pub role: Option<i32>,
    pub database: Option<i32>,
    /// What the server has for roles that are no superusers.
    pub server: i32,
    /// What others have at the moment.
    pub in_use: i64,
}

impl Limits {
    pub(super) async fn read(transaction: &Transaction<'_>, ours: usize) -> anyhow::Result<Self> {
        // A role that may do everything has no limit of its own.
        let statement = "SELECT
            (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user
             AND NOT rolsuper),
            (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()),
            current_setting('max_connections')::int
              - current_setting('superuser_reserved_connections')::int
              - coalesce(current_setting('reserved_connections', true)::int, 0),
            (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
             AND pid <> pg_backend_pid())";
        let row = transaction.query_one(statement, &[]).await.context("looking at the limits")?;
        Ok(Self {
            ours,
            role: row.get(0),
            database: row.get(1),
            server: row.get(2),
            in_use: row.get(3),
        })
    }

    /// What the role and the server leave to one process, where nobody else has any.
    pub fn most(&self) -> usize {
        let least = [self.role, self.database, Some(self.server)].into_iter().flatten().min();
        least.and_then(|least| usize::try_from(least).ok()).unwrap_or(usize::MAX)
    }

    /// One line.
    pub fn to_text(&self) -> String {
        let limit =
            |limit: Option<i32>| limit.map_or("no limit".to_owned(), |most| most.to_string());
        format!(
            "this process opens at most {} (database.max_connections); the role: {}; the \
             database: {}; the server: {}, of which {} are in use",
            self.ours,
            limit(self.role),
            limit(self.database),
            self.server,
            self.in_use
        )
    }

    /// What does not add up, though a start would go on.
    pub fn notes(&self) -> Vec<String> {
        let ours = i64::try_from(self.ours).unwrap_or(i64::MAX);
        let least = [
            (self.role.map(i64::from), "its role may have (CONNECTION LIMIT)"),
            (self.database.map(i64::from), "its database may have (CONNECTION LIMIT)"),
            (Some(i64::from(self.server)), "the server may have (max_connections)"),
        ];
        least
            .into_iter()
            .filter_map(|(limit, whose)| limit.filter(|limit| *limit < ours).map(|it| (it, whose)))
            .map(|(limit, whose)| {
                format!(
                    "one process would open {ours} connections, and {whose} {limit}: it opens no more, and the next one waits for its turn"
                )
            })
            .collect()
    }
}
