//! One rollup's tables, its view, and the statements that fill them.

use super::windows::{GRAIN, START, WindowParts, counters_table, grains_table};
use super::{is_distinct, quoted};
use duto_ground::quoting::{own_name, quote};
use duto_stages::rollup::measures::Counter;
use duto_stages::rollup::{RollupPlan, WHOLE_HISTORY};

/// The shard of what was counted from rows that were there before the rollup.
pub const FILLED_SHARD: i32 = -1;
/// The shard of distinct values that were there before: they are counted in transactions of their
/// own.
pub const FILLED_SETS_SHARD: i32 = -2;
/// The shard of what files brought, whose loads hold no partition's lock.
pub const FILES_SHARD: i32 = -3;
/// The name of the shard's column.
const SHARD: &str = "duto_shard";

/// The statements of one rollup.
#[derive(Debug, Clone)]
pub struct RollupTarget {
    pub name: String,
    /// Everything that decides what is counted: another text is another rollup.
    pub definition: String,
    /// The base table, quoted.
    pub base: String,
    /// Its tables, quoted, with their schema.
    pub tables: Vec<String>,
    /// Their CREATE statements.
    pub create: String,
    /// `CREATE VIEW ...`, and the window function if it has one.
    pub view: String,
    /// Adds counters: $1 is the shard, then one text array a column.
    pub upsert: String,
    /// One for each distinct count.
    pub sets: Vec<SetTarget>,
    /// Counts the rows that are there into [`FILLED_SHARD`].
    pub fill: String,
    /// The view's columns, computed from the base table.
    pub recompute: String,
    /// For each grain of its windows, a SELECT of what is kept and one of the same from the base
    /// table.
    pub grains: Vec<(String, String)>,
}

/// The statements of one distinct count.
#[derive(Debug, Clone)]
pub struct SetTarget {
    /// Adds values and counts the new ones: $1 is the shard, then one text array a column.
    pub insert: String,
    /// The different values that are there, as texts, with what they are grouped by.
    pub select: String,
}

impl RollupTarget {
    pub(super) fn new(plan: &RollupPlan) -> Self {
        let rollup = &plan.rollup;
        let parts = Parts::new(plan);
        let (sets, create_sets): (Vec<SetTarget>, Vec<(String, String)>) = rollup
            .measures
            .iter()
            .enumerate()
            .filter(|(_, measure)| is_distinct(measure))
            .map(|(index, _)| parts.set(plan, index))
            .unzip();
        let counters: Vec<String> = parts
            .counters
            .iter()
            .map(|counter| format!("{} {}{}", counter.name, counter.sql_type, counter.constraint))
            .collect();
        let windows = WindowParts::new(plan);
        let key_columns = parts.keyed().map(|(name, sql_type)| format!("{name} {sql_type}"));
        let columns: Vec<String> =
            key_columns.chain([format!("{SHARD} integer NOT NULL")]).chain(counters).collect();
        let table = &parts.table;
        let create = format!(
            "CREATE TABLE {table} ({}) WITH (fillfactor = 50); CREATE UNIQUE INDEX ON {table} ({})
                NULLS NOT DISTINCT;",
            columns.join(", "),
            parts.key().join(", ")
        );
        let create =
            windows.iter().fold(create, |create, windows| format!("{create} {}", windows.create()));
        let own_tables = std::iter::once(table.clone())
            .chain(windows.iter().map(|_| grains_table(&rollup.name)));
        Self {
            name: rollup.name.clone(),
            definition: definition(plan),
            base: quote(&rollup.from),
            tables: own_tables.chain(create_sets.iter().map(|(name, _)| name.clone())).collect(),
            create: create_sets.into_iter().fold(create, |create, (_, set)| create + " " + &set),
            view: windows
                .iter()
                .fold(parts.view(plan), |view, windows| format!("{view};\n{}", windows.function())),
            upsert: parts.upsert(plan),
            sets,
            fill: parts.fill(plan),
            recompute: parts.recompute(plan),
            grains: windows.map_or_else(Vec::new, |windows| windows.compared()),
        }
    }
}

/// What decides what is counted, in one text.
fn definition(plan: &RollupPlan) -> String {
    let rollup = &plan.rollup;
    let by = rollup.by.iter().zip(plan.by()).map(|(by, recomputed)| {
        format!("{} {} = {}", by.name, recomputed.sql_type, by.expression.text.trim())
    });
    let measures = rollup.measures.iter().enumerate().map(|(index, measure)| {
        let types: Vec<&str> = plan
            .measure(index)
            .operation
            .arguments()
            .iter()
            .map(|argument| argument.sql_type)
            .collect();
        format!("{} ({}) = {}", measure.name, types.join(", "), measure.text)
    });
    let parts: Vec<String> = by.chain(["|".to_owned()]).chain(measures).collect();
    let windows = WindowParts::new(plan).map_or_else(String::new, |windows| windows.definition());
    format!("{} from {} by {}{windows}", rollup.name, rollup.from, parts.join("; "))
}

