//! `record:`, what a body on the topic must look like.

mod dependence;
mod hints;
mod rules;
mod shape;

pub(super) use shape::{read_record, record_definitions, record_schema};

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Fields, Schema};

use super::keys::{Key, Presence, Value};
use super::parse::Section;
use super::{ColumnType, Span};

/// The declared shape of a record. Keys that are not declared are allowed and not looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordDefinition {
    pub fields: Vec<Field>,
}

/// A key of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// False when the name ends in `?` in the file: the key may then be missing or null.
    pub required: bool,
    pub kind: Kind,
    pub rules: Rules,
    pub span: Span,
}

/// What a value is: one value, an object of declared keys, or a list.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Scalar(ColumnType),
    Object(Vec<Field>),
    /// The element; its `name` is `item` and it is always required (a null in a list is a reject).
    List(Box<Field>),
}

/// What a value must also satisfy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Inclusive, an exact decimal as written.
    pub minimum: Option<String>,
    /// Inclusive, an exact decimal as written.
    pub maximum: Option<String>,
    /// The allowed texts; empty means any.
    pub allowed: Vec<String>,
    /// In characters for texts, in elements for lists.
    pub max_length: Option<u32>,
    /// In characters for texts, in elements for lists.
    pub min_length: Option<u32>,
    /// A JSON text that holds a value of the type is taken for that value.
    pub coerce: bool,
    /// A value for documents and hand-made messages, as JSON.
    pub example: Option<serde_json::Value>,
    /// How the generator makes this value.
    pub generate: Option<GenerateHint>,
    /// The generator leaves the key out unless another field has one of these values.
    pub generate_when: Option<When>,
}

/// A field and the values, as JSON, with which another one is there.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    pub field: String,
    pub values: Vec<String>,
    pub span: Span,
}

/// How the generator makes a value where its type and rules do not say enough.
#[derive(Debug, Clone, PartialEq)]
pub enum GenerateHint {
    /// Counts upwards from here, one a record.
    Sequence { from: i64 },
    /// The element's place in its list, from here.
    Index { from: i64 },
    /// Uniform between the two, inclusive, with so many decimals.
    Between { low: String, high: String, decimals: u32 },
    /// One of these, uniformly.
    OneOf(Vec<serde_json::Value>),
    /// How many elements a list gets, uniform, inclusive.
    Length { low: u32, high: u32 },
    /// With this probability (0 to 1) an optional key is there.
    Probability(f64),
    /// A random UUID.
    Uuid,
    /// The prefix and a number between the two, inclusive, of at least so many digits.
    Numbered { prefix: String, from: u64, to: u64, digits: usize },
    /// A random UUID that stays with the value of another field, renewed with this probability (0
    /// to 1).
    KeptBy { field: String, renewed: f64 },
    /// The exact product of these numbers of the record, each a path such as `product.price`.
    ProductOf(Vec<String>),
    /// One of so many numbers at a time, counted upwards from here: where one has come to the end
    /// of its steps, the next one follows.
    Alive { from: i64, count: u32 },
    /// One of these, which stays with the value of another field.
    KeptOneOf { field: String, values: Vec<serde_json::Value> },
    /// A text that goes on with every record of another field's value: the first of these, then one
    /// of those that may follow. One that none follows is an end.
    Steps { field: String, steps: Vec<(String, Vec<String>)> },
    /// A time behind the last one of another field's value, by as many seconds, inclusive, but
    /// never in the future. The first one is at most so many seconds ago.
    Later { field: String, least_seconds: u64, most_seconds: u64, ago_seconds: u64 },
}

impl RecordDefinition {
    /// The schema of the columns that the decoder makes: one a field, nested ones as Struct and
    /// List.
    pub fn arrow_schema(&self) -> Schema {
        Schema::new(self.fields.iter().map(Field::arrow).collect::<Vec<_>>())
    }
}

impl Field {
    /// This field as an Arrow field; what is not required is nullable.
    pub fn arrow(&self) -> ArrowField {
        ArrowField::new(&self.name, self.kind.arrow(), !self.required)
    }
}

impl Kind {
    /// The Arrow type of the decoded column.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Scalar(scalar) => scalar.arrow(),
            Self::Object(fields) => {
                DataType::Struct(fields.iter().map(Field::arrow).collect::<Fields>())
            }
            Self::List(element) => DataType::List(Arc::new(element.arrow())),
        }
    }
}

pub(super) const SECTION: Section = Section {
    key: Key {
        name: "record",
        about: "what a body on the topic must look like: each key and its type; required unless \
            the name ends in ?; other keys are not looked at",
        presence: Presence::Required,
        value: Value::Other(shape::record_schema),
    },
    read: shape::read,
};
