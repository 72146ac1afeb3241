//! Functions of ours that stand for one of DataFusion's, whose answer is another.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int32Array, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use chrono::NaiveDate;
use datafusion_expr::Expr;
use sqlparser::ast;

use super::{Planned, Planner};
use crate::moment::shift_date;
use crate::native::call_arrays;

impl Planner<'_> {
    /// The 32 bits of an INTEGER; a BIGINT has 64.
    pub(super) fn hexadecimal(number: Planned) -> Planned {
        let nullable = number.nullable;
        let kernel = |arguments: &[ArrayRef]| {
            let numbers = arguments.first().ok_or("no value")?.as_primitive::<Int32Type>();
            let digits = numbers.iter().map(|number| number.map(|number| format!("{number:x}")));
            Ok(Arc::new(digits.collect::<StringArray>()) as ArrayRef)
        };
        let expr = call_arrays("to_hex", DataType::Utf8, nullable, vec![number.expr], kernel);
        Planned { expr, data_type: DataType::Utf8, nullable }
    }

    /// The year before the year 1 is -1; there is no year 0.
    pub(super) fn made_date(&mut self, node: &ast::Expr, planned: Vec<Planned>) -> Option<Planned> {
        let mut parts = Vec::with_capacity(planned.len());
        for part in planned {
            parts.push(self.cast_to(node, part, &DataType::Int32)?);
        }
        let nullable = parts.iter().any(|part| part.nullable);
        let parts = parts.into_iter().map(|part| part.expr).collect();
        let kernel = |parts: &[ArrayRef]| {
            let [years, months, days] = parts else { return Err("three values are needed".into()) };
            let (years, months, days) = (
                years.as_primitive::<Int32Type>(),
                months.as_primitive::<Int32Type>(),
                days.as_primitive::<Int32Type>(),
            );
            let dates = years.iter().zip(months).zip(days).map(|((year, month), day)| {
                let (Some(year), Some(month), Some(day)) = (year, month, day) else {
                    return Ok(None);
                };
                date_of(year, month, day)
                    .map(Some)
                    .ok_or_else(|| format!("{year}-{month}-{day} is no date"))
            });
            let dates: Result<Date32Array, String> = dates.collect();
            Ok(Arc::new(dates?) as ArrayRef)
        };
        let expr = call_arrays("make_date", DataType::Date32, nullable, parts, kernel);
        Some(Planned { expr, data_type: DataType::Date32, nullable })
    }

    /// No text holds the character 0.
    pub(super) fn character(code: Planned) -> Planned {
        let nullable = code.nullable;
        let kernel = |arguments: &[ArrayRef]| {
            let codes = arguments.first().ok_or("no value")?.as_primitive::<Int32Type>();
            let character = |code: i32| {
                let character =
                    u32::try_from(code).ok().filter(|code| *code > 0).and_then(char::from_u32);
                character.map(String::from).ok_or_else(|| format!("{code} is no character"))
            };
            let characters: Result<StringArray, String> =
                codes.iter().map(|code| code.map(character).transpose()).collect();
            Ok(Arc::new(characters?) as ArrayRef)
        };
        let expr = call_arrays("chr", DataType::Utf8, nullable, vec![code.expr], kernel);
        Planned { expr, data_type: DataType::Utf8, nullable }
    }

    pub(super) fn length_of_bytes(bytes: Planned) -> Planned {
        let nullable = bytes.nullable;
        let kernel = |arguments: &[ArrayRef]| {
            let bytes = arguments.first().ok_or("no value")?;
            let bytes = bytes.as_binary_opt::<i32>().ok_or("not a BYTEA")?;
            let lengths = bytes.iter().map(|bytes| bytes.map(|bytes| bytes.len() as i32));
            Ok(Arc::new(lengths.collect::<Int32Array>()) as ArrayRef)
        };
        let expr = call_arrays("length", DataType::Int32, nullable, vec![bytes.expr], kernel);
        Planned { expr, data_type: DataType::Int32, nullable }
    }
}

/// Whether a list holds a value: unknown where it holds NULL and not the value.
pub(super) fn unknown_beside_null(list: Expr, found: Expr) -> Planned {
    let kernel = |arguments: &[ArrayRef]| {
        let [lists, found] = arguments else { return Err("two values are needed".into()) };
        let lists = lists.as_list_opt::<i32>().ok_or("not a list")?;
        let found = found.as_boolean();
        let known = (0..found.len()).map(|row| {
            let elements = lists.is_valid(row).then(|| lists.value(row))?;
            if elements.is_empty() {
                return Some(false);
            }
            let holds = found.is_valid(row).then(|| found.value(row))?;
            (holds || elements.logical_null_count() == 0).then_some(holds)
        });
        Ok(Arc::new(known.collect::<BooleanArray>()) as ArrayRef)
    };
    let expr = call_arrays("array_contains", DataType::Boolean, true, vec![list, found], kernel);
    Planned { expr, data_type: DataType::Boolean, nullable: true }
}

fn date_of(year: i32, month: i32, day: i32) -> Option<i32> {
    let year = if year < 0 { year.checked_add(1)? } else { Some(year).filter(|year| *year > 0)? };
    let (month, day) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    shift_date(0, i64::from(NaiveDate::from_ymd_opt(year, month, day)?.to_epoch_days()))
}
