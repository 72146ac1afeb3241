//! `sum(x)`, the sum of what is not NULL, exact whatever the number of rows.

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, i256};
use arrow::error::ArrowError;
use duto_sql::Recomputed;

use super::Advice;
use super::counter::{Counter, Measured};
use super::kind::Kind;
use super::passing::Passing;

/// Where a sum is cut in two, so that neither half of a value of 76 digits overflows 256 bits,
/// however many are added.
const LOW_DIGITS: usize = 38;

pub fn refused(value: Kind) -> Option<Advice> {
    match value {
        Kind::Exact => None,
        Kind::Float => Some((
            "the sum of a REAL or DOUBLE PRECISION depends on the order of its rows",
            "write `sum(CAST(... AS NUMERIC(20,6)))`, with the places that you want",
        )),
        Kind::Boolean => Some((
            "only numbers can be summed",
            "count the rows for which it is TRUE: `count(*) FILTER (WHERE ...)`",
        )),
        Kind::Text | Kind::Moment | Kind::Other => {
            Some(("only numbers can be summed", "count(*) counts rows"))
        }
    }
}

pub fn counter(value: &Recomputed, measured: &Measured<'_>) -> Counter {
    let name = measured.name.clone();
    Counter {
        sql_type: sum_type(value),
        constraint: "",
        merged: format!("coalesce(r.{name} + excluded.{name}, r.{name}, excluded.{name})"),
        from_base: format!("({})::{}", over_base(value, measured), sum_type(value)),
        name,
    }
}

pub fn over_counters(value: &Recomputed, measured: &Measured<'_>) -> String {
    format!("sum({})::{}", measured.name, sum_type(value))
}

pub fn over_base(value: &Recomputed, measured: &Measured<'_>) -> String {
    format!("sum({}){}", value.sql, measured.passing(None))
}

/// PostgreSQL sums small integers as BIGINT and everything else exact as NUMERIC.
fn sum_type(value: &Recomputed) -> &'static str {
    match value.sql_type {
        "smallint" | "integer" => "bigint",
        _ => "numeric",
    }
}

/// Each group's sum, as a decimal text; None where a group has no value.
pub fn figures(values: &ArrayRef, rows: &Passing<'_>) -> Result<Vec<Option<String>>, ArrowError> {
    let scale = match values.data_type() {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
        integer if integer.is_integer() => 0,
        other => return Err(ArrowError::InvalidArgumentError(format!("{other} has no sum"))),
    };
    let digits = match values.data_type() {
        DataType::Decimal256(..) => wide(values.as_primitive::<Decimal256Type>(), rows),
        // Every integer fits.
        _ => narrow(
            cast(values, &DataType::Decimal128(38, scale))?.as_primitive::<Decimal128Type>(),
            rows,
        ),
    };
    Ok(digits.into_iter().map(|digits| digits.map(|digits| with_point(&digits, scale))).collect())
}

/// No batch of 128-bit values overflows 256 bits.
fn narrow(values: &Decimal128Array, rows: &Passing<'_>) -> Vec<Option<String>> {
    let mut sums: Vec<Option<i256>> = vec![None; rows.number_of_groups()];
    for (row, group) in rows.iter() {
        if values.is_valid(row.place()) {
            let value = i256::from_i128(values.value(row.place()));
            sums[group] = Some(sums[group].unwrap_or(i256::ZERO).wrapping_add(value));
        }
    }
    sums.into_iter().map(|sum| sum.map(|sum| sum.to_string())).collect()
}

fn wide(values: &Decimal256Array, rows: &Passing<'_>) -> Vec<Option<String>> {
    let mut sums: Vec<Option<Sum>> = vec![None; rows.number_of_groups()];
    for (row, group) in rows.iter() {
        if values.is_valid(row.place()) {
            sums[group].get_or_insert_default().add(values.value(row.place()));
        }
    }
    sums.into_iter().map(|sum| sum.map(Sum::digits)).collect()
}

/// A sum of which `high` counts ten to the power of [`LOW_DIGITS`].
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    high: i256,
    low: i256,
}

