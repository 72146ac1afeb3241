//! What the values of a type are, from the byte to the column.

use arrow::datatypes::{DataType, TimeUnit};
use duto_sql::forms::Form;

/// The digits of a NUMERIC without precision, as it is held between bytes and table: 20 before the
/// point, 18 after.
pub const UNCONSTRAINED_PRECISION: u8 = 38;
/// See [`UNCONSTRAINED_PRECISION`].
pub const UNCONSTRAINED_SCALE: i8 = 18;

/// The values of a type. Types that differ by name or by what feeds them have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Real,
    DoublePrecision,
    /// With precision and scale, where they are declared.
    Numeric(Option<(u8, i8)>),
    /// With the most characters, where they are declared.
    Text(Option<u32>),
    /// Days since 1970.
    Date,
    /// Microseconds since 1970, of whichever zone.
    Timestamp,
    /// Microseconds since 1970 UTC.
    Timestamptz,
    /// A document as its JSON text.
    Jsonb,
    Bytea,
    /// A text of one form.
    Formed(&'static Form),
}

impl ValueKind {
    pub fn is_number(self) -> bool {
        match self {
            Self::SmallInt | Self::Integer | Self::BigInt => true,
            Self::Real | Self::DoublePrecision | Self::Numeric(_) => true,
            Self::Boolean | Self::Text(_) | Self::Date | Self::Timestamp | Self::Timestamptz => {
                false
            }
            Self::Jsonb | Self::Bytea | Self::Formed(_) => false,
        }
    }

    /// The Arrow type in which such a value travels.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::SmallInt => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::DoublePrecision => DataType::Float64,
            Self::Numeric(digits) => {
                let (precision, scale) = digits_of(digits);
                DataType::Decimal128(precision, scale)
            }
            Self::Text(_) | Self::Formed(_) => DataType::Utf8,
            // Told apart from a text, so that it stands in a document as what it is.
            Self::Jsonb => DataType::LargeUtf8,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Bytea => DataType::Binary,
        }
    }
}

/// Precision and scale with which a NUMERIC is held.
pub fn digits_of(declared: Option<(u8, i8)>) -> (u8, i8) {
    declared.unwrap_or((UNCONSTRAINED_PRECISION, UNCONSTRAINED_SCALE))
}
