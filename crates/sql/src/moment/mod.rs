//! Dates and timestamps, from the year 1 to 9999 and what arithmetic makes of them beyond, as
//! PostgreSQL has them. All clocks are UTC, all timestamps microseconds.

mod part; // EXTRACT
mod print; // into texts
mod read; // from texts
mod shift; // and intervals
mod truncate; // date_trunc, date_bin
mod zone; // AT TIME ZONE

use arrow::datatypes::{DataType, TimeUnit};

pub(crate) use part::{PARTS, Part, duration_seconds};
pub(crate) use print::{format_date, format_iso, format_timestamp, printed_fraction};
pub(crate) use read::{fraction_micros, parse_date, parse_timestamp, two_digits};
pub(crate) use shift::{as_date, as_moment, in_range, shift_date, shifted};
pub(crate) use truncate::{Unit, bin, truncate};
pub(crate) use zone::{Zone, ZoneFault};

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// TIMESTAMPTZ.
pub(crate) fn timestamptz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// TIMESTAMP.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}
