//! What PostgreSQL refuses although the record is not at fault: the load pauses, says so, rejects
//! nothing, and goes on by itself when the cause is gone. Each cause comes while the worker runs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_tests::log::{LogKind, Placed, TestLog};
use duto_tests::orders::{Mix, Orders};
use duto_tests::pipeline::{Settings, TestPipeline};
use duto_tests::verify::{Model, connect};
use duto_tests::wait::{wait_for, wait_until, wait_until_loaded};
use duto_tests::worker::Worker;
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(60);
const NO_TROUBLE: Mix = Mix { malformed_percent: 0, repeat_percent: 0 };

struct Cause {
    /// What the worker's complaint says.
    words: &'static str,
    /// On the operator's table.
    table: &'static str,
    /// What a trigger does to each row; `NULL` is nothing.
    trigger: &'static str,
    mend: &'static str,
}

const DROP_TRIGGER: &str = "DROP TRIGGER cause ON sales";

const RECORDS_A_CAUSE: usize = 20;

/// `{first}` is the number of the last cause's first order.
const CAUSES: [Cause; 16] = [
    Cause {
        words: "SQLSTATE 53400",
        table: "",
        trigger: "PERFORM set_config('work_mem', '64kB', true), set_config('temp_file_limit', \
            '64kB', true);
                  PERFORM n FROM (SELECT md5(i::text) AS n FROM generate_series(1, 50000) i ORDER \
            BY 1 OFFSET 40000) s",
        mend: DROP_TRIGGER,
    },
    Cause {
        words: "SQLSTATE \
        58P01",
        table: "",
        trigger: "PERFORM \
        pg_read_file('no_such_file')",
        mend: DROP_TRIGGER,
    },
    Cause {
        words: "SQLSTATE \
        42P01",
        table: "ALTER TABLE sales RENAME TO
        sold",
        trigger: "",
        mend: "ALTER TABLE sold RENAME TO sales",
    },
    Cause {
        words: "SQLSTATE 42703",
        table: "ALTER TABLE sales RENAME total_value TO total",
        trigger: "",
        mend: "ALTER TABLE sales RENAME total TO total_value",
    },
    Cause {
        words: "SQLSTATE \
        21000",
        table: "",
        trigger: "PERFORM (SELECT n FROM \
        generate_series(1, 2) n)",
        mend: DROP_TRIGGER,
    },
    Cause {
        words: "SQLSTATE \
        22012",
        table: "",
        trigger: "PERFORM 1 / (NEW.order_number - \
        NEW.order_number)",
        mend: DROP_TRIGGER,
    },
    Cause {
        words: "SQLSTATE \
        28000",
        table: "",
        trigger: "RAISE EXCEPTION 'who is it' USING \
        ERRCODE = '28000'",
        mend: DROP_TRIGGER,
    },
    Cause {
        words: "SQLSTATE \
        P0001",
        table: "",
        trigger: "RAISE EXCEPTION 'not \
        today'",
        mend: DROP_TRIGGER,
    },
    Cause {
        words: "SQLSTATE 2200H",
        table:
            "CREATE SEQUENCE few MAXVALUE 3; ALTER TABLE sales ADD COLUMN few bigint; ALTER TABLE
            sales ALTER COLUMN few SET DEFAULT nextval('few')",
        trigger: "",
        mend: "ALTER SEQUENCE few MAXVALUE 1000000",
    },
    Cause {
        words: "set it forward with setval",
        table: "ALTER TABLE sales ADD COLUMN id bigserial UNIQUE; SELECT setval('sales_id_seq', 1,
            false)",
        trigger: "",
        mend: "SELECT setval('sales_id_seq', 1000000)",
    },
    // A record that is at fault beside those that are not.
    Cause {
        words: "set it forward with setval",
        table:
            "ALTER TABLE sales ADD CONSTRAINT not_these CHECK (order_number % 20 <> 1) NOT VALID;
            SELECT setval('sales_id_seq', 1, false)",
        trigger: "",
        mend: "SELECT setval('sales_id_seq', 2000000); ALTER TABLE sales DROP CONSTRAINT not_these",
    },
    Cause {
        words: "is not declared in the pipeline file",
        table: "ALTER TABLE sales ADD COLUMN note text NOT NULL DEFAULT ''",
        trigger: "IF NEW.order_number % 5 = 0 THEN NEW.note := NULL; END IF",
        mend: DROP_TRIGGER,
    },
    Cause {
        words: "is not declared in the pipeline file",
        table: "ALTER TABLE sales ADD COLUMN code int UNIQUE",
        trigger: "NEW.code := NEW.order_number % 7",
        mend: "DROP TRIGGER cause ON sales; ALTER TABLE sales DROP COLUMN code",
    },
    Cause {
        words: "is not declared in the pipeline file",
        table:
            "CREATE TABLE audit (id bigserial PRIMARY KEY, at int UNIQUE); INSERT INTO audit (at)
            VALUES (3)",
        trigger: "INSERT INTO audit (at) VALUES (NEW.order_number % 7)",
        mend: "DROP TRIGGER cause ON sales; DROP TABLE audit",
    },
    Cause {
        words: "SQLSTATE 23514",
        table: "ALTER TABLE duto.batch ADD CONSTRAINT none CHECK (records < 0) NOT VALID",
        trigger: "",
        mend: "ALTER TABLE duto.batch DROP CONSTRAINT none",
    },
    Cause {
        words: "no partition of relation",
        table: "ALTER TABLE sales RENAME TO first_sales;
                CREATE TABLE sales (LIKE first_sales INCLUDING DEFAULTS, PRIMARY KEY (order_number))
                PARTITION BY RANGE (order_number);
                ALTER TABLE sales ATTACH PARTITION first_sales FOR VALUES
                FROM (MINVALUE) TO ({first})",
        trigger: "",
        mend: "CREATE TABLE more_sales PARTITION OF sales FOR VALUES FROM ({first}) TO (MAXVALUE)",
    },
];

