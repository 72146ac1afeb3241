//! The columns that a batch is decoded into. A row is written cell by cell; a record that turns out
//! bad is cut off again.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, ListArray, PrimitiveArray, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Fields, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type,
};
use arrow::error::ArrowError;

use super::fault::{Fault, Outcome};
use super::rules::{Bounds, Lengths, TextRules};
use duto_definition::column_type::{ValueKind, digits_of};
use duto_definition::{ColumnType, Field, Kind};
use duto_sql::forms::Form;

/// One declared field and its cells so far.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// The name as JSON text, the way a document nearly always writes it.
    pub quoted: Vec<u8>,
    pub required: bool,
    /// A text that holds a value of the type is taken for it.
    pub coerced: bool,
    pub cells: Cells,
    rows: usize,
    /// One a row, true where there is a value; None where the field is required, since a row
    /// without it is never kept.
    valid: Option<Vec<bool>>,
    arrow_type: DataType,
}

/// The cells of a column, with the rules that a value must satisfy to become one.
#[derive(Debug, Clone)]
pub enum Cells {
    Boolean(Vec<bool>),
    SmallInt(Vec<i16>, Bounds),
    Integer(Vec<i32>, Bounds),
    BigInt(Vec<i64>, Bounds),
    Real(Vec<f32>, Bounds),
    DoublePrecision(Vec<f64>, Bounds),
    Numeric {
        values: Vec<i128>,
        precision: u8,
        scale: u8,
        bounds: Bounds,
    },
    Text(Runs, TextRules),
    Date(Vec<i32>),
    /// With a zone or without one: both count microseconds UTC.
    Timestamp(Vec<i64>),
    /// Texts of one form.
    Formed(Runs, &'static Form),
    Jsonb(Runs),
    Bytea(Runs, Lengths),
    Object(Columns),
    List {
        ends: Ends,
        element: Box<Column>,
        lengths: Lengths,
    },
}

/// The columns of an object, and in which order its keys usually come: producers keep theirs.
#[derive(Debug, Clone)]
pub struct Columns {
    pub columns: Vec<Column>,
    /// For each column the one whose key came next the last time; one more, at the end, for the
    /// first key.
    after: Vec<usize>,
}

/// Values of different lengths, one behind the other.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    ends: Ends,
    bytes: Vec<u8>,
}

/// Where each value of a column ends in another one.
#[derive(Debug, Clone)]
pub struct Ends(Vec<i32>);

