//! What a failed step of a load means, and what is to be done about it. The list of SQLSTATEs is the contract: anything that is not on
//! it pauses the load, because one missing column or a full disk must not send every record to the rejects.

use tokio_postgres::error::DbError;

/// Why a transaction was not committed, or why nobody knows whether it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The position is not where this worker left it, or another worker claimed it: throw the buffers away.
    #[error("the position moved, or another worker claimed it")]
    Fenced,
    /// The connection is gone, or did not answer in time. After COMMIT was sent its outcome is unknown.
    #[error("the connection to PostgreSQL was lost: {0}")]
    Lost(String),
    /// A row's key is there already: take the staged path for this table, by its place among the pipeline's.
    #[error("a key is there already")]
    Repeat(usize),
    /// A row that PostgreSQL refuses: find its record.
    #[error("{}", .0.reason)]
    Poison(Refusal),
    /// Some records of the range were rejected earlier and resolved since: they count as repeated.
    #[error("records of this range were resolved by a replay")]
    Resolved(Vec<(i32, i64)>),
    /// A lock was not given in time: whoever holds it may be a dead backend of ours.
    #[error("{0}")]
    Locked(String),
    /// Another transaction changed the row first, which only REPEATABLE READ and SERIALIZABLE say so.
    #[error("{0}")]
    Serialization(String),
    /// Something that passes by itself, such as a deadlock or a cancelled statement: the same again.
    #[error("{0}")]
    Again(String),
    /// Nothing that the data could have caused: wait, and say so.
    #[error("{0}")]
    Pause(String),
}

/// What PostgreSQL said of a row that it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub sqlstate: String,
    pub constraint: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub reason: String,
}

/// Whose table a failed statement was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A table of the pipeline's: the data may be at fault.
    Data,
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
        let said = format!("{} (SQLSTATE {code})", message(refused));
        match class(code) {
            Class::Locked => Self::Locked(said),
            Class::Serialization => Self::Serialization(said),
            Class::Again => Self::Again(said),
            Class::Lost => Self::Lost(said),
            Class::Data if scope == Scope::Data && names_a_constraint(code, refused) => Self::Poison(Refusal {
                sqlstate: code.to_owned(),
                constraint: refused.constraint().map(str::to_owned),
                table: refused.table().map(str::to_owned),
                column: refused.column().map(str::to_owned),
                reason: message(refused),
            }),
            Class::Data | Class::Other => Self::Pause(said),
        }
    }
}

enum Class {
    Data,
    Locked,
    Serialization,
    Again,
    Lost,
    Other,
}

fn class(code: &str) -> Class {
    match code {
        "22001" | "22003" | "22007" | "22008" | "22021" | "22023" | "22P02" | "22P05" | "23502" | "23503" | "23505" | "23514" | "23P01"
        | "54000" => Class::Data,
        "55P03" => Class::Locked,
        "40001" => Class::Serialization,
        "40P01" | "57014" | "25P04" => Class::Again,
        "25P03" | "25006" => Class::Lost,
        _ if code.starts_with("08") || code.starts_with("57P0") => Class::Lost,
        _ => Class::Other,
    }
}

/// 23514 without a constraint's name is "no partition of relation found for row": the table is at fault, not the row.
fn names_a_constraint(code: &str, refused: &DbError) -> bool {
    code != "23514" || refused.constraint().is_some()
}

fn message(refused: &DbError) -> String {
    match refused.detail() {
        Some(detail) => format!("{}: {detail}", refused.message()),
        None => refused.message().to_owned(),
    }
}

/// The client's error with what caused it: its own text is often only "error communicating with the server".
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
        for code in
            ["22001", "22003", "22007", "22008", "22021", "22023", "22P02", "22P05", "23502", "23503", "23505", "23514", "23P01", "54000"]
        {
            assert!(matches!(class(code), Class::Data), "{code} is about a row");
        }
        for code in ["40001", "40P01", "55P03", "57014", "25P04"] {
            assert!(matches!(class(code), Class::Again | Class::Locked | Class::Serialization), "{code} passes by itself");
        }
        for code in ["08006", "08000", "57P01", "57P02", "57P03", "25P03", "25006"] {
            assert!(matches!(class(code), Class::Lost), "{code} ends the connection");
        }
        for code in ["53100", "53300", "58030", "28000", "42P01", "42703", "21000", "2200H", "XX000", "P0001", "22012"] {
            assert!(matches!(class(code), Class::Other), "{code} is not the data's fault");
        }
    }
}