impl Cause {
    fn statements(&self) -> String {
        let Cause { table, trigger, .. } = self;
        let trigger = match *trigger {
            "" => String::new(),
            body => format!(
                "CREATE OR REPLACE FUNCTION cause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 {body}; RETURN NEW; END $$;
                 CREATE TRIGGER cause BEFORE INSERT ON sales FOR EACH ROW EXECUTE FUNCTION cause()"
            ),
        };
        with_first(&format!("{table}; {trigger}"))
    }
}

fn with_first(statements: &str) -> String {
    statements.replace("{first}", &((CAUSES.len() - 1) * RECORDS_A_CAUSE + 1).to_string())
}

struct Running {
    worker: Worker,
    client: Client,
    log: TestLog,
    orders: Orders,
    placed: Vec<Placed>,
}

impl Running {
    async fn pauses_until_mended(&mut self, cause: &Cause) -> Result<()> {
        let said = self.worker.said(cause.words);
        self.client.batch_execute(&cause.statements()).await?;
        self.placed.extend(self.log.send(&self.orders.take(RECORDS_A_CAUSE))?);
        let worker = &self.worker;
        wait_until("the worker says why it waits", PATIENCE, || worker.said(cause.words) > said)
            .await
            .with_context(|| worker.tail())?;
        let rejects: i64 =
            self.client.query_one("SELECT count(*) FROM duto.reject", &[]).await?.get(0);
        ensure!(rejects == 0, "{rejects} records were rejected for what is not their fault");
        self.client.batch_execute(&with_first(cause.mend)).await?;
        wait_until_loaded(&self.client, &mut self.worker, &self.placed, PATIENCE).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_record_is_at_fault_for_pauses_and_rejects_nothing() -> Result<()> {
    let database = TestDatabase::create("pauses")?;
    let log = TestLog::create(LogKind::Embedded, "pauses", 1)?;
    let pipeline = TestPipeline::sales(&log, &database.url(), &Settings::default())?;
    let worker = Worker::start(&pipeline, &["--only", "worker"])?;
    let client = connect(&database.url()).await?;
    wait_for(&client, "SELECT count(*) = 1 FROM duto.position", PATIENCE).await?;
    let mut running =
        Running { worker, client, log, orders: Orders::new(27, NO_TROUBLE), placed: Vec::new() };
    for cause in &CAUSES {
        running
            .pauses_until_mended(cause)
            .await
            .with_context(|| format!("{} {}", cause.table, cause.trigger))?;
    }
    let Running { worker, client, placed, .. } = running;
    ensure!(worker.said("the load is paused") >= CAUSES.len(), "not every pause was said");
    ensure!(worker.stop(PATIENCE)?.success(), "the worker did not end cleanly");
    Model::of(&placed).compare(&client).await
}
