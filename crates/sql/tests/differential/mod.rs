//! Everything that the reference lists for a record's SQL, over edge values, here and in a real
//! PostgreSQL. A pair of expression and row has the same value and type in both, fails in both, or
//! is refused here with advice; whatever else there is stands in `known.rs`, with the reason.

mod cases; // the expressions
mod known; // what differs, and why
mod postgres; // what PostgreSQL answers
mod values; // the rows

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema};
use duto_servers::shared::TestDatabase;
use duto_sql::{SqlProblem, cast, function_names, plan_expression, recompute};

use cases::{Case, cases};
use known::{DIFFERENCES, TYPES};
use postgres::Server;
use values::{COLUMNS, Rows};

/// 2024-05-20 10:00:00 UTC.
const CLOCK_MICROS: i64 = 1_716_199_200_000_000;
const FEWEST_PAIRS: usize = 2_000;

/// What became of an expression over a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Value(Option<String>),
    Failed(String),
}

/// The answers for rows, and the type of the values.
#[derive(Debug)]
pub struct Answers {
    pub data_type: Option<String>,
    pub answers: Vec<Answer>,
}

/// A set of columns, its rows, and where they begin in the server's table.
struct Filled {
    rows: Rows,
    first: i64,
}

#[test]
fn every_listed_function_and_operator_has_a_case() {
    let cased: BTreeSet<&str> = cases().iter().map(|case| case.listed).collect();
    let reference = include_str!("../../../../docs/reference.md");
    let section = reference.split("\n## Functions\n").nth(1).expect("the functions' section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    let listed: BTreeSet<String> = rows
        .map(|row| {
            let name = row[2..].replace("\\|", "\u{0}");
            let name = name.split(" | ").next().unwrap_or_default().replace('\u{0}', "|");
            match name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
                Some(function) if function_names().any(|known| known == function) => {
                    function.into()
                }
                _ => name,
            }
        })
        .collect();
    assert!(listed.len() > function_names().count(), "the reference's table was not read");
    let cased_names: BTreeSet<String> = cased.iter().map(|name| (*name).to_owned()).collect();
    let uncalled: Vec<_> = function_names().filter(|name| !cased.contains(name)).collect();
    assert_eq!(uncalled, Vec::<&str>::new(), "functions without a case");
    assert_eq!(listed, cased_names, "what the reference lists, and what has a case");
}

#[test]
fn postgresql_gives_the_same_answers() {
    let database = TestDatabase::create("differential").expect("a database");
    let mut server = Server::start(database.url());
    let mut filled: BTreeMap<Vec<&str>, Filled> = BTreeMap::new();
    let mut report = Report::default();
    for case in cases() {
        let names = columns_of(&case.duto);
        if !filled.contains_key(&names) {
            let rows = Rows::over(&names);
            let first = server.fill(&rows);
            filled.insert(names.clone(), Filled { rows, first });
        }
        let Some(filled) = filled.get(&names) else { continue };
        report.compare(&mut server, &case, filled);
    }
    report.judge();
}

/// The columns that the expression names.
fn columns_of(expression: &str) -> Vec<&'static str> {
    let outside: String = expression.split('\'').step_by(2).collect::<Vec<_>>().join(" ");
    let words: BTreeSet<&str> = outside
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .collect();
    COLUMNS.iter().map(|column| column.name).filter(|name| words.contains(name)).collect()
}

/// What was found.
#[derive(Debug, Default)]
struct Report {
    pairs: usize,
    refused: usize,
    recomputed: usize,
    /// By expression: the row, what is here, what is there.
    differing: BTreeMap<String, Vec<String>>,
    /// Types here and there, and an expression of them.
    types: BTreeMap<(String, String), String>,
}

