//! The tables, rollups and messages of a pipeline file, as the model reads them.

use serde_json::Value as Json;

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    /// Names and what stands behind them, such as `BIGINT NOT NULL`.
    pub columns: Vec<(String, String)>,
    pub primary_key: Vec<String>,
    pub repeat: String,
    pub select: String,
}

/// A rollup's name, table, `by` and measures.
#[derive(Debug, Clone)]
pub struct Rollup {
    pub name: String,
    pub from: String,
    /// Names and expressions.
    pub by: Vec<(String, String)>,
    pub measures: Vec<(String, String)>,
    pub window: Option<Window>,
}

/// By what a rollup has windows.
#[derive(Debug, Clone)]
pub struct Window {
    /// An expression.
    pub over: String,
    /// The finest grain that is kept for ever: between two such edges any window is right.
    pub unit: String,
}

#[derive(Debug, Clone)]
pub struct Publish {
    pub name: String,
    pub from: String,
    pub topic: String,
    pub value: String,
}

impl Table {
    /// The columns by which a repeat is known.
    pub fn key(&self) -> Vec<String> {
        if self.repeat == "append" {
            return Vec::new();
        }
        let serial = |name: &String| {
            self.columns.iter().any(|(column, line)| column == name && is_serial(line))
        };
        if !self.primary_key.is_empty() && !self.primary_key.iter().all(serial) {
            return self.primary_key.clone();
        }
        let unique = self.columns.iter().find(|(_, line)| line.to_uppercase().contains("UNIQUE"));
        unique.map(|(name, _)| name.clone()).into_iter().collect()
    }

    /// What is not known before: a sequence's number, or what the clock or chance gives.
    pub fn is_volatile(&self, column: &str) -> bool {
        let line = self
            .columns
            .iter()
            .find(|(name, _)| name == column)
            .map(|(_, line)| line.to_lowercase())
            .unwrap_or_default();
        let select = self.select.to_lowercase();
        let clock = ["now()", "current_timestamp"]
            .iter()
            .any(|clock| select.contains(&format!("{clock} as {column}")));
        is_serial(&line)
            || clock
            || ["now()", "current_timestamp", "gen_random"].iter().any(|word| line.contains(word))
    }

    pub fn references(&self) -> Vec<String> {
        let target = |line: &String| {
            let at = line.to_uppercase().find("REFERENCES ")?;
            line[at + 11..].split(['(', ' ']).next().map(str::to_owned)
        };
        self.columns.iter().filter_map(|(_, line)| target(line)).collect()
    }

    /// As the file declares it.
    pub fn ddl(&self) -> String {
        let mut lines: Vec<String> =
            self.columns.iter().map(|(name, line)| format!("{name} {line}")).collect();
        if !self.primary_key.is_empty()
            && !self.columns.iter().any(|(_, line)| line.to_uppercase().contains("PRIMARY KEY"))
        {
            lines.push(format!("PRIMARY KEY ({})", self.primary_key.join(", ")));
        }
        format!("CREATE TABLE IF NOT EXISTS {} ({})", self.name, lines.join(", "))
    }
}

fn is_serial(line: &str) -> bool {
    line.to_uppercase().contains("SERIAL")
}

/// The tables, the `once` table first, then each behind those that it references.
pub fn tables(pipeline: &Json) -> Vec<Table> {
    let mut waiting: Vec<Table> = pipeline["tables"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, table)| table_of(name, table))
        .collect();
    let once = pipeline["once"]["in"].as_str().unwrap_or_default();
    waiting.sort_by_key(|table| table.name != once);
    let mut ordered: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let names: Vec<String> = waiting.iter().map(|table| table.name.clone()).collect();
        let is_free = |table: &Table| {
            table.references().iter().all(|other| *other == table.name || !names.contains(other))
        };
        let free = waiting.iter().position(is_free).unwrap_or(0);
        ordered.push(waiting.remove(free));
    }
    ordered
}

fn table_of(name: &str, declared: &Json) -> Table {
    let columns: Vec<(String, String)> = pairs(&declared["columns"]);
    let mut primary_key: Vec<String> = texts(&declared["primary_key"]);
    primary_key.extend(
        columns
            .iter()
            .filter(|(_, line)| line.to_uppercase().contains("PRIMARY KEY"))
            .map(|(name, _)| name.clone()),
    );
    Table {
        name: name.to_owned(),
        columns,
        primary_key,
        repeat: text(&declared["repeat"]),
        select: text(&declared["select"]),
    }
}

pub fn rollups(pipeline: &Json) -> Vec<Rollup> {
    let of = |(name, declared): (&String, &Json)| {
        let by = match &declared["by"] {
            Json::Array(_) => {
                texts(&declared["by"]).into_iter().map(|name| (name.clone(), name)).collect()
            }
            other => pairs(other),
        };
        let window = declared["over"]
            .as_str()
            .map(|over| Window { over: over.to_owned(), unit: finest_kept(&declared["grains"]) });
        Rollup {
            name: name.clone(),
            from: text(&declared["from"]),
            by,
            measures: pairs(&declared["measures"]),
            window,
        }
    };
    pipeline["rollups"].as_object().into_iter().flatten().map(of).collect()
}

fn finest_kept(grains: &Json) -> String {
    let kept =
        ["second", "minute", "hour", "day"].into_iter().find(|unit| grains[unit] == "forever");
    kept.unwrap_or("hour").to_owned()
}

pub fn publishes(pipeline: &Json) -> Vec<Publish> {
    let of = |(name, declared): (&String, &Json)| Publish {
        name: name.clone(),
        from: text(&declared["from"]),
        topic: text(&declared["topic"]),
        value: text(&declared["value"]),
    };
    pipeline["publish"].as_object().into_iter().flatten().map(of).collect()
}

/// A mapping of texts.
pub fn pairs(declared: &Json) -> Vec<(String, String)> {
    declared
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn texts(declared: &Json) -> Vec<String> {
    declared.as_array().into_iter().flatten().map(text).collect()
}

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    }
}
