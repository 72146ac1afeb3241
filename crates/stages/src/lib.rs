//! The pure stages of a batch, one after the other: decode, check, transform. Planned once, run on
//! any thread.

pub mod decode; // bytes to columns
pub mod check; // rules in SQL
pub mod transform; // columns to rows, by SQL
pub mod rollup; // what stored rows add to counters
pub mod query; // views and endpoints, what each reads
pub mod intake; // an endpoint that takes records, planned
pub mod messages; // what stored rows tell
pub mod calls; // what records ask of others
pub mod answers; // what waiting requests are told
pub mod prepared; // a batch that is ready to be written
pub mod copy; // values as COPY takes them
mod numeric;

use std::borrow::Cow;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::DataType;

use crate::check::Checks;
use crate::decode::{CsvLayout, Decoded, Decoder};
use crate::query::Queries;
use crate::rollup::Rollups;
use crate::transform::{Transform, Transformed, with_meta};
use duto_definition::{IngestEndpoint, Pipeline, Problem};
use duto_ground::batch::{Batch, Place};
use duto_ground::clock::now_micros;
use duto_ground::index::RecordIndex;
use duto_ground::reject::{Reject, Stage};
use intake::Intake;
use messages::Messages;
use prepared::{OffsetRange, Prepared, Verdicts};

/// A pipeline's stages, ready to run.
pub struct Stages {
    pipeline: Pipeline,
    decoder: Decoder,
    checks: Checks,
    transform: Transform,
    written: Vec<Vec<usize>>,
    rollups: Rollups,
    messages: Messages,
    intakes: Vec<Arc<Intake>>,
    queries: Queries,
}

/// What the stages made of a batch, the rejects before the transform, and the seconds until then.
type Ran = (Transformed, Vec<Reject>, f64);

/// The rows of lists' elements that one transaction takes, in bytes, unless one record has more. A
/// batch is bounded by the bytes of its records, which a list of a thousand elements makes a
/// thousandfold where each of its rows carries the record's text.
const MOST_ROW_BYTES: u64 = 64 << 20;

/// Records that did not fit.
#[derive(Debug)]
pub struct Rest {
    pub batch: Batch,
    pub ranges: Vec<OffsetRange>,
}

/// How long a batch spent in each stage.
#[derive(Debug, Clone, Copy, Default)]
pub struct StageSeconds {
    pub decode: f64,
    pub transform: f64,
}

impl Stages {
    /// Plans the SQL. Answers every problem of the file's SQL at once.
    pub fn plan(pipeline: &Pipeline) -> Result<Self, Vec<Problem>> {
        let decoder = Decoder::new(pipeline);
        let (mut intakes, mut problems) = (Vec::new(), Vec::new());
        for endpoint in &pipeline.ingest {
            match Intake::plan(pipeline, endpoint) {
                Ok(intake) => intakes.push(Arc::new(intake)),
                Err(found) => problems.extend(found),
            }
        }
        match (Checks::plan(pipeline), Transform::plan(pipeline), Queries::plan(pipeline)) {
            (Ok(checks), Ok(transform), Ok(queries)) if problems.is_empty() => {
                let written: Vec<Vec<usize>> = (0..pipeline.tables.len())
                    .map(|table| transform.written_columns(table).to_vec())
                    .collect();
                let (rollups, messages) =
                    match (Rollups::plan(pipeline, &written), Messages::plan(pipeline, &written)) {
                        (Ok(rollups), Ok(messages)) => (rollups, messages),
                        (rollups, messages) => {
                            return Err(rollups
                                .err()
                                .into_iter()
                                .chain(messages.err())
                                .flatten()
                                .collect());
                        }
                    };
                Ok(Self {
                    pipeline: pipeline.clone(),
                    decoder,
                    checks,
                    transform,
                    written,
                    rollups,
                    messages,
                    intakes,
                    queries,
                })
            }
            (checks, transform, queries) => {
                let found = checks
                    .err()
                    .into_iter()
                    .chain(transform.err())
                    .chain([problems])
                    .chain(queries.err());
                Err(found.flatten().collect())
            }
        }
    }

    /// The same for the lines of a file.
    pub fn of_lines(self, layout: CsvLayout) -> Self {
        Self { decoder: self.decoder.of_lines(layout), ..self }
    }

