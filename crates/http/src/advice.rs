//! At the start the plans of the endpoints are looked at: one that reads a large table from end to
//! end is told, with the index that is missing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Served;
use duto_ground::quoting::quote;
use duto_load::connect::Connection;
use duto_load::views::refusal;
use duto_stages::query::EndpointQuery;

/// A table of fewer rows is read from end to end quickly.
const LARGE_ROWS: f32 = 100_000.0;
/// The worker may still be making the tables.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(2);

/// A table as the planner knows it.
struct Table {
    /// Estimated; below 0 when it was never analysed.
    rows: f32,
    columns: Vec<String>,
}

/// Looks once, when the tables are there. An endpoint that PostgreSQL refuses is passed over.
pub async fn look(served: Arc<Served>) {
    for attempt in 1..=TRIES {
        match advise(&served).await {
            Ok((_, refused)) if refused > 0 && attempt < TRIES => {}
            Ok((advice, _)) => {
                for (endpoint, advice) in advice {
                    tracing::warn!(
                        pipeline = served.pipeline.name,
                        endpoint,
                        advice,
                        "an endpoint reads a large table from end to end"
                    );
                }
                return;
            }
            Err(error) => {
                tracing::debug!(pipeline = served.pipeline.name, %error, "the plans cannot be \
                    looked at yet")
            }
        }
        tokio::select! {
            () = served.stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Advice by endpoint, and how many PostgreSQL refuses.
async fn advise(served: &Served) -> anyhow::Result<(Vec<(String, String)>, usize)> {
    let connection = served.readers.connector.connect().await?;
    connection.client.batch_execute("SET plan_cache_mode = force_generic_plan").await?;
    let tables = tables(&connection).await?;
    let (mut advice, mut refused) = (Vec::new(), 0);
    for query in &served.stages.queries().endpoints {
        let plan = match plan(&connection, query).await {
            Ok(plan) => plan,
            Err(error) if refusal(&error).is_some() => {
                refused += 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        scans(&plan[0]["Plan"], &tables, &mut found);
        found.dedup();
        advice.extend(found.into_iter().map(|found| (query.endpoint.path.clone(), found)));
    }
    Ok((advice, refused))
}

/// The plan for any parameters, as most requests get it.
async fn plan(
    connection: &Connection,
    query: &EndpointQuery,
) -> Result<Value, tokio_postgres::Error> {
    let nulls = vec!["NULL"; query.order.len()].join(", ");
    let arguments = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    connection.client.batch_execute(&format!("PREPARE duto_looked_at AS {}", query.select)).await?;
    let plan = connection
        .client
        .query_one(&format!("EXPLAIN (FORMAT JSON) EXECUTE duto_looked_at{arguments}"), &[])
        .await;
    connection.client.batch_execute("DEALLOCATE duto_looked_at").await?;
    Ok(plan?.get(0))
}

async fn tables(connection: &Connection) -> anyhow::Result<HashMap<String, Table>> {
    let statement = "SELECT c.relname, c.reltuples, array_agg(a.attname::text ORDER BY a.attnum)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
         WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'duto')
         GROUP BY c.oid, c.relname, c.reltuples";
    let rows = connection.client.query(statement, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), Table { rows: row.get(1), columns: row.get(2) }))
        .collect())
}

/// What is to be said of a plan's node and of those below it.
fn scans(node: &Value, tables: &HashMap<String, Table>, advice: &mut Vec<String>) {
    let text = |name: &str| node[name].as_str().unwrap_or_default();
    if text("Node Type") == "Seq Scan"
        && let Some(table) = tables.get(text("Relation Name"))
        && table.rows >= LARGE_ROWS
    {
        let (name, filter) = (text("Relation Name"), text("Filter"));
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(|column| mentions(filter, column))
            .map(|column| quote(column))
            .collect();
        advice.push(if columns.is_empty() {
            format!(
                "{name} has about {} rows, and no condition says which are wanted: a rollup \
                would answer at once",
                table.rows as u64
            )
        } else {
            format!(
                "{name} has about {} rows: CREATE INDEX ON {} \
                ({})",
                table.rows as u64,
                quote(name),
                columns.join(", ")
            )
        });
    }
    node["Plans"].as_array().into_iter().flatten().for_each(|below| scans(below, tables, advice));
}

/// Whether the condition has this name as a word of its own, outside of texts.
fn mentions(condition: &str, name: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let plain: String = condition.split('\'').step_by(2).collect::<Vec<_>>().join(" ");
    plain.match_indices(name).any(|(at, _)| {
        !plain[..at].ends_with(is_word)
            && !plain[at + name.len()..].starts_with(|next: char| is_word(next) || next == '(')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(plan: &Value) -> Vec<String> {
        let table = |rows| Table {
            rows,
            columns: vec!["id".to_owned(), "user_id".to_owned(), "timestamp".to_owned()],
        };
        let tables =
            HashMap::from([("events".to_owned(), table(5e6)), ("few".to_owned(), table(10.0))]);
        let mut advice = Vec::new();
        scans(plan, &tables, &mut advice);
        advice
    }

    #[test]
    fn a_scan_of_a_large_table_names_the_missing_index() {
        let scan = |table: &str, filter: &str| {
            json!({"Node \
            Type": "Seq \
            Scan", "Relation \
            Name": table, "Filter": filter})
        };
        assert_eq!(
            told(&json!({"Node \
                    Type": "Aggregate", "Plans": [scan("events", "((user_id)::text = \
                    'the id'::text)")]})),
            ["events has about 5000000 rows: CREATE INDEX ON \"events\" (\"user_id\")"]
        );
        assert!(told(&scan("events", ""))[0].contains("a rollup would answer"));
        assert!(told(&scan("few", "(id = 1)")).is_empty());
        assert!(told(&json!({"Node Type": "Index Scan", "Relation Name": "events"})).is_empty());
    }
}
