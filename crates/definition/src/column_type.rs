//! PostgreSQL's type names: the one vocabulary of types through the whole file.

pub(super) mod names;

use arrow::datatypes::{DataType, TimeUnit};

/// The digits of a NUMERIC without precision, as it is held between bytes and table: 20 before the point, 18 after.
pub const UNCONSTRAINED_PRECISION: u8 = 38;
/// See [`UNCONSTRAINED_PRECISION`].
pub const UNCONSTRAINED_SCALE: i8 = 18;

/// A scalar type of a record's field or a table's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Real,
    DoublePrecision,
    /// `NUMERIC` (None) or `NUMERIC(precision, scale)`.
    Numeric(Option<(u8, i8)>),
    Text,
    /// `VARCHAR(n)`, n in characters.
    Varchar(u32),
    Date,
    /// Without a zone; UTC by convention.
    Timestamp,
    Timestamptz,
    Uuid,
    /// Kept as its JSON text.
    Jsonb,
    Bytea,
    /// Only of a column: an INTEGER fed by a sequence.
    Serial,
    /// Only of a column: a BIGINT fed by a sequence.
    BigSerial,
}

impl ColumnType {
    pub fn is_number(self) -> bool {
        match self {
            Self::SmallInt | Self::Integer | Self::BigInt | Self::Serial | Self::BigSerial => true,
            Self::Real | Self::DoublePrecision | Self::Numeric(_) => true,
            Self::Boolean | Self::Text | Self::Varchar(_) | Self::Date | Self::Timestamp | Self::Timestamptz => false,
            Self::Uuid | Self::Jsonb | Self::Bytea => false,
        }
    }

    /// The Arrow type in which a value of this type travels. UUID and JSONB travel as texts, already validated.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::SmallInt => DataType::Int16,
            Self::Integer | Self::Serial => DataType::Int32,
            Self::BigInt | Self::BigSerial => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::DoublePrecision => DataType::Float64,
            Self::Numeric(Some((precision, scale))) => DataType::Decimal128(precision, scale),
            Self::Numeric(None) => DataType::Decimal128(UNCONSTRAINED_PRECISION, UNCONSTRAINED_SCALE),
            Self::Text | Self::Varchar(_) | Self::Uuid => DataType::Utf8,
            // Told apart from TEXT, so that it stands in a document as what it is.
            Self::Jsonb => DataType::LargeUtf8,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Bytea => DataType::Binary,
        }
    }

    /// Whether PostgreSQL fills the column from a sequence when it is left out.
    pub fn is_serial(self) -> bool {
        matches!(self, Self::Serial | Self::BigSerial)
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Integer => f.write_str("INTEGER"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Real => f.write_str("REAL"),
            Self::DoublePrecision => f.write_str("DOUBLE PRECISION"),
            Self::Numeric(None) => f.write_str("NUMERIC"),
            Self::Numeric(Some((precision, scale))) => write!(f, "NUMERIC({precision},{scale})"),
            Self::Text => f.write_str("TEXT"),
            Self::Varchar(characters) => write!(f, "VARCHAR({characters})"),
            Self::Date => f.write_str("DATE"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::Timestamptz => f.write_str("TIMESTAMPTZ"),
            Self::Uuid => f.write_str("UUID"),
            Self::Jsonb => f.write_str("JSONB"),
            Self::Bytea => f.write_str("BYTEA"),
            Self::Serial => f.write_str("SERIAL"),
            Self::BigSerial => f.write_str("BIGSERIAL"),
        }
    }
}