    /// For each table, the columns that its rows hold, as indexes into the table's columns.
    pub fn written(&self) -> &[Vec<usize>] {
        &self.written
    }

    /// What was planned.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// What stored rows add to counters.
    pub fn rollups(&self) -> &Rollups {
        &self.rollups
    }

    /// The endpoints that take records, in the file's order.
    pub fn intakes(&self) -> &[Arc<Intake>] {
        &self.intakes
    }

    /// The type of what an endpoint answers; None where the file does not say.
    pub fn answer_type(&self, endpoint: &IngestEndpoint) -> Option<DataType> {
        let intake = self.intakes.iter().find(|intake| intake.endpoint == *endpoint)?;
        intake.answer_type().or_else(|| self.transform.answer_type(&endpoint.name()))
    }

    /// The endpoints that answer.
    pub fn queries(&self) -> &Queries {
        &self.queries
    }

    /// Brings a batch as far as it comes without the database.
    pub fn prepare(
        &self,
        batch: Batch,
        ranges: Vec<OffsetRange>,
        verdicts: &Verdicts,
    ) -> (Prepared, StageSeconds) {
        let started = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(&batch)));
        self.finish(batch, ranges, verdicts, ran, started)
    }

    /// The same of as many of its first records as make rows that fit into one transaction, and the
    /// rest, which is a batch of its own.
    pub fn prepare_fitting(
        &self,
        mut batch: Batch,
        mut ranges: Vec<OffsetRange>,
    ) -> (Prepared, StageSeconds, Option<Rest>) {
        let started = Instant::now();
        let mut rest = None;
        let ran = catch_unwind(AssertUnwindSafe(|| self.run_within(&batch, MOST_ROW_BYTES)));
        let ran = match ran {
            Ok(Ok(done)) => Ok(done),
            Err(panic) => Err(panic),
            Ok(Err(records)) => {
                let batch_of_rest = batch.split_off(records);
                let (of_first, of_rest) = OffsetRange::divide(ranges, &batch);
                ranges = of_first;
                rest = Some(Rest { batch: batch_of_rest, ranges: of_rest });
                catch_unwind(AssertUnwindSafe(|| self.run(&batch)))
            }
        };
        let (prepared, seconds) = self.finish(batch, ranges, &Verdicts::default(), ran, started);
        (prepared, seconds, rest)
    }

    fn finish(
        &self,
        batch: Batch,
        ranges: Vec<OffsetRange>,
        verdicts: &Verdicts,
        ran: std::thread::Result<Ran>,
        started: Instant,
    ) -> (Prepared, StageSeconds) {
        let (waiting, repeated) = answers::waiting(&self.pipeline, &batch);
        let verdicts = &match repeated.is_empty() {
            true => Cow::Borrowed(verdicts),
            false => Cow::Owned(verdicts.with_resolved(repeated)),
        };
        let (mut transformed, rejects, decode) =
            ran.unwrap_or_else(|_| self.run_one_by_one(&batch));
        let mut all = rejects;
        all.append(&mut transformed.rejects);
        let (rollups, uncountable) = self.rollups.evaluate(&transformed.tables, now_micros());
        all.extend(uncountable);
        let (messages, untellable) = self.messages.evaluate(&transformed.tables, now_micros());
        all.extend(untellable);
        let documents = std::mem::take(&mut transformed.answers);
        let mut prepared =
            Prepared::new(batch, ranges, &self.pipeline, &self.written, transformed, all, verdicts);
        (prepared.rollups, prepared.messages) = (rollups, messages);
        if !waiting.is_empty() {
            prepared.answers = answers::answers(
                &self.pipeline,
                &self.transform,
                waiting,
                &documents,
                &prepared,
                &verdicts.resolved,
            );
        }
        (prepared, StageSeconds { decode, transform: started.elapsed().as_secs_f64() - decode })
    }

    /// Runs the stages over a batch: what they make of it, the rejects before the transform, the
    /// seconds until then.
    pub fn run(&self, batch: &Batch) -> Ran {
        let started = Instant::now();
        self.run_decoded(batch, self.decoder.decode(batch), started)
    }

    /// The same unless the rows of a list's elements would have more bytes than this: then the
    /// number of records that fit, at least one.
    fn run_within(&self, batch: &Batch, most_bytes: u64) -> Result<Ran, usize> {
        let started = Instant::now();
        let decoded = self.decoder.decode(batch);
        if let Some(bytes) = self.transform.unnested_bytes(&decoded) {
            let mut sum = 0u64;
            for (row, bytes) in decoded.record.iter().zip(bytes) {
                sum = sum.saturating_add(bytes);
                if sum > most_bytes && row.place() > 0 {
                    return Err(row.place());
                }
            }
        }
        Ok(self.run_decoded(batch, decoded, started))
    }

    fn run_decoded(&self, batch: &Batch, mut decoded: Decoded, started: Instant) -> Ran {
        let clock = now_micros();
        if self.checks.uses_meta() || self.transform.uses_meta() {
            decoded = with_meta(decoded, &self.pipeline.source.topic, batch);
        }
        let decoded = self.checks.run_at(decoded, clock);
        let seconds = started.elapsed().as_secs_f64();
        let transformed = self.transform.run(&decoded, clock);
        (transformed, decoded.rejects, seconds)
    }

    /// A stage panicked, which is a bug: find the records that it cannot take, so that they cost
    /// only themselves.
    fn run_one_by_one(&self, batch: &Batch) -> Ran {
        let mut bad = HashSet::new();
        for index in RecordIndex::first(batch.len()) {
            let mut alone = Batch::default();
            alone.push_record(batch.get(index.place()));
            if catch_unwind(AssertUnwindSafe(|| self.run(&alone))).is_err() {
                bad.insert(index);
            }
        }
        tracing::error!(
            pipeline = self.pipeline.name,
            records = bad.len(),
            "a stage panicked over these records: they become rejects; please report this"
        );
        let mut rejects: Vec<Reject> = bad
            .iter()
            .map(|record| Reject {
                record: *record,
                stage: Stage::Decode,
                path: String::new(),
                rule: "internal".to_owned(),
                reason: "the program failed over this record".to_owned(),
                sqlstate: None,
            })
            .collect();
        let mut rest = Batch::default();
        let kept: Vec<RecordIndex> =
            RecordIndex::first(batch.len()).filter(|index| !bad.contains(index)).collect();
        for index in &kept {
            rest.push_record(batch.get(index.place()));
        }
        let (mut transformed, others, seconds) = self.run(&rest);
        let place = |record: &mut RecordIndex| *record = kept[record.place()];
        transformed.tables.iter_mut().flat_map(|table| &mut table.record).for_each(place);
        for documents in transformed.bodies.iter_mut().chain(&mut transformed.answers) {
            documents.record.iter_mut().for_each(place);
        }
        transformed.rejects.iter_mut().for_each(|reject| place(&mut reject.record));
        rejects.extend(others.into_iter().map(|mut reject| {
            place(&mut reject.record);
            reject
        }));
        (transformed, rejects, seconds)
    }

    /// For each body its problems. Quicker than one after the other where most have none.
    pub fn problems_of_each(&self, bodies: &[&[u8]]) -> Vec<Vec<Reject>> {
        let mut batch = Batch::default();
        for (offset, body) in (0..).zip(bodies) {
            batch.push(
                Place { partition: 0, offset, leader_epoch: -1, timestamp_ms: -1 },
                None,
                Some(body),
                None,
            );
        }
        let (prepared, _) = self.prepare(batch, Vec::new(), &Verdicts::default());
        let mut problems: Vec<Vec<Reject>> = bodies.iter().map(|_| Vec::new()).collect();
        for reject in prepared.rejects {
            let record = reject.record.place();
            // One reject a record is all that a load needs; a person is told everything.
            let all = self.problems(bodies[record]);
            problems[record] = if all.is_empty() { vec![reject] } else { all };
        }
        problems
    }

    /// Every problem of one body: the decoder's, or, where it has none, the checks' and the
    /// transform's.
    pub fn problems(&self, body: &[u8]) -> Vec<Reject> {
        let problems = self.decoder.problems(body);
        if !problems.is_empty() {
            return problems;
        }
        let mut alone = Batch::default();
        alone.push(
            Place { partition: 0, offset: 0, leader_epoch: -1, timestamp_ms: -1 },
            None,
            Some(body),
            None,
        );
        let (prepared, _) = self.prepare(alone, Vec::new(), &Verdicts::default());
        prepared.rejects
    }
}
