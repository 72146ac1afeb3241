//! The views of rollups and of the file. Each is made by itself: one that PostgreSQL refuses is
//! kept on record with the reason, in `duto.view`, and tried again now and then; the others, and
//! the load, go on without it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio_postgres::Transaction;

use super::connect::Connector;
use super::ensure::ADVISORY_LOCK;
use super::rollups::{RollupTargets, windows};
use duto_definition::Pipeline;
use duto_ground::quoting::{literal, quote};
use duto_stages::query::views_read;

/// Between two tries to make what was refused.
const INTERVAL: Duration = Duration::from_secs(10);
/// Every so many tries all views are made anew: who reads one waits for that.
const TRIES_UNTIL_ANEW: u32 = 6;
const STOP_LOOK: Duration = Duration::from_millis(500);
/// The place of a view that is no longer declared, but could not be dropped.
const NOT_DECLARED: i32 = i32::MAX;

/// A view of the pipeline.
struct View {
    name: String,
    /// `CREATE VIEW ...`, and the window function of a rollup that has one.
    create: String,
}

/// The pipeline's views, those of rollups first.
fn views(pipeline: &Pipeline, declared: &RollupTargets) -> Vec<View> {
    let of_rollups = declared
        .rollups
        .iter()
        .map(|rollup| View { name: rollup.name.clone(), create: rollup.view.clone() });
    let of_file = pipeline.views.iter().map(|view| View {
        name: view.name.clone(),
        create: format!("CREATE VIEW {} AS {}", quote(&view.name), view.select.text),
    });
    of_rollups.chain(of_file).collect()
}

/// Each view's name, and the statements that make it.
pub(super) fn statements(pipeline: &Pipeline, declared: &RollupTargets) -> Vec<(String, String)> {
    views(pipeline, declared).into_iter().map(|view| (view.name, view.create)).collect()
}

/// The number of views that were made, and whether this role owns them.
pub(super) async fn there(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
) -> anyhow::Result<(i64, bool)> {
    let statement = "SELECT count(*), coalesce(bool_and(pg_has_role(c.relowner, 'USAGE')), true)
        FROM duto.view v LEFT JOIN pg_class c ON c.oid = to_regclass(quote_ident(v.name))
        WHERE v.pipeline = $1 AND v.made";
    let row = transaction.query_one(statement, &[&pipeline.name]).await?;
    Ok((row.get(0), row.get(1)))
}

/// Whether this role may drop the views and make them.
pub(super) async fn may_make(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
) -> anyhow::Result<bool> {
    let statement = "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)";
    let may: bool = transaction.query_one(statement, &[]).await?.get(0);
    Ok(may && there(transaction, pipeline).await?.1)
}

pub(super) fn digest(pipeline: &Pipeline, declared: &RollupTargets) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    views(pipeline, declared)
        .iter()
        .for_each(|view| hash.update(format!("{}\0{}\0", view.name, view.create)));
    hex::encode(hash.finalize())
}

/// Notes what was granted on the views and on the tables of rollups, for [`GIVE_RIGHTS_BACK`]:
/// what is made anew belongs to those who could read it before. `pipeline` is a literal.
pub(super) fn note_rights(pipeline: &str) -> String {
    format!(
        "CREATE TEMPORARY TABLE duto_rights ON COMMIT DROP AS
    SELECT made.name, format('GRANT %s ON %s TO %s', r.privilege_type, made.name,
        CASE WHEN r.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END) AS granted
    FROM (SELECT quote_ident(v.name) FROM duto.view v WHERE v.pipeline = {pipeline}
          UNION SELECT unnest(r.tables) FROM duto.rollup r WHERE r.pipeline = {pipeline}) AS made (name)
    JOIN pg_class c ON c.oid = to_regclass(made.name) CROSS JOIN LATERAL aclexplode(c.relacl) r
    WHERE r.grantee <> c.relowner;"
    )
}

/// Grants again what [`note_rights`] noted, on what is there.
pub(super) const GIVE_RIGHTS_BACK: &str = "DO $duto$ DECLARE old record; BEGIN
    FOR old IN SELECT granted FROM duto_rights WHERE to_regclass(name) IS NOT NULL LOOP
        EXECUTE old.granted;
    END LOOP;
END $duto$;";