/// The pieces of which the statements are made.
struct Parts {
    table: String,
    /// What tells buckets of time apart, in front of what the rows are grouped by; empty without
    /// windows.
    bucket: Vec<(String, &'static str)>,
    /// Quoted names and types of what the rows are grouped by.
    by: Vec<(String, &'static str)>,
    counters: Vec<Counter>,
    /// Of those the ones that a delta brings.
    sent: Vec<Counter>,
}

impl Parts {
    fn new(plan: &RollupPlan) -> Self {
        let rollup = &plan.rollup;
        let by = rollup
            .by
            .iter()
            .zip(plan.by())
            .map(|(by, recomputed)| (quote(&by.name), recomputed.sql_type))
            .collect();
        let rows = Counter {
            name: "duto_rows".to_owned(),
            sql_type: "bigint",
            constraint: " NOT NULL DEFAULT 0",
            merged: "r.duto_rows + excluded.duto_rows".to_owned(),
            from_base: "count(*)".to_owned(),
        };
        let (mut counters, mut sent) = (vec![rows.clone()], vec![rows]);
        for (index, measure) in rollup.measures.iter().enumerate() {
            let of_measure = plan.measure(index).counters();
            if !is_distinct(measure) {
                sent.extend(of_measure.iter().cloned());
            }
            counters.extend(of_measure);
        }
        let bucket = match &rollup.windows {
            Some(_) => vec![(GRAIN.to_owned(), "integer"), (START.to_owned(), "timestamp")],
            None => Vec::new(),
        };
        Self { table: counters_table(&rollup.name), bucket, by, counters, sent }
    }

    fn by_names(&self) -> Vec<String> {
        self.by.iter().map(|(name, _)| name.clone()).collect()
    }

    fn by_columns(&self) -> impl Iterator<Item = String> + '_ {
        self.by.iter().map(|(name, sql_type)| format!("{name} {sql_type}"))
    }

    /// The bucket's columns and those by which the rows are grouped.
    fn keyed(&self) -> impl Iterator<Item = &(String, &'static str)> {
        self.bucket.iter().chain(&self.by)
    }

    /// What tells one row of the table from another.
    fn key(&self) -> Vec<String> {
        self.keyed().map(|(name, _)| name.clone()).chain([SHARD.to_owned()]).collect()
    }

    fn upsert(&self, plan: &RollupPlan) -> String {
        let types: Vec<&str> = self
            .keyed()
            .map(|(_, sql_type)| *sql_type)
            .chain(self.sent.iter().map(|counter| counter.sql_type))
            .collect();
        let names: Vec<String> = self
            .keyed()
            .map(|(name, _)| name.clone())
            .chain(self.sent.iter().map(|counter| counter.name.clone()))
            .collect();
        let merged: Vec<String> = self
            .sent
            .iter()
            .map(|counter| format!("{} = {}", counter.name, counter.merged))
            .collect();
        format!(
            "INSERT INTO {} AS r ({}, {SHARD}) SELECT {}, $1::integer FROM {}{}
                ON CONFLICT ({}) DO UPDATE SET {}",
            self.table,
            names.join(", "),
            from_texts(&types).join(", "),
            unnested(types.len()),
            WindowParts::new(plan).map_or_else(String::new, |windows| windows.passing()),
            self.key().join(", "),
            merged.join(", ")
        )
    }

    fn view(&self, plan: &RollupPlan) -> String {
        let measures = plan.rollup.measures.iter().enumerate();
        let measures = measures.map(|(index, measure)| {
            format!("{} AS {}", plan.measure(index).over_counters(), quote(&measure.name))
        });
        let columns: Vec<String> = self.by_names().into_iter().chain(measures).collect();
        let whole = if self.bucket.is_empty() {
            String::new()
        } else {
            format!(" WHERE {GRAIN} = {WHOLE_HISTORY}")
        };
        let (name, groups) = (quote(&plan.rollup.name), grouped(self.by.len()));
        format!(
            "CREATE VIEW {name} AS SELECT {} FROM {}{whole}{groups}",
            columns.join(", "),
            self.table
        )
    }

    /// What the rows are grouped by, over the base table, as values of the rollup's columns.
    fn by_over_base(&self, plan: &RollupPlan) -> Vec<String> {
        plan.by().map(|by| format!("({})::{}", by.sql, by.sql_type)).collect()
    }

    fn fill(&self, plan: &RollupPlan) -> String {
        let names: Vec<String> = self
            .by_names()
            .into_iter()
            .chain(self.sent.iter().map(|counter| counter.name.clone()))
            .collect();
        let values: Vec<String> = self
            .by_over_base(plan)
            .into_iter()
            .chain(self.sent.iter().map(|counter| counter.from_base.clone()))
            .collect();
        if let Some(windows) = WindowParts::new(plan) {
            return windows.fill(&names, &values, (SHARD, FILLED_SHARD));
        }
        format!(
            "INSERT INTO {} ({}, {SHARD}) SELECT {}, {FILLED_SHARD} FROM {}{}",
            self.table,
            names.join(", "),
            values.join(", "),
            quote(&plan.rollup.from),
            grouped(self.by.len())
        )
    }

    fn recompute(&self, plan: &RollupPlan) -> String {
        let named = |values: Vec<String>, names: Vec<String>| {
            values
                .into_iter()
                .zip(names)
                .map(|(value, name)| format!("{value} AS {name}"))
                .collect::<Vec<_>>()
        };
        let measures = (0..plan.rollup.measures.len()).map(|index| plan.measure(index).over_base());
        let mut select = named(self.by_over_base(plan), self.by_names());
        select.extend(named(
            measures.collect(),
            quoted(plan.rollup.measures.iter().map(|measure| measure.name.as_str())),
        ));
        format!(
            "SELECT {} FROM {}{}",
            select.join(", "),
            quote(&plan.rollup.from),
            grouped(self.by.len())
        )
    }

    /// The statements of a distinct count, and its table with the CREATE statement.
    fn set(&self, plan: &RollupPlan, index: usize) -> (SetTarget, (String, String)) {
        let rollup = &plan.rollup;
        let measure = &rollup.measures[index];
        let value_type = plan
            .measure(index)
            .operation
            .arguments()
            .first()
            .map_or("text", |value| value.sql_type);
        let table = format!("duto.{}", quote(&own_name(&["set", &rollup.name, &measure.name])));
        let (by, count) = (self.by_names(), quote(&measure.name));
        let key: Vec<String> = by.iter().cloned().chain(["duto_value".to_owned()]).collect();
        let columns: Vec<String> = self
            .by_columns()
            .chain([
                format!("duto_value {value_type} NOT NULL"),
                format!("{SHARD} integer NOT NULL"),
            ])
            .collect();
        let create = format!(
            "CREATE TABLE {table} ({}); CREATE UNIQUE INDEX ON {table} ({}) NULLS NOT DISTINCT;",
            columns.join(", "),
            key.join(", ")
        );
        let types: Vec<&str> =
            self.by.iter().map(|(_, sql_type)| *sql_type).chain([value_type]).collect();
        let list =
            |names: &[String]| names.iter().map(|name| format!("{name}, ")).collect::<String>();
        let returned = if by.is_empty() { "1".to_owned() } else { by.join(", ") };
        let groups = if by.is_empty() {
            " HAVING count(*) > 0".to_owned()
        } else {
            format!(" GROUP BY {}", by.join(", "))
        };
        let insert = format!(
            "WITH new AS (INSERT INTO {table} ({}, {SHARD}) SELECT {}, $1::integer FROM {}
             ON CONFLICT ({}) DO NOTHING RETURNING {returned})
             INSERT INTO {} AS r ({}{SHARD}, {count}) SELECT {}$1::integer, count(*)
             FROM new{groups}
             ON CONFLICT ({}) DO UPDATE SET {count} = r.{count} + excluded.{count}",
            key.join(", "),
            from_texts(&types).join(", "),
            unnested(types.len()),
            key.join(", "),
            self.table,
            list(&by),
            list(&by),
            self.key().join(", ")
        );
        (SetTarget { insert, select: self.select_values(plan, index) }, (table, create))
    }

