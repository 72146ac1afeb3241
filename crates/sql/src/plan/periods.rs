//! date_trunc and date_bin: what a moment belongs to.

use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use sqlparser::ast;

use super::literals::constant;
use super::{Planned, Planner};
use crate::moment::{Unit, bin, timestamp, timestamptz, truncate};
use crate::native::call_arrays;
use crate::problem::did_you_mean;
use crate::type_name::{Class, class, type_name};

impl Planner<'_> {
    /// `date_trunc('hour', moment)`, with a zone where the moment has one.
    pub(super) fn truncated(
        &mut self,
        node: &ast::Expr,
        nodes: &[&ast::Expr],
        planned: Vec<Planned>,
    ) -> Option<Planned> {
        let mut planned = planned.into_iter();
        let (unit_name, moment) = (planned.next()?, planned.next()?);
        let unit = self.unit(nodes.first()?, &unit_name)?;
        let moment = self.moment(node, "date_trunc", moment)?;
        let zone = match nodes.get(2) {
            None => None,
            Some(_) if !matches!(moment.data_type, DataType::Timestamp(_, Some(_))) => {
                return self.problem(
                    "sql.function.arguments",
                    node,
                    "date_trunc takes a zone only with a TIMESTAMPTZ",
                );
            }
            Some(zone) => Some(self.zone(zone)?.1),
        };
        let (data_type, nullable) = (moment.data_type, moment.nullable);
        let expr = call_arrays(
            "date_trunc",
            data_type.clone(),
            nullable,
            vec![moment.expr],
            move |arguments| truncate(arguments.first().ok_or("no value")?, unit, zone),
        );
        Some(Planned { expr, data_type, nullable })
    }

    /// The unit of a date_trunc, which must stand in the file.
    pub(super) fn unit(&mut self, node: &ast::Expr, planned: &Planned) -> Option<Unit> {
        let name = planned.literal_text().unwrap_or_default().to_owned();
        let unit = Unit::of_name(&name);
        if unit.is_none() {
            let problem = self.text.problem(
                "sql.function.arguments",
                node,
                format!("date_trunc has no unit {name:?}"),
            );
            let names = Unit::NAMES.iter().map(|(name, _)| *name);
            let all = format!("the units are {}", names.clone().collect::<Vec<_>>().join(", "));
            return self.refuse(problem.help(did_you_mean(&name, names).unwrap_or(all)));
        }
        unit
    }

    /// `date_bin(INTERVAL '15 minutes', moment, origin)`; without an origin the bins count from
    /// 1970.
    pub(super) fn binned(&mut self, node: &ast::Expr, planned: Vec<Planned>) -> Option<Planned> {
        let mut planned = planned.into_iter();
        let (stride, moment, origin) = (planned.next()?, planned.next()?, planned.next());
        let stride = self.stride_micros(node, &stride)?;
        let moment = self.moment(node, "date_bin", moment)?;
        let epoch = constant(ScalarValue::TimestampMicrosecond(Some(0), None));
        let origin = self.cast_to(node, origin.unwrap_or(epoch), &moment.data_type)?;
        let (data_type, nullable) = (moment.data_type, moment.nullable || origin.nullable);
        let expr = call_arrays(
            "date_bin",
            data_type.clone(),
            nullable,
            vec![moment.expr, origin.expr],
            move |arguments| {
                let [moments, origins] = arguments else {
                    return Err("two values are needed".into());
                };
                bin(moments, stride, origins)
            },
        );
        Some(Planned { expr, data_type, nullable })
    }

    /// The microseconds of a date_bin's stride, which must stand in the file.
    pub(super) fn stride_micros(&mut self, node: &ast::Expr, stride: &Planned) -> Option<i64> {
        let interval = match &stride.expr {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(interval), _) => *interval,
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => {
                parse_interval_month_day_nano(text).ok()
            }
            _ => None,
        };
        let micros = interval
            .filter(|interval| interval.months == 0)
            .and_then(fixed_micros)
            .filter(|micros| *micros > 0);
        if micros.is_none() {
            let problem = self.text.problem(
                "sql.function.arguments",
                node,
                "date_bin takes a stride of one length above zero",
            );
            return self.refuse(problem.help(
                "for example INTERVAL '15 minutes'; months and years \
                have no one length: see date_trunc",
            ));
        }
        micros
    }

    /// A timestamp; a date counts from its midnight in UTC, as in PostgreSQL.
    pub(super) fn moment(
        &mut self,
        node: &ast::Expr,
        name: &str,
        moment: Planned,
    ) -> Option<Planned> {
        match class(&moment.data_type) {
            Class::Moment if moment.data_type == DataType::Date32 => {
                self.cast_to(node, moment, &timestamptz())
            }
            Class::Moment => Some(moment),
            Class::Null => self.cast_to(node, moment, &timestamp()),
            Class::Text if moment.literal_text().is_some() => {
                self.cast_to(node, moment, &timestamptz())
            }
            _ => self.problem(
                "sql.function.arguments",
                node,
                format!("{name} does not take {}", type_name(&moment.data_type)),
            ),
        }
    }
}

fn fixed_micros(interval: IntervalMonthDayNano) -> Option<i64> {
    i64::from(interval.days).checked_mul(86_400_000_000)?.checked_add(interval.nanoseconds / 1000)
}
