//! `duto.outbox`: the messages of stored rows, written in the rows' own transaction. They are sent
//! after the commit.

use std::borrow::Cow;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::failure::Failure;
use super::pieces::{pieces, slices};
use super::sealed::{cannot_seal, outbox_place};
use super::session::LoadSession;
use super::target::Target;
use duto_ground::index::{RecordIndex, RowIndex};
use duto_ground::message_id::{Origin, message_id};
use duto_stages::prepared::Prepared;

/// In the order of the arrays, so that ids rise as the records stand in the log.
const INSERT: &str = "INSERT INTO duto.outbox (pipeline, topic, partition, target, key, value,
     message_id, token)
     SELECT $1, $2, m.partition, m.target, m.key, m.value, m.message_id, $3
     FROM unnest($4::integer[], $5::text[], $6::bytea[], $7::bytea[], $8::uuid[]) WITH ORDINALITY AS
     m (partition, target, key, value, message_id, place)
     ORDER BY m.place";

/// The rows of `duto.outbox`, column by column.
#[derive(Default)]
struct Rows<'a> {
    partitions: Vec<i32>,
    targets: Vec<&'a str>,
    keys: Vec<Option<Cow<'a, [u8]>>>,
    values: Vec<Option<Cow<'a, [u8]>>>,
    message_ids: Vec<Uuid>,
}

/// Writes the messages of the stored rows. The ids are drawn while the positions are locked, so
/// they rise in commit order for each of them.
pub async fn write(
    session: LoadSession<'_>,
    batch: &Prepared,
    stored: &[Vec<RowIndex>],
) -> Result<(), Failure> {
    let LoadSession { on, target } = session;
    let rows = rows_of(target, batch, stored)?;
    if rows.partitions.is_empty() {
        return Ok(());
    }
    let token = Uuid::new_v4();
    let bytes_of = |(key, value): (&Option<&[u8]>, &Option<&[u8]>)| {
        key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)
    };
    let Rows { partitions, targets, keys, values, message_ids } = &rows;
    let (keys, values) = (slices(keys), slices(values));
    for piece in pieces(keys.iter().zip(&values).map(bytes_of)) {
        let (partitions, targets, keys) =
            (&partitions[piece.clone()], &targets[piece.clone()], &keys[piece.clone()]);
        let (contents, message_ids, sent) =
            (&values[piece.clone()], &message_ids[piece.clone()], piece.len());
        let values: [&(dyn ToSql + Sync); 8] = [
            &target.pipeline,
            &target.topic,
            &token,
            &partitions,
            &targets,
            &keys,
            &contents,
            &message_ids,
        ];
        let written = on
            .within(async { on.client.execute(&on.prepared(INSERT).await?, &values).await })
            .await?;
        if written != sent as u64 {
            return Err(Failure::Pause(format!(
                "duto.outbox took {written} messages of {sent}: a trigger or a rule swallows them"
            )));
        }
    }
    Ok(())
}

fn rows_of<'a>(
    target: &'a Target,
    batch: &'a Prepared,
    stored: &[Vec<RowIndex>],
) -> Result<Rows<'a>, Failure> {
    let keyring = target.encryption.of_outbox();
    // By record, then by publish, then by row: a record's messages follow those of the records
    // before it.
    let mut places: Vec<(RecordIndex, usize, RowIndex)> = Vec::new();
    for (index, evaluated) in batch.messages.iter().enumerate() {
        let record = &batch.tables[evaluated.table].record;
        places.extend(stored[evaluated.table].iter().map(|row| (record[row.place()], index, *row)));
    }
    places.sort_unstable();
    let mut rows = Rows::default();
    for (record, index, row) in places {
        let evaluated = &batch.messages[index];
        let Some((key, value)) = evaluated.message(row) else { continue };
        let (name, topic) = &target.publish[evaluated.publish];
        let head = &batch.batch.records[record.place()];
        let of_record = &batch.tables[evaluated.table].record;
        let first = of_record.partition_point(|other| *other < record);
        let origin = Origin {
            pipeline: &target.pipeline,
            name,
            cluster_id: &target.cluster_id,
            topic_id: &target.topic_id,
        };
        let id = message_id(&origin, head.partition, head.offset, row.number() - first as u32);
        let seal = |column, value: Option<&'a str>| {
            let sealed = keyring.seal_some(&outbox_place(&id, column), value.map(str::as_bytes));
            sealed.map_err(cannot_seal("a message"))
        };
        rows.keys.push(seal("key", key)?);
        rows.values.push(seal("value", value)?);
        rows.message_ids.push(id);
        rows.partitions.push(head.partition);
        rows.targets.push(topic);
    }
    Ok(rows)
}