    fn select_values(&self, plan: &RollupPlan, index: usize) -> String {
        let measured = plan.measure(index);
        let Some(value) =
            measured.operation.arguments().first().map(|value| format!("({})", value.sql))
        else {
            return String::new();
        };
        let texts: Vec<String> = self
            .by_over_base(plan)
            .into_iter()
            .chain([value.clone()])
            .map(|value| format!("({value})::text"))
            .collect();
        let passes = measured.filter.map_or(String::new(), |filter| format!(" AND ({filter})"));
        format!(
            "SELECT DISTINCT {} FROM {} WHERE {value} IS NOT NULL{passes}",
            texts.join(", "),
            quote(&plan.rollup.from)
        )
    }
}

/// The columns of [`unnested`], each as a value of its type.
fn from_texts(types: &[&str]) -> Vec<String> {
    types.iter().enumerate().map(|(index, sql_type)| format!("d.c{index}::{sql_type}")).collect()
}

/// Text arrays from $2 on as rows with the columns c0, c1, ...
fn unnested(columns: usize) -> String {
    let arrays: Vec<String> = (0..columns).map(|index| format!("${}::text[]", index + 2)).collect();
    let names: Vec<String> = (0..columns).map(|index| format!("c{index}")).collect();
    format!("unnest({}) AS d ({})", arrays.join(", "), names.join(", "))
}

/// ` GROUP BY` the first columns.
fn grouped(columns: usize) -> String {
    if columns == 0 {
        return String::new();
    }
    let places: Vec<String> = (1..=columns).map(|place| place.to_string()).collect();
    format!(" GROUP BY {}", places.join(", "))
}
