//! CAST, and AT TIME ZONE.

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use sqlparser::ast::{self, CharacterLength, DataType as Written, ExactNumberInfo, TimezoneInfo};

use super::literals::constant;
use super::{Planned, Planner};
use crate::cast::{cast, castable, conversion_help};
use crate::forms::{self, Form};
use crate::moment::{Zone, ZoneFault, timestamp, timestamptz};
use crate::native::call_arrays;
use crate::problem::HasSpan;
use crate::type_name::{Class, class, type_name};

/// The digits of a NUMERIC without precision, as records carry it.
const NUMERIC: DataType = DataType::Decimal128(38, 18);
/// What a cast may lead to, beside the types that travel as texts.
const TARGETS: &str = "BOOLEAN, SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, NUMERIC, TEXT, \
    VARCHAR, DATE, TIMESTAMP, TIMESTAMPTZ";

impl Planner<'_> {
    pub(super) fn cast(
        &mut self,
        node: &ast::Expr,
        operand: &ast::Expr,
        to: &Written,
    ) -> Option<Planned> {
        let planned = self.plan(operand)?;
        self.cast_planned(node, planned, to)
    }

    pub(super) fn cast_planned(
        &mut self,
        node: &dyn HasSpan,
        planned: Planned,
        to: &Written,
    ) -> Option<Planned> {
        let Some(target) = target(to) else {
            let problem = self.text.problem(
                "sql.type.unknown",
                node,
                format!("there is no cast to {to} here"),
            );
            let others = forms::names().join(" and ");
            return self.refuse(problem.help(format!("{TARGETS}, {others} are known")));
        };
        match target {
            Target::Numeric if planned.data_type.is_decimal() => Some(planned),
            Target::Numeric => self.cast_to(node, planned, &NUMERIC),
            Target::Type(data_type) => self.cast_to(node, planned, &data_type),
            Target::Varchar(characters) => {
                let text = self.cast_to(node, planned, &DataType::Utf8)?;
                Some(shaped(text, move |text| Ok(cut(text, characters))))
            }
            Target::Formed(form) => {
                if !matches!(class(&planned.data_type), Class::Text | Class::Null) {
                    let message = format!(
                        "{} cannot be cast to {}",
                        type_name(&planned.data_type),
                        form.name
                    );
                    return self.problem("sql.type.mismatch", node, message);
                }
                let text = self.cast_to(node, planned, &DataType::Utf8)?;
                Some(shaped(text, |text| {
                    form.normal(text).ok_or_else(|| format!("{text:?} is not {}", form.wanted))
                }))
            }
        }
    }

    /// The expression in another type. A literal is cast here and now, so that a wrong one is a
    /// problem of the file.
    pub(crate) fn cast_to(
        &mut self,
        node: &dyn HasSpan,
        planned: Planned,
        to: &DataType,
    ) -> Option<Planned> {
        if &planned.data_type == to {
            return Some(planned);
        }
        if !castable(&planned.data_type, to) {
            let message =
                format!("{} cannot be cast to {}", type_name(&planned.data_type), type_name(to));
            let problem = self.text.problem("sql.type.mismatch", node, message);
            return self.refuse(problem.maybe_help(conversion_help("...", &planned.data_type, to)));
        }
        if let Expr::Literal(scalar, _) = &planned.expr {
            let cast = scalar
                .to_array()
                .map_err(|error| error.to_string())
                .and_then(|array| cast(&array, to));
            return match cast.and_then(|array| {
                ScalarValue::try_from_array(&array, 0).map_err(|error| error.to_string())
            }) {
                Ok(scalar) => Some(constant(scalar)),
                Err(message) => self.problem("sql.literal.invalid", node, message),
            };
        }
        let target = to.clone();
        let expr = call_arrays(
            "cast",
            to.clone(),
            planned.nullable,
            vec![planned.expr],
            move |arguments| cast(arguments.first().ok_or("no value")?, &target),
        );
        Some(Planned { expr, data_type: to.clone(), nullable: planned.nullable })
    }

    /// A TIMESTAMPTZ as that zone's wall clock, a TIMESTAMP as that zone's moment; a DATE counts
    /// from its midnight in UTC.
    pub(super) fn at_time_zone(
        &mut self,
        node: &ast::Expr,
        moment: &ast::Expr,
        zone: &ast::Expr,
    ) -> Option<Planned> {
        let (moment, zone) = (self.plan(moment), self.zone(zone));
        let (moment, (_, zone)) = (moment?, zone?);
        if class(&moment.data_type) != Class::Moment {
            return self.problem(
                "sql.type.mismatch",
                node,
                format!("{} has no time zone", type_name(&moment.data_type)),
            );
        }
        let moment = if moment.data_type == DataType::Date32 {
            self.cast_to(node, moment, &timestamptz())?
        } else {
            moment
        };
        let has_zone = matches!(moment.data_type, DataType::Timestamp(_, Some(_)));
        let to = if has_zone { timestamp() } else { timestamptz() };
        let answer = to.clone();
        let expr = call_arrays(
            "at_time_zone",
            to.clone(),
            moment.nullable,
            vec![moment.expr],
            move |arguments| {
                let moments = cast(arguments.first().ok_or("no value")?, &timestamp())?;
                cast(
                    &if has_zone {
                        zone.wall_clocks(&moments)?
                    } else {
                        zone.moments_of(&moments)?
                    },
                    &answer,
                )
            },
        );
        Some(Planned { expr, data_type: to, nullable: moment.nullable })
    }

    /// A zone by its name, which must stand in the file.
    pub(super) fn zone(&mut self, node: &ast::Expr) -> Option<(String, Zone)> {
        let planned = self.plan(node)?;
        let name = planned.literal_text().unwrap_or_default().to_owned();
        match Zone::named(&name) {
            Ok(zone) => Some((name, zone)),
            Err(ZoneFault::Offset) if !name.is_empty() => {
                let message = "an offset is no time zone here: PostgreSQL reads '-03:00' as three \
                    hours to the east of Greenwich";
                let problem = self.text.problem("sql.literal.invalid", node, message);
                self.refuse(problem.help(
                    "write a zone's name, such as 'America/Sao_Paulo'; 'Etc/GMT+3' is always three \
                        hours to the west, 'Etc/GMT-3' to the east",
                ))
            }
            Err(ZoneFault::Offset | ZoneFault::Unknown) => {
                let problem = self.text.problem(
                    "sql.literal.invalid",
                    node,
                    "this is no time zone by its full name",
                );
                self.refuse(problem.help(
                    "write one of the IANA names as a text, such as \
                    'America/Sao_Paulo', 'Europe/Berlin' or 'UTC'",
                ))
            }
        }
    }
}