impl Report {
    fn compare(&mut self, server: &mut Server, case: &Case, filled: &Filled) {
        let batch = filled.rows.batch();
        let ids = filled.first..filled.first + batch.num_rows() as i64;
        let there = server.answers(&case.postgres, ids.clone());
        self.pairs += there.answers.len();
        let here = match here(&case.duto, &batch) {
            Ok(here) => here,
            Err(problems) => {
                self.refused += there.answers.len();
                let advised = problems.iter().any(|problem| problem.help.is_some());
                let valued =
                    there.answers.iter().any(|answer| matches!(answer, Answer::Value(Some(_))));
                if valued && !advised {
                    let told = problems.iter().map(|problem| problem.message.as_str());
                    let told = told.collect::<Vec<_>>().join("; ");
                    self.note(case, format!("refused without advice: {told}"));
                }
                return;
            }
        };
        self.compare_types(case, &here, &there);
        for (row, (ours, theirs)) in here.answers.iter().zip(&there.answers).enumerate() {
            if !same(here.data_type.as_deref(), ours, theirs) {
                let row = shown(&filled.rows, row);
                self.note(case, format!("{row}: {} there {}", told(ours), told(theirs)));
            }
        }
        self.compare_recomputed(server, case, &batch.schema(), &here, ids);
    }

    /// A rollup's text for PostgreSQL has the value that is counted here.
    fn compare_recomputed(
        &mut self,
        server: &mut Server,
        case: &Case,
        schema: &Schema,
        here: &Answers,
        ids: std::ops::Range<i64>,
    ) {
        let Ok(recomputed) = recompute(&case.duto, schema) else { return };
        let there = server.answers(&recomputed.sql, ids);
        self.recomputed += there.answers.len();
        for (row, (ours, theirs)) in here.answers.iter().zip(&there.answers).enumerate() {
            // A row that failed here was stored nowhere.
            let stored = matches!(ours, Answer::Value(_));
            if stored && !same(here.data_type.as_deref(), ours, theirs) {
                let told = format!("row {row}: {} there {}", told(ours), told(theirs));
                let of_rollup = format!("in a rollup: {}", case.duto);
                self.differing.entry(of_rollup).or_default().push(told);
            }
        }
    }

    fn compare_types(&mut self, case: &Case, here: &Answers, there: &Answers) {
        let (Some(ours), Some(theirs)) = (&here.data_type, &there.data_type) else { return };
        let alike = match ours.as_str() {
            "text" => ["text", "character varying", "time without time zone", "uuid"]
                .contains(&theirs.as_str()),
            "jsonb" => ["json", "jsonb"].contains(&theirs.as_str()),
            ours => ours == theirs,
        };
        if !alike {
            self.types.entry((ours.clone(), theirs.clone())).or_insert_with(|| case.duto.clone());
        }
    }

    fn note(&mut self, case: &Case, told: String) {
        let name = if case.duto == case.postgres {
            case.duto.clone()
        } else {
            format!("{} as {}", case.duto, case.postgres)
        };
        self.differing.entry(name).or_default().push(told);
    }

    fn judge(self) {
        println!(
            "{} pairs, {} of them refused, {} more in rollups; {} expressions differ",
            self.pairs,
            self.refused,
            self.recomputed,
            self.differing.len()
        );
        let mut wrong = String::new();
        for (expression, found) in &self.differing {
            let known =
                DIFFERENCES.iter().find(|known| known.expressions.contains(&expression.as_str()));
            if known.is_none() {
                wrong.push_str(&format!("\n{expression} ({} rows)\n", found.len()));
                found.iter().take(12).for_each(|told| wrong.push_str(&format!("    {told}\n")));
            }
        }
        for ((ours, theirs), expression) in &self.types {
            if !TYPES.iter().any(|known| known.here == ours && known.there == theirs) {
                wrong.push_str(&format!("\n{expression} is {ours} here and {theirs} there\n"));
            }
        }
        for expression in DIFFERENCES.iter().flat_map(|known| known.expressions) {
            if !self.differing.contains_key(*expression) {
                wrong.push_str(&format!("\n{expression} no longer differs\n"));
            }
        }
        for known in TYPES {
            if !self.types.contains_key(&(known.here.to_owned(), known.there.to_owned())) {
                wrong.push_str(&format!("\nno {} is {} there any more\n", known.here, known.there));
            }
        }
        let reasons = DIFFERENCES.iter().map(|known| known.why);
        let reasons = reasons.chain(TYPES.iter().map(|known| known.why));
        assert!(reasons.into_iter().all(|why| why.ends_with('.')), "a reason is a sentence");
        assert!(self.pairs >= FEWEST_PAIRS, "{} pairs are too few", self.pairs);
        assert!(wrong.is_empty(), "differences that are not known:\n{wrong}");
    }
}

