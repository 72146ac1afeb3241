//! One endpoint, planned: what a body must look like, where it goes, and what it is answered.

use arrow::datatypes::DataType;

use crate::decode::Decoder;
use crate::transform::Document;
use duto_definition::{IngestEndpoint, Pipeline, Problem, RecordDefinition};
use duto_ground::batch::{Batch, Place};
use duto_ground::clock::now_micros;
use duto_ground::reject::Reject;

/// See the module.
#[derive(Debug)]
pub struct Intake {
    pub endpoint: IngestEndpoint,
    pub topic: String,
    /// None where the record is the pipeline's own: its stages know more of it than a decoder.
    decoder_elsewhere: Option<Decoder>,
    /// The answer to a record that is in the log, over the record without its place, which it has
    /// not yet.
    answer: Option<(Decoder, Document)>,
}

impl Intake {
    /// Plans the endpoint's answer; all problems are told at once.
    pub fn plan(pipeline: &Pipeline, endpoint: &IngestEndpoint) -> Result<Self, Vec<Problem>> {
        let decoder = |record: &RecordDefinition| {
            Decoder::new(&Pipeline { record: record.clone(), ..of_source(pipeline) })
        };
        let record = endpoint.record.as_ref().unwrap_or(&pipeline.record);
        let answer = match &endpoint.answer {
            // What is answered after the store is made with the rows.
            Some(sql) if !endpoint.stored => {
                Some((decoder(record), Document::plan(sql, "record", &record.arrow_schema())?))
            }
            _ => None,
        };
        Ok(Self {
            topic: endpoint.topic.clone().unwrap_or_else(|| pipeline.source.topic.clone()),
            decoder_elsewhere: endpoint.record.as_ref().map(decoder),
            answer,
            endpoint: endpoint.clone(),
        })
    }

    /// Every problem of a body, where the endpoint has a record of its own; None where it has the
    /// pipeline's.
    pub fn problems(&self, body: &[u8]) -> Option<Vec<Reject>> {
        self.decoder_elsewhere.as_ref().map(|decoder| decoder.problems(body))
    }

    /// The type of the answer to a record that is in the log.
    pub fn answer_type(&self) -> Option<DataType> {
        self.answer.as_ref().map(|(_, document)| document.data_type())
    }

    /// What a body without problems is answered; None where the file says nothing. An error is a
    /// sentence.
    pub fn answer(&self, body: &[u8]) -> Result<Option<String>, String> {
        let Some((decoder, document)) = &self.answer else { return Ok(None) };
        let mut alone = Batch::default();
        alone.push(
            Place { partition: 0, offset: 0, leader_epoch: -1, timestamp_ms: -1 },
            None,
            Some(body),
            None,
        );
        let clock_micros = now_micros();
        let made = document.run(&decoder.decode(&alone).rows, clock_micros);
        match (made.texts.iter().next(), made.failed.into_iter().next()) {
            (_, Some(failed)) if failed.column.is_empty() => Err(failed.message),
            (_, Some(failed)) => Err(format!("{}: {}", failed.column, failed.message)),
            (Some(text), None) => Ok(Some(text.unwrap_or("null").to_owned())),
            // A WHERE left the record out.
            (None, None) => Ok(None),
        }
    }
}

/// What a decoder takes of a pipeline beside its record.
fn of_source(pipeline: &Pipeline) -> Pipeline {
    Pipeline { text: pipeline.text, source: pipeline.source.clone(), ..Pipeline::default() }
}