enum Target {
    Type(DataType),
    /// Without precision: a decimal keeps the digits that it has.
    Numeric,
    /// An explicit cast cuts, as in PostgreSQL.
    Varchar(u64),
    /// Of a text only.
    Formed(&'static Form),
}

fn target(written: &Written) -> Option<Target> {
    let with_zone =
        |zone: &TimezoneInfo| matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone);
    Some(match written {
        Written::Boolean | Written::Bool => Target::Type(DataType::Boolean),
        Written::SmallInt(None) | Written::Int2(None) => Target::Type(DataType::Int16),
        Written::Int(None) | Written::Integer(None) | Written::Int4(None) => {
            Target::Type(DataType::Int32)
        }
        Written::BigInt(None) | Written::Int8(None) => Target::Type(DataType::Int64),
        Written::Real | Written::Float4 => Target::Type(DataType::Float32),
        Written::DoublePrecision | Written::Double(_) | Written::Float8 | Written::Float(_) => {
            Target::Type(DataType::Float64)
        }
        Written::Numeric(info) | Written::Decimal(info) | Written::Dec(info) => match info {
            ExactNumberInfo::None => Target::Numeric,
            ExactNumberInfo::Precision(precision) => Target::Type(decimal(*precision, 0)?),
            ExactNumberInfo::PrecisionAndScale(precision, scale) => {
                Target::Type(decimal(*precision, *scale)?)
            }
        },
        Written::Text | Written::String(None) => Target::Type(DataType::Utf8),
        Written::Varchar(length)
        | Written::CharacterVarying(length)
        | Written::CharVarying(length) => match length {
            None | Some(CharacterLength::Max) => Target::Type(DataType::Utf8),
            Some(CharacterLength::IntegerLength { length, .. }) => Target::Varchar(*length),
        },
        Written::Date => Target::Type(DataType::Date32),
        Written::Timestamp(None, zone) => {
            Target::Type(if with_zone(zone) { timestamptz() } else { timestamp() })
        }
        other => Target::Formed(forms::named(&other.to_string())?),
    })
}

fn decimal(precision: u64, scale: i64) -> Option<DataType> {
    let scale =
        i8::try_from(scale).ok().filter(|scale| *scale >= 0 && *scale as u64 <= precision)?;
    match precision {
        1..=38 => Some(DataType::Decimal128(precision as u8, scale)),
        39..=76 => Some(DataType::Decimal256(precision as u8, scale)),
        _ => None,
    }
}

/// A text made into another.
pub(super) fn shaped(
    text: Planned,
    shape: impl Fn(&str) -> Result<String, String> + Send + Sync + 'static,
) -> Planned {
    let expr =
        call_arrays("cast", DataType::Utf8, text.nullable, vec![text.expr], move |arguments| {
            let texts = arguments
                .first()
                .and_then(|texts| texts.as_string_opt::<i32>())
                .ok_or("not a text")?;
            let shaped: Result<StringArray, String> =
                texts.iter().map(|text| text.map(&shape).transpose()).collect();
            Ok(std::sync::Arc::new(shaped?) as ArrayRef)
        });
    Planned { expr, data_type: DataType::Utf8, nullable: text.nullable }
}

fn cut(text: &str, characters: u64) -> String {
    text.chars().take(usize::try_from(characters).unwrap_or(usize::MAX)).collect()
}
