//! Dates, timestamps and intervals, as far as they add up.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::try_binary;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Int32Type, IntervalUnit};
use arrow::error::ArrowError;
use datafusion_expr::Operator;

use super::operators::binary_expr;
use super::{Planned, Planner};
use crate::arithmetic::Operation;
use crate::moment::{shift_date, shifted, timestamp, timestamptz};
use crate::native::call_arrays;
use crate::problem::HasSpan;
use crate::type_name::{Class, class, type_name};

impl Planner<'_> {
    /// A date and a number of days is a date, two dates are days apart; everything else is a
    /// timestamp, or an interval.
    pub(super) fn moment_arithmetic(
        &mut self,
        node: &dyn HasSpan,
        left: Planned,
        operation: Operation,
        right: Planned,
    ) -> Option<Planned> {
        let classes = (class(&left.data_type), class(&right.data_type));
        let is_date = |side: &Planned| side.data_type == DataType::Date32;
        let is_days = |side: &Planned| side.data_type.is_integer();
        match (operation, classes) {
            (Operation::Add, _) if is_date(&left) && is_days(&right) => {
                self.shifted_date(node, left, right, later)
            }
            (Operation::Add, _) if is_days(&left) && is_date(&right) => {
                self.shifted_date(node, right, left, later)
            }
            (Operation::Subtract, _) if is_date(&left) && is_days(&right) => {
                self.shifted_date(node, left, right, earlier)
            }
            (Operation::Subtract, _) if is_date(&left) && is_date(&right) => {
                Some(days::<Date32Type, Int32Type>(
                    "days",
                    left,
                    right,
                    DataType::Int32,
                    i32::checked_sub,
                ))
            }
            (Operation::Add, (Class::Interval, Class::Interval)) => {
                self.finish(node, binary_expr(left.expr, Operator::Plus, right.expr))
            }
            (Operation::Add, (Class::Moment, Class::Interval)) => {
                self.shifted(node, left, right, operation)
            }
            (Operation::Add, (Class::Interval, Class::Moment)) => {
                self.shifted(node, right, left, operation)
            }
            (Operation::Subtract, (Class::Interval, Class::Interval)) => {
                self.finish(node, binary_expr(left.expr, Operator::Minus, right.expr))
            }
            (Operation::Subtract, (Class::Moment, Class::Interval)) => {
                self.shifted(node, left, right, operation)
            }
            (Operation::Subtract, (Class::Moment, Class::Moment)) => {
                let zoned = [&left, &right]
                    .into_iter()
                    .any(|side| matches!(side.data_type, DataType::Timestamp(_, Some(_))));
                let common = if zoned { timestamptz() } else { timestamp() };
                let (left, right) =
                    (self.cast_to(node, left, &common)?, self.cast_to(node, right, &common)?);
                self.finish(node, binary_expr(left.expr, Operator::Minus, right.expr))
            }
            _ => {
                let (left, right) = (type_name(&left.data_type), type_name(&right.data_type));
                self.problem(
                    "sql.type.mismatch",
                    node,
                    format!("there is no {left} {} {right}", operation.sign()),
                )
            }
        }
    }

    /// A timestamp and an interval. A date counts from its midnight.
    fn shifted(
        &mut self,
        node: &dyn HasSpan,
        moment: Planned,
        interval: Planned,
        operation: Operation,
    ) -> Option<Planned> {
        let moment = if moment.data_type == DataType::Date32 {
            self.cast_to(node, moment, &timestamp())?
        } else {
            moment
        };
        let back = operation == Operation::Subtract;
        if interval.data_type != DataType::Interval(IntervalUnit::MonthDayNano) {
            let operator = if back { Operator::Minus } else { Operator::Plus };
            return self.finish(node, binary_expr(moment.expr, operator, interval.expr));
        }
        let (data_type, nullable) = (moment.data_type, moment.nullable || interval.nullable);
        let expr = call_arrays(
            "shifted",
            data_type.clone(),
            nullable,
            vec![moment.expr, interval.expr],
            move |arguments| {
                let [moments, intervals] = arguments else {
                    return Err("two values are needed".into());
                };
                shifted(moments, intervals, back)
            },
        );
        Some(Planned { expr, data_type, nullable })
    }

    fn shifted_date(
        &mut self,
        node: &dyn HasSpan,
        date: Planned,
        by: Planned,
        shift: fn(i32, i32) -> Option<i32>,
    ) -> Option<Planned> {
        let by = self.cast_to(node, by, &DataType::Int32)?;
        Some(days::<Int32Type, Date32Type>("date", date, by, DataType::Date32, shift))
    }
}

fn later(date: i32, days: i32) -> Option<i32> {
    shift_date(date, i64::from(days))
}

fn earlier(date: i32, days: i32) -> Option<i32> {
    shift_date(date, -i64::from(days))
}

/// Days since 1970 and a number of days or another date.
fn days<R, T>(
    name: &str,
    date: Planned,
    other: Planned,
    data_type: DataType,
    combine: fn(i32, i32) -> Option<i32>,
) -> Planned
where
    R: ArrowPrimitiveType<Native = i32>,
    T: ArrowPrimitiveType<Native = i32>,
{
    let nullable = date.nullable || other.nullable;
    let expr = call_arrays(
        name,
        data_type.clone(),
        nullable,
        vec![date.expr, other.expr],
        move |arguments| {
            let [date, other] = arguments else { return Err("two values are needed".into()) };
            let combine = |date: i32, other: i32| {
                combine(date, other)
                    .ok_or_else(|| ArrowError::ComputeError("date out of range".into()))
            };
            let result: Result<PrimitiveArray<T>, ArrowError> =
                try_binary(date.as_primitive::<Date32Type>(), other.as_primitive::<R>(), combine);
            Ok(Arc::new(result.map_err(|_| "date out of range")?) as ArrayRef)
        },
    );
    Planned { expr, data_type, nullable }
}
