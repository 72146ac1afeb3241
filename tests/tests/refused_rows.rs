//! Rows that PostgreSQL refuses on tables that somebody else made: whose fault it is, and that
//! nobody else waits for it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duto_tests::small::{EVENTS, Small};
use duto_tests::wait::{wait_for, wait_until};
use duto_tests::worker::Worker;

const PATIENCE: Duration = Duration::from_secs(60);

/// One transaction a record.
const ONE_BY_ONE: &str = "batch: { max_records: 1, workers: 1 }\n";

const EVENTS_TABLE: &str = "CREATE TABLE events (id bigint PRIMARY KEY, parent bigint);";

/// The records 1 to 20, all alike, the 7th of which something of the table refuses.
struct Case {
    what: &'static str,
    beforehand: &'static str,
    /// Of the reject; `-` for none.
    sqlstate: &'static str,
}

const SEVENTH: [Case; 7] = [
    Case {
        what: "a trigger's exception",
        beforehand: "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.id = 7 THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER t BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION f()",
        sqlstate: "P0001",
    },
    Case {
        what: "a trigger that swallows it",
        beforehand: "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 7
            THEN RETURN NULL; END IF; RETURN NEW; END $$;
            CREATE TRIGGER t BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION f()",
        sqlstate: "-",
    },
    Case {
        what: "a policy",
        beforehand: "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.id = 7 THEN RAISE EXCEPTION 'row-level security' USING ERRCODE = '42501';
            END IF; RETURN NEW; END $$;
            CREATE TRIGGER t BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION f()",
        sqlstate: "42501",
    },
    Case {
        what: "no partition for its value",
        beforehand:
            "DROP TABLE events; CREATE TABLE events (id bigint PRIMARY KEY, parent bigint) \
            PARTITION BY RANGE (id);
            CREATE TABLE below PARTITION OF events FOR VALUES FROM (0) TO (7); CREATE TABLE above \
            PARTITION OF events FOR VALUES FROM (8) TO (100)",
        sqlstate: "23514",
    },
    Case {
        what: "a deferred constraint trigger",
        beforehand: "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.id = 7 THEN RAISE EXCEPTION 'not at the end'; END IF; RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER t AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED FOR
            EACH ROW EXECUTE FUNCTION f()",
        sqlstate: "P0001",
    },
    Case {
        what: "a deferred foreign key",
        beforehand: "CREATE TABLE known (id bigint PRIMARY KEY); INSERT INTO known SELECT n
            FROM generate_series(1, 20) n WHERE n <> 7;
            ALTER TABLE events ADD FOREIGN KEY (id) REFERENCES known DEFERRABLE INITIALLY DEFERRED",
        sqlstate: "23503",
    },
    Case {
        what: "a division by zero in a generated column",
        beforehand: "ALTER TABLE events ADD COLUMN share numeric GENERATED ALWAYS AS (1.0 / (id -
            7)) STORED",
        sqlstate: "22012",
    },
];