fn here(expression: &str, batch: &arrow::array::RecordBatch) -> Result<Answers, Vec<SqlProblem>> {
    let select = plan_expression(expression, &batch.schema())?;
    let output = select.run(batch, CLOCK_MICROS);
    let mut answers = vec![Answer::Value(None); batch.num_rows()];
    for failed in &output.failed {
        answers[failed.row as usize] = Answer::Failed(failed.message.clone());
    }
    let column = &output.columns[0];
    for (place, row) in output.row_record.iter().enumerate() {
        let one = take(column, &UInt32Array::from(vec![place as u32]), None).expect("a value");
        answers[*row as usize] = match cast(&one, &DataType::Utf8) {
            Ok(text) => {
                let text = text.as_string::<i32>();
                Answer::Value(text.is_valid(0).then(|| text.value(0).to_owned()))
            }
            Err(message) => Answer::Failed(message),
        };
    }
    Ok(Answers { data_type: postgres_type(&select.output()[0].data_type), answers })
}

/// PostgreSQL's name of a column of the type; none of NULL alone.
fn postgres_type(data_type: &DataType) -> Option<String> {
    let name = match data_type {
        DataType::Null => return None,
        DataType::Boolean => "boolean",
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        DataType::Int64 => "bigint",
        DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric",
        DataType::Utf8 | DataType::Utf8View => "text",
        DataType::LargeUtf8 => "jsonb",
        DataType::Binary => "bytea",
        DataType::Date32 => "date",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        other => return Some(other.to_string()),
    };
    Some(name.to_owned())
}

/// Equal texts; numbers that are exact on both sides equal by value, since a NUMERIC is one number
/// whatever zeros it ends with. Documents are compared as `jsonb` prints them.
fn same(data_type: Option<&str>, ours: &Answer, theirs: &Answer) -> bool {
    match (ours, theirs) {
        (Answer::Failed(_), Answer::Failed(_)) => true,
        (Answer::Value(ours), Answer::Value(theirs)) => match data_type {
            Some("numeric" | "bigint" | "integer" | "smallint") => {
                ours.as_deref().map(number) == theirs.as_deref().map(number)
            }
            Some("jsonb") => ours.as_deref().map(document) == theirs.as_deref().map(document),
            _ => ours == theirs,
        },
        _ => false,
    }
}

/// Without the zeros behind the last digit that counts.
fn number(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Without the spaces that only layout needs. No text within a document of these cases has one
/// behind a colon or a comma.
fn document(text: &str) -> String {
    text.replace(": ", ":").replace(", ", ",")
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Value(Some(text)) => format!("{:?}", text.chars().take(80).collect::<String>()),
        Answer::Value(None) => "NULL".into(),
        Answer::Failed(message) => format!("fails ({message})"),
    }
}

fn shown(rows: &Rows, row: usize) -> String {
    let cells = COLUMNS.iter().zip(&rows.cells[row]).filter_map(|(column, cell)| {
        let text = (*cell)?;
        Some(format!("{} {:?}", column.name, text.chars().take(40).collect::<String>()))
    });
    let cells: Vec<_> = cells.collect();
    if cells.is_empty() { "NULL".into() } else { cells.join(", ") }
}
