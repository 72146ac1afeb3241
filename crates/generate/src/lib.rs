//! Plausible records, and bad ones, made from the declared record alone.

mod check;
mod damage;
mod examples;
mod latency;
mod maker;
mod memory;
mod pace;
mod retry;
mod run;
#[cfg(test)]
mod run_tests;
mod tally;
#[cfg(test)]
mod tests;
mod write;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use check::check;
pub use examples::put_examples;
pub use run::{GenerateReport, GenerateSettings, Progress, run};

use damage::Damage;
use duto_definition::{Pipeline, Problem, RecordDefinition, TextCleaning};
use duto_stages::decode::key_of;
use maker::FieldMaker;
use memory::Memory;
use write::Writer;

/// Makes the bodies of one pipeline's topic.
#[derive(Debug)]
pub struct Generator {
    fields: Vec<FieldMaker>,
    /// What can be done to this record so that decoding refuses it.
    damages: Vec<Damage>,
    key: Option<String>,
    max_depth: usize,
    random: StdRng,
    memory: Memory,
    /// Records made so far, from which sequences count.
    made: u64,
}

impl Generator {
    /// With a seed, the same records come again, but for those values that are the present time.
    /// Answers every hint that cannot be followed.
    pub fn new(pipeline: &Pipeline, seed: Option<u64>) -> Result<Self, Vec<Problem>> {
        let source = &pipeline.source;
        Self::of_record(&pipeline.record, pipeline.text, source.key.clone(), source.max_depth, seed)
    }

    /// As [`Self::new`], from the parts of a pipeline that matter here.
    pub fn of_record(
        record: &RecordDefinition,
        cleaning: TextCleaning,
        key: Option<String>,
        max_depth: usize,
        seed: Option<u64>,
    ) -> Result<Self, Vec<Problem>> {
        let fields = maker::makers(&record.fields)?;
        let damages = damage::possible(&record.fields, cleaning);
        let random = seed.map_or_else(rand::make_rng, StdRng::seed_from_u64);
        Ok(Self { fields, damages, key, max_depth, random, memory: Memory::default(), made: 0 })
    }

    /// Goes on as if so many records more had been made.
    pub fn skip(&mut self, records: u64) {
        self.made = self.made.saturating_add(records);
    }

    /// The next good body.
    pub fn next_payload(&mut self) -> Vec<u8> {
        let mut writer = Writer::new(&mut self.random, &mut self.memory, self.made, None);
        writer.object(&self.fields);
        self.made += 1;
        writer.into_bytes()
    }

    /// The next bad body, and what is bad about it in a few words. Decoding refuses it.
    pub fn next_bad_payload(&mut self) -> (Vec<u8>, &'static str) {
        let choice = self.random.random_range(0..self.damages.len());
        let Some(damage) = self.damages.get(choice).cloned() else {
            return (Vec::new(), damage::EMPTY);
        };
        (self.damaged(&damage), damage.name)
    }

    /// The key under which a body is sent: the value of the field that `source.key` names.
    pub fn key(&self, payload: &[u8]) -> Option<Vec<u8>> {
        key_of(payload, self.key.as_deref()?)
    }

    /// The one source of chance, so that a seed decides everything.
    fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    fn damaged(&mut self, damage: &Damage) -> Vec<u8> {
        let mut writer =
            Writer::new(&mut self.random, &mut self.memory, self.made, damage.in_field.as_ref());
        writer.object(&self.fields);
        self.made += 1;
        let body = writer.into_bytes();
        damage.apply(body, self.max_depth, &mut self.random)
    }
}
