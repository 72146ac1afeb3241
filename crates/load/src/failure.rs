//! What a failed step of a load means, and what is to be done about it. The lists of SQLSTATEs are
//! the contract: a code that says of a value that it does not fit is the row's fault; one that says
//! of the server that it cannot work pauses the load, because a full disk must not send every
//! record to the rejects; any other is judged by whether other rows pass.

use tokio_postgres::error::DbError;

/// Why a transaction was not committed, or why nobody knows whether it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The position is not where this worker left it, or another worker claimed it: throw the
    /// buffers away.
    #[error("the position moved, or another worker claimed it")]
    Fenced,
    /// The connection is gone, or did not answer in time. After COMMIT was sent its outcome is
    /// unknown.
    #[error("the connection to PostgreSQL was lost: {0}")]
    Lost(String),
    /// A row's key is there already: take the staged path for this table, by its place among the
    /// pipeline's.
    #[error("a key is there already")]
    Repeat(usize),
    /// Rows that PostgreSQL refuses, or that it refuses only by the shortcut that was taken: find
    /// their records.
    #[error("{}", .0.said())]
    Poison(Box<Refusal>),
    /// Some records of the range were rejected earlier and resolved since: they count as repeated.
    #[error("records of this range were resolved by a replay")]
    Resolved(Vec<(i32, i64)>),
    /// A lock was not given in time: whoever holds it may be a dead backend of ours.
    #[error("{0}")]
    Locked(String),
    /// Another transaction changed the row first, which only REPEATABLE READ and SERIALIZABLE say
    /// so.
    #[error("{0}")]
    Serialization(String),
    /// Something that passes by itself, such as a deadlock: the same again.
    #[error("{0}")]
    Again(String),
    /// A statement took longer than it may, or was cancelled: the same again, and if that lasts,
    /// less at a time.
    #[error("{0}")]
    Slow(String),
    /// No more connections are to be had: of the role, the database, the server, or this process.
    /// That passes, and nobody knows when.
    #[error("{0}")]
    Full(String),
    /// Nothing that the data could have caused: wait, and say so.
    #[error("{0}")]
    Pause(String),
}

/// What PostgreSQL said of a statement that it refused, of one row or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// None where the statement passed, but wrote fewer rows than were sent.
    pub sqlstate: Option<String>,
    pub blame: Blame,
    /// The table, by its place among the pipeline's, whose rows were written; None where several
    /// tables' were.
    pub into: Option<usize>,
    pub constraint: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub reason: String,
}

impl Refusal {
    /// The reason and the code, for logs.
    pub fn said(&self) -> String {
        match &self.sqlstate {
            Some(code) => format!("{} (SQLSTATE {code})", self.reason),
            None => self.reason.clone(),
        }
    }

    pub fn has_code(&self, code: &str) -> bool {
        self.sqlstate.as_deref() == Some(code)
    }
}

/// Who is at fault when a row is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The row, however many are refused alike: the code names a constraint, or a value that does
    /// not fit.
    Row,
    /// The row if others pass in the same attempt, else the table: a trigger, a policy or a
    /// function may have refused it for either.
    ByNeighbours,
}

/// Whose table a failed statement was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A table of the pipeline's: the data may be at fault.
    Data,
    /// A rollup's counters: the data is at fault only where a value does not fit.
    Counters,
    /// The schema `duto`, or the transaction itself: the data is never at fault.
    Own,
}

impl Failure {
    /// Reads an error of the client.
    pub fn of(error: &tokio_postgres::Error, scope: Scope) -> Self {
        match error.as_db_error() {
            Some(refused) => Self::of_refused(refused, scope),
            None => Self::Lost(with_causes(error)),
        }
    }

