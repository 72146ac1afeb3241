//! PostgreSQL's answers. A function on the server evaluates an expression row by row and catches
//! what fails, so that a failing row hides no other.

use std::ops::Range;

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use super::values::{COLUMNS, Rows};
use super::{Answer, Answers};

/// Planned once for a row, so that constants are evaluated under the handler as well.
const EVALUATE: &str = "
    CREATE FUNCTION answers(expression text, first bigint, past bigint)
    RETURNS TABLE (value text, of_type text, fault text) LANGUAGE plpgsql AS $$
    BEGIN
        FOR row_id IN first .. past - 1 LOOP
            value := NULL; of_type := NULL; fault := NULL;
            BEGIN
                EXECUTE 'SELECT answer::text, pg_typeof(answer)::text FROM (SELECT ('
                    || expression || ') AS answer FROM record WHERE id = $1) AS one'
                    INTO value, of_type USING row_id;
            EXCEPTION WHEN OTHERS THEN
                fault := SQLSTATE || ' ' || SQLERRM;
            END;
            RETURN NEXT;
        END LOOP;
    END $$";

pub struct Server {
    runtime: Runtime,
    client: Client,
    rows: i64,
}

impl Server {
    pub fn start(url: String) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (client, connection) = runtime
            .block_on(tokio_postgres::connect(&url, NoTls))
            .expect("a connection to PostgreSQL");
        runtime.spawn(connection);
        let columns: Vec<String> =
            COLUMNS.iter().map(|column| format!("{} {}", column.name, column.sql_type)).collect();
        let table = format!("CREATE TABLE record (id bigint PRIMARY KEY, {})", columns.join(", "));
        let prepared = format!("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; {table}; {EVALUATE}");
        runtime.block_on(client.batch_execute(&prepared)).expect("a table and a function");
        Server { runtime, client, rows: 0 }
    }

    /// Adds the rows, and returns the number of the first one; the others follow.
    pub fn fill(&mut self, rows: &Rows) -> i64 {
        let first = self.rows;
        let mut values = Vec::with_capacity(rows.cells.len());
        for cells in &rows.cells {
            let cells = cells.iter().map(|cell| match cell {
                None => "NULL".to_owned(),
                Some(text) => format!("'{}'", text.replace('\'', "''")),
            });
            let cells: Vec<String> = cells.collect();
            values.push(format!("({}, {})", self.rows, cells.join(", ")));
            self.rows += 1;
        }
        let insert = format!("INSERT INTO record VALUES {}", values.join(", "));
        self.runtime.block_on(self.client.batch_execute(&insert)).expect("rows");
        first
    }

    /// What the expression is over each of these rows.
    pub fn answers(&mut self, expression: &str, rows: Range<i64>) -> Answers {
        let asked = "SELECT value, of_type, fault FROM answers($1, $2, $3)";
        let found = self
            .runtime
            .block_on(self.client.query(asked, &[&expression, &rows.start, &rows.end]))
            .expect("answers");
        let mut data_type: Option<String> = None;
        let answers = found.iter().map(|row| {
            data_type = data_type.take().or_else(|| row.get(1));
            match row.get::<_, Option<String>>(2) {
                Some(fault) => Answer::Failed(fault),
                None => Answer::Value(row.get(0)),
            }
        });
        let answers = answers.collect();
        Answers { data_type, answers }
    }
}