impl Column {
    /// An empty column for a declared field.
    pub fn new(field: &Field) -> Self {
        let cells = match &field.kind {
            Kind::Scalar(column_type) => scalar_cells(*column_type, field),
            Kind::Object(fields) => Cells::Object(Columns::new(fields)),
            Kind::List(element) => Cells::List {
                ends: Ends::default(),
                element: Box::new(Self::new(element)),
                lengths: Lengths::new(&field.rules),
            },
        };
        let valid = if field.required { None } else { Some(Vec::new()) };
        let quoted = serde_json::Value::from(field.name.as_str()).to_string().into_bytes();
        let Field { name, required, .. } = field;
        let coerced = field.rules.coerce && cells.are_of_tokens();
        Self {
            name: name.clone(),
            quoted,
            required: *required,
            coerced,
            cells,
            rows: 0,
            valid,
            arrow_type: field.kind.arrow(),
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Counts the row whose cell was just written.
    pub fn close_row(&mut self) {
        self.rows += 1;
        if let Some(valid) = &mut self.valid {
            valid.push(true);
        }
    }

    /// Writes a row without a value. In a required column it only keeps the rows aligned: below an
    /// object that is null itself, or in a record that will be cut off.
    pub fn push_null(&mut self) {
        self.rows += 1;
        if let Some(valid) = &mut self.valid {
            valid.push(false);
        }
        match &mut self.cells {
            Cells::Boolean(values) => values.push(false),
            Cells::SmallInt(values, _) => values.push(0),
            Cells::Integer(values, _) | Cells::Date(values) => values.push(0),
            Cells::BigInt(values, _) | Cells::Timestamp(values) => values.push(0),
            Cells::Real(values, _) => values.push(0.0),
            Cells::DoublePrecision(values, _) => values.push(0.0),
            Cells::Numeric { values, .. } => values.push(0),
            Cells::Text(runs, _)
            | Cells::Formed(runs, _)
            | Cells::Jsonb(runs)
            | Cells::Bytea(runs, _) => runs.ends.repeat(),
            Cells::Object(object) => object.columns.iter_mut().for_each(Self::push_null),
            Cells::List { ends, .. } => ends.repeat(),
        }
    }

    /// Cuts off every row from this one on, also a half-written one.
    pub fn truncate(&mut self, rows: usize) {
        self.rows = rows;
        if let Some(valid) = &mut self.valid {
            valid.truncate(rows);
        }
        match &mut self.cells {
            Cells::Boolean(values) => values.truncate(rows),
            Cells::SmallInt(values, _) => values.truncate(rows),
            Cells::Integer(values, _) | Cells::Date(values) => values.truncate(rows),
            Cells::BigInt(values, _) | Cells::Timestamp(values) => values.truncate(rows),
            Cells::Real(values, _) => values.truncate(rows),
            Cells::DoublePrecision(values, _) => values.truncate(rows),
            Cells::Numeric { values, .. } => values.truncate(rows),
            Cells::Text(runs, _)
            | Cells::Formed(runs, _)
            | Cells::Jsonb(runs)
            | Cells::Bytea(runs, _) => {
                let end = runs.ends.truncate(rows);
                runs.bytes.truncate(end);
            }
            Cells::Object(object) => object.truncate(rows),
            Cells::List { ends, element, .. } => {
                let end = ends.truncate(rows);
                element.truncate(end);
            }
        }
    }

    /// The column as Arrow has it. An error would mean that the cells do not fit the type they were
    /// made for.
    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.valid.filter(|valid| valid.contains(&false)).map(NullBuffer::from);
        Ok(match self.cells {
            Cells::Boolean(values) => {
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            Cells::SmallInt(values, _) => primitive::<Int16Type>(values, nulls)?,
            Cells::Integer(values, _) => primitive::<Int32Type>(values, nulls)?,
            Cells::BigInt(values, _) => primitive::<Int64Type>(values, nulls)?,
            Cells::Real(values, _) => primitive::<Float32Type>(values, nulls)?,
            Cells::DoublePrecision(values, _) => primitive::<Float64Type>(values, nulls)?,
            Cells::Date(values) => primitive::<Date32Type>(values, nulls)?,
            Cells::Numeric { values, .. } => Arc::new(
                Decimal128Array::try_new(ScalarBuffer::from(values), nulls)?
                    .with_data_type(self.arrow_type),
            ),
            Cells::Timestamp(values) => Arc::new(
                TimestampMicrosecondArray::try_new(ScalarBuffer::from(values), nulls)?
                    .with_data_type(self.arrow_type),
            ),
            Cells::Jsonb(runs) => {
                let texts =
                    StringArray::try_new(runs.ends.finish(), Buffer::from(runs.bytes), nulls)?;
                arrow::compute::cast(&texts, &self.arrow_type)?
            }
            Cells::Text(runs, _) | Cells::Formed(runs, _) => {
                Arc::new(StringArray::try_new(runs.ends.finish(), Buffer::from(runs.bytes), nulls)?)
            }
            Cells::Bytea(runs, _) => {
                Arc::new(BinaryArray::try_new(runs.ends.finish(), Buffer::from(runs.bytes), nulls)?)
            }
            Cells::Object(object) => {
                let fields = match self.arrow_type {
                    DataType::Struct(fields) => fields,
                    _ => Fields::empty(),
                };
                let columns = object.finish()?;
                Arc::new(StructArray::try_new_with_length(fields, columns, nulls, self.rows)?)
            }
            Cells::List { ends, element, .. } => {
                let field = match self.arrow_type {
                    DataType::List(field) => field,
                    other => {
                        return Err(ArrowError::SchemaError(format!("a list cannot be {other}")));
                    }
                };
                Arc::new(ListArray::try_new(field, ends.finish(), element.finish()?, nulls)?)
            }
        })
    }
}

impl Cells {
    /// Whether their values are numbers or booleans, which a text may hold.
    fn are_of_tokens(&self) -> bool {
        matches!(
            self,
            Self::Boolean(_)
                | Self::SmallInt(..)
                | Self::Integer(..)
                | Self::BigInt(..)
                | Self::Real(..)
                | Self::DoublePrecision(..)
                | Self::Numeric { .. }
        )
    }
}

impl Columns {
    pub fn new(fields: &[Field]) -> Self {
        let columns: Vec<Column> = fields.iter().map(Column::new).collect();
        let after = (1..=columns.len()).chain([0]).collect();
        Self { columns, after }
    }

    /// The place before any key, for [`Self::find_next`].
    pub fn before_first(&self) -> usize {
        self.columns.len()
    }

    /// The column whose key probably follows this place's.
    #[inline]
    pub fn expected(&self, place: usize) -> Option<(usize, &Column)> {
        let next = *self.after.get(place)?;
        Some((next, self.columns.get(next)?))
    }

    /// The column of this name, which the next record's key is then expected to be.
    pub fn find_next(&mut self, place: usize, key: &str) -> Option<usize> {
        let found = self.columns.iter().position(|column| column.name == key)?;
        if let Some(after) = self.after.get_mut(place) {
            *after = found;
        }
        Some(found)
    }

    pub fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
    }

    pub fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.columns.into_iter().map(Column::finish).collect()
    }
}