impl Sum {
    fn add(&mut self, value: i256) {
        let unit = unit();
        self.high = self.high.wrapping_add(value.wrapping_div(unit));
        self.low = self.low.wrapping_add(value.wrapping_rem(unit));
    }

    /// Its digits, with a sign where it is below zero.
    fn digits(self) -> String {
        let unit = unit();
        let (mut high, mut low) =
            (self.high.wrapping_add(self.low.wrapping_div(unit)), self.low.wrapping_rem(unit));
        // Both of one sign.
        if high < i256::ZERO && low > i256::ZERO {
            (high, low) = (high.wrapping_add(i256::ONE), low.wrapping_sub(unit));
        } else if high > i256::ZERO && low < i256::ZERO {
            (high, low) = (high.wrapping_sub(i256::ONE), low.wrapping_add(unit));
        }
        let sign = if high < i256::ZERO || low < i256::ZERO { "-" } else { "" };
        let low = low.wrapping_abs().to_string();
        if high == i256::ZERO {
            format!("{sign}{low}")
        } else {
            format!("{sign}{}{low:0>LOW_DIGITS$}", high.wrapping_abs())
        }
    }
}

fn unit() -> i256 {
    i256::from_i128(10i128.pow(LOW_DIGITS as u32))
}

/// The digits of an integer with a decimal point so many digits from the right.
fn with_point(digits: &str, scale: i8) -> String {
    let scale = usize::from(scale.unsigned_abs());
    if scale == 0 {
        return digits.to_owned();
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Float64Array;

    use super::*;
    use crate::rollup::group::Groups;
    use duto_ground::index::RowIndex;

    fn one_group(values: &ArrayRef) -> Result<Vec<Option<String>>, ArrowError> {
        let rows: Vec<RowIndex> = RowIndex::first(values.len()).collect();
        let groups = Groups { of_row: vec![0; rows.len()], first: vec![RowIndex::new(0)] };
        figures(values, &Passing { filter: None, rows: &rows, groups: &groups })
    }

    fn sum(values: &[&str], scale: i8) -> Option<String> {
        let values: Vec<Option<i256>> =
            values.iter().map(|value| i256::from_string(value)).collect();
        let array = Decimal256Array::from(values.clone())
            .with_precision_and_scale(76, scale)
            .expect("decimals");
        one_group(&(Arc::new(array) as ArrayRef)).expect("a sum").remove(0)
    }

    #[test]
    fn a_point_stands_where_the_scale_says() {
        for (digits, scale, expected) in [
            ("12345", 2, "123.45"),
            ("-5", 2, "-0.05"),
            ("0", 2, "0.00"),
            ("7", 0, "7"),
            ("100", 2, "1.00"),
        ] {
            assert_eq!(with_point(digits, scale), expected);
        }
    }

    #[test]
    fn no_digit_of_a_wide_decimal_is_lost() {
        let nines = "9".repeat(76);
        assert_eq!(
            sum(&[nines.as_str(); 10], 0).as_deref(),
            Some(format!("{}0", "9".repeat(76)).as_str())
        );
        assert_eq!(
            sum(&[format!("-{nines}").as_str(); 10], 20).as_deref(),
            Some(format!("-{}.{}0", "9".repeat(57), "9".repeat(19)).as_str())
        );
        let unit = "1".to_owned() + &"0".repeat(38);
        assert_eq!(sum(&[&unit, "-1"], 0).as_deref(), Some("9".repeat(38).as_str()));
        assert_eq!(
            sum(&["-1", &format!("-{unit}"), "2"], 2).as_deref(),
            Some(format!("-{}.99", "9".repeat(36)).as_str())
        );
        assert_eq!(
            sum(&["25000000000000000000"; 4], 20).as_deref(),
            Some("1.00000000000000000000")
        );
        assert_eq!(sum(&[], 2), None);
    }

    #[test]
    fn what_is_no_exact_number_has_no_sum() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        assert!(one_group(&floats).is_err());
    }
}
