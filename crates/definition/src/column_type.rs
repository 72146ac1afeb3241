//! PostgreSQL's types: the one vocabulary of types through the whole file.

pub(super) mod names;
mod postgres;
mod values;

pub use postgres::PostgresNames;
pub use values::{UNCONSTRAINED_SCALE, ValueKind, digits_of};

use arrow::datatypes::DataType;
use duto_sql::forms;

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
    /// Of a day, without a zone.
    Time,
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
    /// Every type, in the order in which messages list them; of NUMERIC and VARCHAR one stands for
    /// all. A type that is missing here cannot be written in a file.
    pub const ALL: [Self; 18] = [
        Self::Boolean,
        Self::SmallInt,
        Self::Integer,
        Self::BigInt,
        Self::Real,
        Self::DoublePrecision,
        Self::Numeric(None),
        Self::Text,
        Self::Varchar(1),
        Self::Date,
        Self::Time,
        Self::Timestamp,
        Self::Timestamptz,
        Self::Uuid,
        Self::Jsonb,
        Self::Bytea,
        Self::Serial,
        Self::BigSerial,
    ];

    /// What its values are: whoever reads, makes or writes values goes by this.
    pub fn values(self) -> ValueKind {
        match self {
            Self::Boolean => ValueKind::Boolean,
            Self::SmallInt => ValueKind::SmallInt,
            Self::Integer | Self::Serial => ValueKind::Integer,
            Self::BigInt | Self::BigSerial => ValueKind::BigInt,
            Self::Real => ValueKind::Real,
            Self::DoublePrecision => ValueKind::DoublePrecision,
            Self::Numeric(digits) => ValueKind::Numeric(digits),
            Self::Text => ValueKind::Text(None),
            Self::Varchar(characters) => ValueKind::Text(Some(characters)),
            Self::Date => ValueKind::Date,
            Self::Time => ValueKind::Formed(&forms::TIME),
            Self::Timestamp => ValueKind::Timestamp,
            Self::Timestamptz => ValueKind::Timestamptz,
            Self::Uuid => ValueKind::Formed(&forms::UUID),
            Self::Jsonb => ValueKind::Jsonb,
            Self::Bytea => ValueKind::Bytea,
        }
    }

    /// What PostgreSQL calls it.
    pub fn postgres(self) -> PostgresNames {
        let of = PostgresNames::of;
        match self {
            Self::Boolean => of("BOOLEAN", &["BOOL"], "boolean", "bool", 1000),
            Self::SmallInt => of("SMALLINT", &["INT2"], "smallint", "int2", 1005),
            Self::Integer => of("INTEGER", &["INT", "INT4"], "integer", "int4", 1007),
            Self::BigInt => of("BIGINT", &["INT8"], "bigint", "int8", 1016),
            Self::Real => of("REAL", &["FLOAT4"], "real", "float4", 1021),
            Self::DoublePrecision => {
                of("DOUBLE PRECISION", &["FLOAT8", "FLOAT"], "double precision", "float8", 1022)
            }
            Self::Numeric(_) => of("NUMERIC", &["DECIMAL", "DEC"], "numeric", "numeric", 1231),
            Self::Text => of("TEXT", &[], "text", "text", 1009),
            Self::Varchar(_) => {
                of("VARCHAR", &["CHARACTER VARYING"], "character varying", "varchar", 1015)
            }
            Self::Date => of("DATE", &[], "date", "date", 1182),
            Self::Time => of("TIME", &[], "time without time zone", "time", 1183),
            Self::Timestamp => {
                of("TIMESTAMP", &[], "timestamp without time zone", "timestamp", 1115)
            }
            Self::Timestamptz => {
                of("TIMESTAMPTZ", &[], "timestamp with time zone", "timestamptz", 1185)
            }
            Self::Uuid => of("UUID", &[], "uuid", "uuid", 2951),
            Self::Jsonb => of("JSONB", &[], "jsonb", "jsonb", 3807),
            Self::Bytea => of("BYTEA", &[], "bytea", "bytea", 1001),
            Self::Serial => of("SERIAL", &["SERIAL4"], "integer", "int4", 1007),
            Self::BigSerial => of("BIGSERIAL", &["SERIAL8"], "bigint", "int8", 1016),
        }
    }

    /// The Arrow type in which a value of this type travels.
    pub fn arrow(self) -> DataType {
        self.values().arrow()
    }

    pub fn is_number(self) -> bool {
        self.values().is_number()
    }

    /// Whether PostgreSQL fills the column from a sequence when it is left out.
    pub fn is_serial(self) -> bool {
        matches!(self, Self::Serial | Self::BigSerial)
    }

    /// Digits or length behind the name, as SQL writes them.
    fn arguments(self) -> String {
        match self {
            Self::Numeric(Some((precision, scale))) => format!("({precision},{scale})"),
            Self::Varchar(characters) => format!("({characters})"),
            _ => String::new(),
        }
    }

    /// The whole type as PostgreSQL's `format_type` writes it: `numeric(10,2)`.
    pub fn catalogue_name(self) -> String {
        self.postgres().catalogue.to_owned() + &self.arguments()
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.postgres().name, self.arguments())
    }
}