fn records(ids: impl Iterator<Item = i64>) -> Vec<String> {
    ids.map(|id| format!(r#"{{"id": {id}}}"#)).collect()
}

async fn rejects_the_seventh_alone(case: &Case, batch: &str) -> Result<()> {
    let small = Small::create(
        "seventh",
        &format!("{batch}{EVENTS}"),
        &format!("{EVENTS_TABLE} {}", case.beforehand),
    )
    .await?;
    small.send(records(1..=20).iter().map(String::as_str))?;
    small.load()?;
    small.expect("SELECT count(*), sum(id) FROM events", &["19 203"]).await?;
    small
        .expect(
            "SELECT \"offset\", stage, coalesce(sqlstate, '-') FROM duto.reject",
            &[&format!("6 load {}", case.sqlstate)],
        )
        .await?;
    small.expect("SELECT sum(stored), sum(rejected) FROM duto.batch", &["19 1"]).await?;
    // It is refused again, alone, and stays what it is.
    small.duto(&["rejects", "replay"])?;
    small.expect("SELECT count(*), min(status) FROM duto.reject", &["1 open"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_row_that_the_table_refuses_holds_up_no_other() -> Result<()> {
    for case in &SEVENTH {
        rejects_the_seventh_alone(case, "").await.context(case.what)?;
    }
    Ok(())
}

/// A batch of one record has no neighbours of its own: those behind it tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_alone_in_its_batch_is_judged_by_those_behind_it() -> Result<()> {
    for case in [&SEVENTH[0], &SEVENTH[1], &SEVENTH[3]] {
        rejects_the_seventh_alone(case, ONE_BY_ONE).await.context(case.what)?;
    }
    Ok(())
}

const CHILDREN: &str = "
record: { id: BIGINT, kind: TEXT, parent?: BIGINT }
tables:
  parents:
    columns: { id: BIGINT PRIMARY KEY }
    repeat: ignore
    select: SELECT id FROM record WHERE kind = 'parent'
  children:
    columns: { id: BIGINT PRIMARY KEY, parent: BIGINT NOT NULL REFERENCES parents(id) }
    repeat: ignore
    select: SELECT id, parent FROM record WHERE kind = 'child'
";

/// Their parent stands behind them, in a later batch: they are rejects, and replayed once it is
/// there.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_all_refused_alike_are_rejects() -> Result<()> {
    let small = Small::create("alike", CHILDREN, "").await?;
    let children: Vec<String> =
        (1..=9).map(|id| format!(r#"{{"id": {id}, "kind": "child", "parent": 100}}"#)).collect();
    small.send(children.iter().map(String::as_str))?;
    small.load()?;
    small
        .expect(
            "SELECT count(*), min(sqlstate), max(sqlstate) FROM duto.reject",
            &["9 23503 23503"],
        )
        .await?;
    small.send([r#"{"id": 100, "kind": "parent"}"#])?;
    small.load()?;
    small.expect("SELECT count(*) FROM parents", &["1"]).await?;
    small.duto(&["rejects", "replay"])?;
    small
        .expect(
            "SELECT count(*), (SELECT count(*) FROM duto.reject WHERE status = 'open')
        FROM children",
            &["9 0"],
        )
        .await
}

/// Where the file sets a limit, what is refused beyond it waits until somebody looks.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_rejects_pause_where_the_file_says_so() -> Result<()> {
    let small =
        Small::create("pause_at", &format!("rejects: {{ pause_at: 90% }}\n{CHILDREN}"), "").await?;
    let children: Vec<String> =
        (1..=120).map(|id| format!(r#"{{"id": {id}, "kind": "child", "parent": 100}}"#)).collect();
    small.send(children.iter().map(String::as_str))?;
    let worker = Worker::start(&small.pipeline, &["--until-caught-up"])?;
    wait_until("the worker says why it waits", PATIENCE, || {
        worker.said("rejects.pause_at is 90%") > 0
    })
    .await
    .with_context(|| worker.tail())?;
    small
        .expect("SELECT (SELECT count(*) FROM duto.reject) < 100, count(*) FROM children", &["t 0"])
        .await?;
    small.client.batch_execute("INSERT INTO parents VALUES (100)").await?;
    wait_for(
        &small.client,
        "SELECT (SELECT count(*) FROM duto.reject) + count(*) = 120 FROM children",
        PATIENCE,
    )
    .await
}

/// What is no record at all counts too, and the pause lasts as long as the limit is reached.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_decoded_pause_there_as_well() -> Result<()> {
    let limit = "rejects: { pause_at: 90% }\n";
    let small = Small::create("pause_decode", &format!("{limit}{EVENTS}"), "").await?;
    small.send(std::iter::repeat_n("no record", 120))?;
    let worker = Worker::start(&small.pipeline, &["--only", "worker"])?;
    wait_until("the worker says again why it waits", PATIENCE, || {
        worker.said("rejects.pause_at is 90%") > 1
    })
    .await
    .with_context(|| worker.tail())?;
    small.expect("SELECT count(*) < 100 FROM duto.reject", &["t"]).await?;
    drop(worker);
    let file = &small.pipeline.file;
    std::fs::write(file, std::fs::read_to_string(file)?.replace(limit, ""))?;
    small.load()?;
    small
        .expect("SELECT count(*), min(stage), max(stage) FROM duto.reject", &["120 decode decode"])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_of_a_large_batch_is_refused_within_seconds() -> Result<()> {
    let small = Small::create(
        "third",
        CHILDREN,
        "CREATE TABLE parents (id bigint PRIMARY KEY); INSERT INTO parents VALUES (100)",
    )
    .await?;
    let parent_of = |id: i64| if id % 3 == 0 { 999 } else { 100 };
    let children: Vec<String> = (0..10_000)
        .map(|id| format!(r#"{{"id": {id}, "kind": "child", "parent": {}}}"#, parent_of(id)))
        .collect();
    small.send(children.iter().map(String::as_str))?;
    small.load()?;
    small
        .expect("SELECT count(*), (SELECT count(*) FROM duto.reject) FROM children", &["6666 3334"])
        .await?;
    small.expect("SELECT sum(stored), sum(rejected) FROM duto.batch", &["6666 3334"]).await
}

/// Each table refers to the other, and both constraints wait for the end.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_need_each_other_are_tried_together() -> Result<()> {
    let sections = "
record: { id: BIGINT, item: BIGINT }
tables:
  orders:
    columns: { id: BIGINT PRIMARY KEY, item: BIGINT }
    repeat: ignore
    select: SELECT id, item FROM record
  items:
    columns: { id: BIGINT PRIMARY KEY, of_order: BIGINT }
    repeat: ignore
    select: SELECT CASE WHEN item > 0 THEN item ELSE -id END AS id, id AS of_order FROM record
";
    let beforehand = "CREATE TABLE orders (id bigint PRIMARY KEY, item bigint);
        CREATE TABLE items (id bigint PRIMARY KEY, of_order bigint REFERENCES orders DEFERRABLE
        INITIALLY DEFERRED);
        ALTER TABLE orders ADD FOREIGN KEY (item) REFERENCES items DEFERRABLE INITIALLY DEFERRED";
    let small = Small::create("circle", sections, beforehand).await?;
    let records: Vec<String> = (1..=50)
        .map(|id| format!(r#"{{"id": {id}, "item": {}}}"#, if id == 20 { -1 } else { id * 10 }))
        .collect();
    small.send(records.iter().map(String::as_str))?;
    small.load()?;
    small.expect("SELECT count(*), (SELECT count(*) FROM items) FROM orders", &["49 49"]).await?;
    small.expect("SELECT \"offset\", sqlstate FROM duto.reject", &["19 23503"]).await
}

/// What only COPY and the quick INSERT are refused is stored by the way that always works, as on
/// servers whose COPY knows no 23505.
#[tokio::test(flavor = "multi_thread")]
async fn a_shortcut_that_is_refused_is_no_verdict() -> Result<()> {
    let beforehand = format!(
        "{EVENTS_TABLE} CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN IF current_query() NOT LIKE '%ON CONFLICT%' THEN RAISE EXCEPTION 'not so' USING \
            ERRCODE = 'XX000'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER t BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION f()"
    );
    let small = Small::create("shortcut", EVENTS, &beforehand).await?;
    for ids in [1..=5, 3..=1_000] {
        small.send(records(ids).iter().map(String::as_str))?;
        small.load()?;
    }
    small
        .expect("SELECT count(*), (SELECT count(*) FROM duto.reject) FROM events", &["1000 0"])
        .await?;
    small.expect("SELECT sum(stored), sum(repeated) FROM duto.batch", &["1000 3"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_over_an_identity_column_is_a_repeat() -> Result<()> {
    let beforehand =
        "CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint)";
    let small = Small::create("identity", EVENTS, beforehand).await?;
    for ids in [1..=3, 2..=5] {
        small.send(records(ids).iter().map(String::as_str))?;
        small.load()?;
    }
    small.expect("SELECT count(*), sum(id) FROM events", &["5 15"]).await?;
    small.expect("SELECT sum(stored), sum(repeated) FROM duto.batch", &["5 2"]).await
}

/// The database makes the primary key, so the UNIQUE column is what a repeat is known by.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_database_makes_is_no_key() -> Result<()> {
    let sections = "
record: { code: TEXT, amount: INTEGER }
tables:
  items:
    columns: { id: UUID PRIMARY KEY DEFAULT gen_random_uuid(), code: TEXT UNIQUE, amount: INTEGER }
    repeat: ignore
    select: SELECT code, amount FROM record
";
    let small = Small::create("made_key", sections, "").await?;
    small.send([
        r#"{"code": "a", "amount": 1}"#,
        r#"{"code": "b", "amount": 2}"#,
        r#"{"code": "a", "amount": 3}"#,
    ])?;
    small.load()?;
    small.send([r#"{"code": "b", "amount": 4}"#, r#"{"code": "c", "amount": 5}"#])?;
    small.load()?;
    small.expect("SELECT code, amount FROM items ORDER BY 1", &["a 1", "b 2", "c 5"]).await?;
    small.expect("SELECT sum(stored), sum(repeated) FROM duto.batch", &["3 2"]).await
}

/// A function that is STABLE sees what the transaction wrote before its statement, also where few
/// records come.
#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_sees_the_tables_before_its_own_whatever_the_batch() -> Result<()> {
    let beforehand = "CREATE TABLE parents (id bigint PRIMARY KEY);
        CREATE TABLE children (id bigint PRIMARY KEY, parent bigint NOT NULL REFERENCES parents,
        seen boolean);
        CREATE FUNCTION has_parent(p bigint) RETURNS boolean STABLE LANGUAGE sql AS
        'SELECT EXISTS (SELECT 1 FROM parents WHERE id = p)';
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql STABLE AS $$ BEGIN NEW.seen :=
        has_parent(NEW.parent); RETURN NEW; END $$;
        CREATE TRIGGER t BEFORE INSERT ON children FOR EACH ROW EXECUTE FUNCTION f()";
    let sections = CHILDREN.replace("WHERE kind = 'parent'", "").replace(
        "SELECT id, parent FROM record WHERE kind = 'child'",
        "SELECT id, id AS parent FROM record",
    );
    for batch in [ONE_BY_ONE, "batch: { max_records: 400, workers: 1 }\n"] {
        let small = Small::create("stable", &format!("{batch}{sections}"), beforehand).await?;
        let records: Vec<String> =
            (1..=400).map(|id| format!(r#"{{"id": {id}, "kind": "both"}}"#)).collect();
        small.send(records.iter().map(String::as_str))?;
        small.load()?;
        small
            .expect("SELECT count(*), bool_and(seen) FROM children", &["400 t"])
            .await
            .context(batch)?;
    }
    Ok(())
}

/// Each row of a list carries its record's text: what one batch holds becomes more than one
/// transaction takes.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_list_multiplies_go_in_several_transactions() -> Result<()> {
    let sections = "
record: { id: BIGINT, note: TEXT, items: { type: LIST, items: INTEGER } }
tables:
  items:
    columns: { id: BIGINT NOT NULL, item: INTEGER NOT NULL, note: TEXT }
    repeat: append
    select: SELECT id, item, note FROM record, UNNEST(items) AS item
";
    let small = Small::create("multiplied", sections, "").await?;
    let items: Vec<String> = (0..1_000).map(|item| item.to_string()).collect();
    let record = |id: i64| {
        format!(
            r#"{{"id": {id}, "note": "{}", "items": [{}]}}"#,
            "x".repeat(10_000),
            items.join(",")
        )
    };
    small.send((1..=16).map(record).collect::<Vec<_>>().iter().map(String::as_str))?;
    small.load()?;
    small
        .expect(
            "SELECT count(*), count(DISTINCT (id, item)), sum(length(note)) FROM items",
            &["16000 16000 160000000"],
        )
        .await?;
    small
        .expect(
            "SELECT sum(records), count(*) > 2, max(to_offset) FROM duto.batch WHERE records > 0",
            &["16 t 16"],
        )
        .await
}

/// A record that the `once` table's WHERE leaves out has no row there that could be a repeat.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_a_row_in_the_once_table_is_no_repeat() -> Result<()> {
    let sections = "
record: { id: TEXT, kind: TEXT }
once: { by: id, in: purchases }
tables:
  purchases:
    columns: { id: TEXT PRIMARY KEY }
    repeat: ignore
    select: SELECT id FROM record WHERE kind = 'purchase'
  seen:
    columns: { id: TEXT NOT NULL, kind: TEXT NOT NULL }
    repeat: append
    select: SELECT id, kind FROM record
";
    let small = Small::create("once_where", sections, "").await?;
    let first = [
        r#"{"id": "a", "kind": "purchase"}"#,
        r#"{"id": "v", "kind": "view"}"#,
        r#"{"id": "a", "kind": "purchase"}"#,
    ];
    small.send(first)?;
    small.load()?;
    small.send([
        r#"{"id": "a", "kind": "purchase"}"#,
        r#"{"id": "w", "kind": "view"}"#,
        r#"{"id": "b", "kind": "purchase"}"#,
    ])?;
    small.load()?;
    small
        .expect(
            "SELECT id, kind FROM seen ORDER BY 1, 2",
            &["a purchase", "b purchase", "v view", "w view"],
        )
        .await?;
    small
        .expect("SELECT sum(stored), sum(repeated), sum(filtered) FROM duto.batch", &["4 2 0"])
        .await?;
    let outcomes = small.rows("SELECT unnest(not_stored) FROM duto.batch ORDER BY 1").await?;
    ensure!(outcomes == ["2", "3"], "repeats are {outcomes:?}");
    Ok(())
}