impl Runs {
    pub fn push(&mut self, value: &[u8]) -> Outcome<()> {
        self.push_with(|bytes| {
            bytes.extend_from_slice(value);
            Ok(())
        })
    }

    /// Appends one value by writing it; what is written before an error is no value and goes with
    /// the record.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Outcome<()>) -> Outcome<()> {
        write(&mut self.bytes)?;
        self.ends.push(self.bytes.len())
    }
}

impl Ends {
    /// A batch's texts of one column fill less than 2 GiB, since its payloads do; a record that
    /// goes beyond is refused.
    pub fn push(&mut self, end: usize) -> Outcome<()> {
        let end = i32::try_from(end)
            .map_err(|_| Fault::document("size", "the record does not fit into its batch"))?;
        self.0.push(end);
        Ok(())
    }

    fn repeat(&mut self) {
        self.0.push(self.0.last().copied().unwrap_or_default());
    }

    /// Keeps so many values, and answers where the last one of them ends.
    fn truncate(&mut self, values: usize) -> usize {
        self.0.truncate(values + 1);
        self.0.last().map_or(0, |&end| end as usize)
    }

    fn finish(self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(ScalarBuffer::from(self.0))
    }
}

impl Default for Ends {
    fn default() -> Self {
        Self(vec![0])
    }
}

fn scalar_cells(column_type: ColumnType, field: &Field) -> Cells {
    let rules = &field.rules;
    match column_type.values() {
        ValueKind::Boolean => Cells::Boolean(Vec::new()),
        ValueKind::SmallInt => Cells::SmallInt(Vec::new(), Bounds::new(rules, 0)),
        ValueKind::Integer => Cells::Integer(Vec::new(), Bounds::new(rules, 0)),
        ValueKind::BigInt => Cells::BigInt(Vec::new(), Bounds::new(rules, 0)),
        ValueKind::Real => Cells::Real(Vec::new(), Bounds::new(rules, 0)),
        ValueKind::DoublePrecision => Cells::DoublePrecision(Vec::new(), Bounds::new(rules, 0)),
        ValueKind::Numeric(limits) => {
            let (precision, scale) = digits_of(limits);
            // PostgreSQL knows negative scales; a record does not.
            let scale = scale.max(0) as u8;
            Cells::Numeric {
                values: Vec::new(),
                precision,
                scale,
                bounds: Bounds::new(rules, u32::from(scale)),
            }
        }
        ValueKind::Text(most) => Cells::Text(Runs::default(), TextRules::new(rules, most)),
        ValueKind::Date => Cells::Date(Vec::new()),
        ValueKind::Timestamp | ValueKind::Timestamptz => Cells::Timestamp(Vec::new()),
        ValueKind::Formed(form) => Cells::Formed(Runs::default(), form),
        ValueKind::Jsonb => Cells::Jsonb(Runs::default()),
        ValueKind::Bytea => Cells::Bytea(Runs::default(), Lengths::new(rules)),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(values), nulls)?))
}