/// Drops the views that were made before, the last one first. Answers those that stay, because
/// something else is built on them. [`make_all`] must follow.
pub(super) async fn drop_all(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
) -> anyhow::Result<BTreeMap<String, String>> {
    let note = note_rights(&literal(&pipeline.name));
    transaction.batch_execute(&note).await.context("noting who may read the views")?;
    let rows = transaction
        .query(
            "DELETE FROM duto.view WHERE pipeline = $1 RETURNING name, place, made",
            &[&pipeline.name],
        )
        .await?;
    let mut names: Vec<(i32, String)> =
        rows.iter().filter(|row| row.get(2)).map(|row| (row.get(1), row.get(0))).collect();
    names.sort();
    let mut kept = BTreeMap::new();
    for (_, name) in names.into_iter().rev() {
        if let Some(reason) = attempt(transaction, &drop_statement(&name)).await? {
            kept.insert(name, reason);
        }
    }
    Ok(kept)
}

/// Makes the views. `kept` are those that could not be dropped, each with the reason.
pub(super) async fn make_all(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    declared: &RollupTargets,
    kept: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let views = views(pipeline, declared);
    let mut refused: BTreeMap<String, String> = BTreeMap::new();
    for (place, view) in (0i32..).zip(&views) {
        let reason = match kept.get(&view.name) {
            Some(reason) => {
                Some(format!("it is to change, but something else is built on it: {reason}"))
            }
            None => attempt(transaction, &view.create)
                .await?
                .map(|reason| because(pipeline, &view.name, reason, &refused)),
        };
        let made = reason.is_none() || kept.contains_key(&view.name);
        record(transaction, pipeline, &view.name, place, reason.as_deref(), made).await?;
        refused.extend(reason.map(|reason| (view.name.clone(), reason)));
    }
    for (name, reason) in
        kept.iter().filter(|(name, _)| views.iter().all(|view| view.name != **name))
    {
        let reason =
            format!("it is no longer declared, but something else is built on it: {reason}");
        record(transaction, pipeline, name, NOT_DECLARED, Some(&reason), true).await?;
    }
    transaction
        .batch_execute(GIVE_RIGHTS_BACK)
        .await
        .context("granting the rights on the views again")
}

/// Tells what is refused, once, and tries it again until it can be made. What fails here is tried
/// again the next time.
pub async fn keep(
    by: &Connector,
    pipeline: &Pipeline,
    declared: &RollupTargets,
    stop: &AtomicBool,
) {
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    let (mut due, mut tries) = (Instant::now(), 0u32);
    while !stop.load(Ordering::Relaxed) {
        if Instant::now() >= due {
            due = Instant::now() + INTERVAL;
            tries = tries.wrapping_add(1);
            match try_again(by, pipeline, declared, tries.is_multiple_of(TRIES_UNTIL_ANEW)).await {
                Ok(refused) => {
                    tell(pipeline, &told, &refused);
                    told = refused;
                }
                Err(error) => {
                    tracing::debug!(pipeline = pipeline.name, error = %format!("{error:#}"), "the \
                        views cannot be looked at")
                }
            }
        }
        tokio::time::sleep(STOP_LOOK).await;
    }
}

fn tell(
    pipeline: &Pipeline,
    before: &BTreeMap<String, String>,
    refused: &BTreeMap<String, String>,
) {
    for (view, reason) in refused.iter().filter(|(view, reason)| before.get(*view) != Some(reason))
    {
        tracing::error!(
            pipeline = pipeline.name,
            view,
            reason,
            "a view cannot be made; everything else goes on, and it is tried again"
        );
    }
    for view in before.keys().filter(|view| !refused.contains_key(*view)) {
        tracing::info!(pipeline = pipeline.name, view, "the view is made");
    }
}