    fn of_refused(refused: &DbError, scope: Scope) -> Self {
        let code = refused.code().code();
        let refusal = |blame| Refusal {
            sqlstate: Some(code.to_owned()),
            blame,
            into: None,
            constraint: refused.constraint().map(str::to_owned),
            schema: refused.schema().map(str::to_owned),
            table: refused.table().map(str::to_owned),
            column: refused.column().map(str::to_owned),
            reason: message(refused),
        };
        let said = format!("{} (SQLSTATE {code})", message(refused));
        // A trigger's function that misses a table does so for some rows only, perhaps.
        let within_function = refused.where_().is_some_and(|context| context.contains("PL/"));
        match (class(code), scope) {
            (Class::Server, Scope::Data) if code == "42P01" && within_function => {
                Self::Poison(Box::new(refusal(Blame::ByNeighbours)))
            }
            (Class::Locked, _) => Self::Locked(said),
            (Class::Serialization, _) => Self::Serialization(said),
            (Class::Again, _) => Self::Again(said),
            (Class::Slow, _) => Self::Slow(said),
            (Class::Lost, _) => Self::Lost(said),
            (Class::Full, _) => Self::Full(format!("{}: {said}", full(refused))),
            (Class::Data, Scope::Data) if names_a_constraint(code, refused) => {
                Self::Poison(Box::new(refusal(Blame::Row)))
            }
            (Class::Data, Scope::Counters) if code.starts_with("22") => {
                Self::Poison(Box::new(refusal(Blame::Row)))
            }
            (Class::Data | Class::Unknown, Scope::Data) => {
                Self::Poison(Box::new(refusal(Blame::ByNeighbours)))
            }
            (Class::Data | Class::Unknown, Scope::Counters | Scope::Own) | (Class::Server, _) => {
                Self::Pause(said)
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A value, or a constraint that is named.
    Data,
    Locked,
    Serialization,
    Again,
    Slow,
    Lost,
    /// Too many connections.
    Full,
    /// No row can cause it.
    Server,
    /// A row may have caused it, or the table.
    Unknown,
}

/// PostgreSQL's manual, appendix A.
fn class(code: &str) -> Class {
    match code {
        "22001" | "22003" | "22007" | "22008" | "22021" | "22023" | "22P02" | "22P05" | "23502"
        | "23503" | "23505" | "23514" | "23P01" | "54000" => Class::Data,
        "55P03" => Class::Locked,
        "40001" => Class::Serialization,
        "40P01" | "25P04" => Class::Again,
        "57014" => Class::Slow,
        "25P03" | "25006" => Class::Lost,
        "53300" => Class::Full,
        // A table that is not there, a sequence that is used up, data or an index that is broken on
        // disk.
        "42P01" | "2200H" | "XX001" | "XX002" => Class::Server,
        _ if code.starts_with("08") || code.starts_with("57P0") => Class::Lost,
        // Transaction state, authorization, catalogues and schemas, resources, the operator, the
        // system.
        _ if ["25", "28", "3D", "3F", "53", "57", "58", "F0"]
            .contains(&code.get(..2).unwrap_or_default()) =>
        {
            Class::Server
        }
        _ => Class::Unknown,
    }
}

/// Whose limit it is. The code is one for all; the function that refused tells them apart.
fn full(refused: &DbError) -> &'static str {
    match refused.routine() {
        Some("InitializeSessionUserId") => {
            "the role has all the connections that it may have (its CONNECTION LIMIT)"
        }
        Some("CheckMyDatabase") => {
            "the database has all the connections that it may have (its CONNECTION LIMIT)"
        }
        _ => "the server has all the connections that it may have (its max_connections)",
    }
}

/// 23514 without a constraint's name is "no partition of relation found for row".
fn names_a_constraint(code: &str, refused: &DbError) -> bool {
    code != "23514" || refused.constraint().is_some()
}

fn message(refused: &DbError) -> String {
    match refused.detail() {
        Some(detail) => format!("{}: {detail}", refused.message()),
        None => refused.message().to_owned(),
    }
}

/// The client's error with what caused it: its own text is often only "error communicating with the
/// server".
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_code_has_its_class() {
        for code in [
            "22001", "22003", "22007", "22008", "22021", "22023", "22P02", "22P05", "23502",
            "23503", "23505", "23514", "23P01", "54000",
        ] {
            assert_eq!(class(code), Class::Data, "{code} is about a row");
        }
        for code in ["40001", "40P01", "55P03", "57014", "25P04"] {
            assert!(
                matches!(
                    class(code),
                    Class::Again | Class::Slow | Class::Locked | Class::Serialization
                ),
                "{code} passes by itself"
            );
        }
        for code in ["08006", "08000", "57P01", "57P02", "57P03", "25P03", "25006"] {
            assert_eq!(class(code), Class::Lost, "{code} ends the connection");
        }
        assert_eq!(class("53300"), Class::Full, "too many connections");
        for code in ["53100", "58030", "28000", "42P01", "2200H", "25P02", "57000", "XX001"] {
            assert_eq!(class(code), Class::Server, "{code} is not the data's fault");
        }
        for code in ["42703", "21000", "XX000", "P0001", "22012", "42501", "428C9", "27000"] {
            assert_eq!(class(code), Class::Unknown, "{code} may be a row's fault, or the table's");
        }
    }
}
