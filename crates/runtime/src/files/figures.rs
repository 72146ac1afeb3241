//! What became of a file's lines, as the ledger and the rejects have it.

use super::load::Done;
use duto_load::failure::Failure;

/// The lines of a file by their outcomes, since its first line was read last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub records: i64,
    pub stored: i64,
    /// Their rows were there already.
    pub repeated: i64,
    pub rejected: i64,
    pub filtered: i64,
    /// Open rejects by reason, the most frequent first.
    pub reasons: Vec<Reason>,
}

/// Rejects that are alike, by the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub count: i64,
    pub line: i64,
    pub stage: String,
    pub rule: String,
    pub path: String,
    pub reason: String,
}

/// Reads them on the load's own connection.
pub async fn read(done: &Done) -> Result<Figures, Failure> {
    let Done { target, connection: on, .. } = done;
    let counts = "SELECT coalesce(sum(records), 0)::bigint, coalesce(sum(stored), 0)::bigint,
             coalesce(sum(repeated), 0)::bigint,
             coalesce(sum(rejected), 0)::bigint, coalesce(sum(filtered), 0)::bigint
         FROM duto.batch WHERE pipeline = $1 AND topic = $2 AND kind = 'load'
           AND id > coalesce((SELECT max(id) FROM duto.batch WHERE pipeline = $1 AND topic = $2
             AND kind = 'rewind'), 0)";
    let counts = on.within(on.client.query_one(counts, &[&target.pipeline, &target.topic])).await?;
    let reasons = r#"SELECT count(*), min("offset"), stage, rule, path, (array_agg(reason ORDER BY "offset"))[1]
         FROM duto.reject WHERE pipeline = $1 AND topic = $2 AND status = 'open' GROUP BY 3, 4, 5 ORDER BY 1 DESC, 2"#;
    let reasons = on.within(on.client.query(reasons, &[&target.pipeline, &target.topic])).await?;
    let reasons = reasons.iter().map(|row| Reason {
        count: row.get(0),
        line: row.get(1),
        stage: row.get(2),
        rule: row.get(3),
        path: row.get(4),
        reason: row.get(5),
    });
    Ok(Figures {
        records: counts.get(0),
        stored: counts.get(1),
        repeated: counts.get(2),
        rejected: counts.get(3),
        filtered: counts.get(4),
        reasons: reasons.collect(),
    })
}