/// Makes what was refused, or `anew` all views, which alone changes one that others are built on.
/// Answers what is still refused.
async fn try_again(
    by: &Connector,
    pipeline: &Pipeline,
    declared: &RollupTargets,
    anew: bool,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut connection = by.connect().await?;
    let statement = "SELECT 1 FROM duto.view WHERE pipeline = $1 AND refused IS NOT NULL LIMIT 1";
    if connection.within(connection.client.query_opt(statement, &[&pipeline.name])).await?.is_none()
    {
        return Ok(BTreeMap::new());
    }
    let transaction = connection.client.transaction().await?;
    // Whoever reads a view waits while it is made anew: not for long.
    transaction.batch_execute("SET LOCAL lock_timeout = '5s'").await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&ADVISORY_LOCK]).await?;
    let same = "SELECT EXISTS (SELECT 1 FROM duto.pipeline WHERE pipeline = $1 AND views = $2)";
    let is_ours: bool =
        transaction.query_one(same, &[&pipeline.name, &digest(pipeline, declared)]).await?.get(0);
    if !is_ours {
        // Another worker has another file, and looks after its views.
        return Ok(BTreeMap::new());
    }
    if !may_make(&transaction, pipeline).await? {
        // Their owner is somebody else.
    } else if anew {
        let kept = drop_all(&transaction, pipeline).await?;
        make_all(&transaction, pipeline, declared, &kept).await?;
    } else {
        make_missing(&transaction, pipeline, declared).await?;
    }
    let refused = read_refused(&transaction, pipeline).await?;
    transaction.commit().await.context("making views again")?;
    Ok(refused)
}

/// Makes what is not there.
async fn make_missing(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    declared: &RollupTargets,
) -> anyhow::Result<()> {
    let mut refused = read_refused(transaction, pipeline).await?;
    let statement = "SELECT name FROM duto.view WHERE pipeline = $1 AND (NOT made
        OR refused IS NOT NULL AND to_regclass(quote_ident(name)) IS NULL)";
    let missing: Vec<String> = transaction
        .query(statement, &[&pipeline.name])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    for (place, view) in
        (0i32..).zip(views(pipeline, declared)).filter(|(_, view)| missing.contains(&view.name))
    {
        refused.remove(&view.name);
        let reason = attempt(transaction, &view.create)
            .await?
            .map(|reason| because(pipeline, &view.name, reason, &refused));
        record(transaction, pipeline, &view.name, place, reason.as_deref(), reason.is_none())
            .await?;
        refused.extend(reason.map(|reason| (view.name, reason)));
    }
    Ok(())
}

async fn read_refused(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
) -> anyhow::Result<BTreeMap<String, String>> {
    let statement =
        "SELECT name, refused FROM duto.view WHERE pipeline = $1 AND refused IS NOT NULL";
    let rows = transaction.query(statement, &[&pipeline.name]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Runs statements of which the transaction may go without; answers why PostgreSQL refused them.
async fn attempt(
    transaction: &Transaction<'_>,
    statements: &str,
) -> anyhow::Result<Option<String>> {
    transaction.batch_execute("SAVEPOINT duto_view").await?;
    match transaction.batch_execute(statements).await {
        Ok(()) => {
            transaction.batch_execute("RELEASE SAVEPOINT duto_view").await?;
            Ok(None)
        }
        Err(error) => match refusal(&error) {
            Some(reason) => {
                transaction
                    .batch_execute("ROLLBACK TO SAVEPOINT duto_view; RELEASE SAVEPOINT duto_view")
                    .await?;
                Ok(Some(reason))
            }
            None => Err(error).context(format!("running {statements}")),
        },
    }
}

/// Why PostgreSQL refuses a statement as such; None for what passes by itself or is about the
/// server: connections, locks, disks.
pub fn refusal(error: &tokio_postgres::Error) -> Option<String> {
    let refused = error.as_db_error()?;
    let code = refused.code().code();
    let passes =
        ["08", "25", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class));
    (!passes).then(|| format!("{} (SQLSTATE {code})", refused.message()))
}

/// The reason, where another view is the cause with its name.
fn because(
    pipeline: &Pipeline,
    view: &str,
    reason: String,
    refused: &BTreeMap<String, String>,
) -> String {
    let read = views_read(pipeline, view);
    match read.iter().find(|other| refused.contains_key(*other)) {
        Some(other) => format!("it reads the view {other}, which cannot be made: {reason}"),
        None => reason,
    }
}

/// The window function of a rollup gives the view's rows, so it goes before.
fn drop_statement(name: &str) -> String {
    format!("{}; DROP VIEW IF EXISTS {}", windows::drop_function(name), quote(name))
}

async fn record(
    transaction: &Transaction<'_>,
    pipeline: &Pipeline,
    name: &str,
    place: i32,
    refused: Option<&str>,
    made: bool,
) -> anyhow::Result<()> {
    let statement =
        "INSERT INTO duto.view (pipeline, name, place, refused, made) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (pipeline, name) DO UPDATE SET place = $3, refused = $4, made = $5";
    transaction.execute(statement, &[&pipeline.name, &name, &place, &refused, &made]).await?;
    Ok(())
}
