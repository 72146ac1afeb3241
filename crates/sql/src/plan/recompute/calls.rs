//! Functions.

use arrow::datatypes::DataType;
use sqlparser::ast::{self, BinaryOperator, CeilFloorKind, FunctionArguments, TrimWhereField};

use super::super::lambda::plain_argument;
use super::super::{Planned, Planner};
use super::constants::text_constant;
use super::postgres_type;
use crate::moment::{Part, timestamp, timestamptz};
use crate::type_name::{Class, class};

impl Planner<'_> {
    /// A call, whatever its syntax is.
    pub(super) fn call_sql(&mut self, node: &ast::Expr, planned: &Planned) -> Option<String> {
        use ast::Expr as Node;
        match node {
            Node::Function(function) => {
                let list = match &function.args {
                    FunctionArguments::List(list) => &list.args[..],
                    _ => return self.unproven(node),
                };
                let arguments: Option<Vec<_>> = list.iter().map(plain_argument).collect();
                let Some(arguments) = arguments else { return self.unproven(node) };
                self.named_call_sql(
                    node,
                    &function.name.to_string().to_lowercase(),
                    &arguments,
                    planned,
                )
            }
            Node::Ceil { expr, field: CeilFloorKind::DateTimeField(_) } => {
                self.named_call_sql(node, "ceil", &[&**expr], planned)
            }
            Node::Floor { expr, field: CeilFloorKind::DateTimeField(_) } => {
                self.named_call_sql(node, "floor", &[&**expr], planned)
            }
            Node::Extract { field, expr, .. } => self.part_sql(node, &field.to_string(), expr),
            Node::Position { expr, r#in } => {
                self.named_call_sql(node, "strpos", &[&**r#in, &**expr], planned)
            }
            Node::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                let arguments: Vec<&ast::Expr> =
                    [&**expr, &**from].into_iter().chain(substring_for.as_deref()).collect();
                self.named_call_sql(node, "substr", &arguments, planned)
            }
            Node::Trim { trim_where, trim_what: None, expr, .. } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "btrim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                self.named_call_sql(node, name, &[&**expr], planned)
            }
            _ => self.unproven(node),
        }
    }

    fn named_call_sql(
        &mut self,
        node: &ast::Expr,
        name: &str,
        arguments: &[&ast::Expr],
        planned: &Planned,
    ) -> Option<String> {
        match (name, arguments) {
            ("coalesce", _) => {
                let (operands, _) = self.unified_sql(node, arguments, "mixed")?;
                Some(format!("coalesce({})", operands.join(", ")))
            }
            ("greatest" | "least" | "nullif", _) => self.compared_call_sql(node, name, arguments),
            ("abs", [number]) => {
                Some(format!("abs({})", self.operand(number, &planned.data_type)?))
            }
            ("mod", [left, right]) => {
                self.arithmetic_sql(node, left, &BinaryOperator::Modulo, right, planned)
            }
            ("round" | "trunc" | "ceil" | "ceiling" | "floor", [number, places @ ..]) => {
                self.rounding_sql(node, name, number, places, planned)
            }
            ("length" | "char_length" | "character_length", [text]) => {
                Some(format!("length({})", self.plain_text_sql(text)?))
            }
            ("btrim" | "ltrim" | "rtrim" | "trim", [text]) => {
                let name = if name == "trim" { "btrim" } else { name };
                Some(format!("{name}({})", self.plain_text_sql(text)?))
            }
            ("left" | "right" | "substr" | "substring", [text, places @ ..])
                if !places.is_empty() =>
            {
                let places: Option<Vec<String>> =
                    places.iter().map(|place| self.place_sql(place)).collect();
                let name = if name == "substring" { "substr" } else { name };
                Some(format!("{name}({}, {})", self.plain_text_sql(text)?, places?.join(", ")))
            }
            ("split_part", [text, delimiter, place]) => {
                let (text, delimiter) =
                    (self.plain_text_sql(text)?, self.plain_text_sql(delimiter)?);
                Some(format!("split_part({text}, {delimiter}, {})", self.place_sql(place)?))
            }
            ("replace" | "starts_with" | "strpos" | "position", [..]) => {
                let name = if name == "position" { "strpos" } else { name };
                let texts: Option<Vec<String>> =
                    arguments.iter().map(|text| self.plain_text_sql(text)).collect();
                Some(format!("{name}({})", texts?.join(", ")))
            }
            ("concat", [_, ..]) => {
                let texts: Option<Vec<String>> =
                    arguments.iter().map(|value| self.shown_sql(value)).collect();
                Some(format!("concat({})", texts?.join(", ")))
            }
            ("date_part", [part, moment]) => {
                let part = self.plan(part)?.literal_text().unwrap_or_default().to_owned();
                self.part_sql(node, &part, moment)
            }
            ("date_trunc", [unit, moment, zone @ ..]) => {
                let unit_name = self.plan(unit)?;
                let unit = self.unit(unit, &unit_name)?;
                let moment = self.operand(moment, &planned.data_type)?;
                let zone = match zone.first() {
                    Some(zone) => format!(", {}", text_constant(&self.zone(zone)?.0)),
                    None => String::new(),
                };
                Some(format!("date_trunc('{}', {moment}{zone})", unit.name()))
            }
            ("date_bin", [stride, moment, origin @ ..]) => {
                let stride_planned = self.plan(stride)?;
                let stride = self.stride_micros(node, &stride_planned)?;
                let moment = self.operand(moment, &planned.data_type)?;
                let origin = match origin.first() {
                    Some(origin) => self.operand(origin, &planned.data_type)?,
                    None => format!("'1970-01-01'::{}", postgres_type(&planned.data_type)?),
                };
                Some(format!("date_bin('{stride} microseconds'::interval, {moment}, {origin})"))
            }
            ("lower" | "upper" | "initcap", [_]) => self.unproven_with(
                node,
                format!(
                    "what a letter's other case is depends on the database's locale: {}",
                    super::ADVICE
                ),
            ),
            _ => self.unproven(node),
        }
    }

    fn compared_call_sql(
        &mut self,
        node: &ast::Expr,
        name: &str,
        arguments: &[&ast::Expr],
    ) -> Option<String> {
        let mut operands = self.compared_sql(node, arguments)?;
        let floats = self.plan(node)?.data_type.is_floating();
        if floats {
            return self.unproven_with(
                node,
                "make a NUMERIC of each operand first: `CAST(... AS NUMERIC(20,6))`",
            );
        }
        let first = operands.remove(0);
        let rest: Vec<String> = std::iter::once(first).chain(operands).collect();
        Some(format!("{name}({})", rest.join(", ")))
    }

    /// Of a NUMERIC, or of an integer by way of one.
    fn rounding_sql(
        &mut self,
        node: &ast::Expr,
        name: &str,
        number: &ast::Expr,
        places: &[&ast::Expr],
        planned: &Planned,
    ) -> Option<String> {
        let given = self.plan(number)?.data_type;
        if given.is_floating() {
            return self.unproven_with(
                node,
                format!("make a NUMERIC of it first: `{name}(CAST({number} AS NUMERIC(20,6)))`"),
            );
        }
        let places = match places {
            [] => None,
            [places] => Some(self.plan(places)?.literal_integer()?),
            _ => return self.unproven(node),
        };
        let sql = self.operand(number, &given)?;
        let sql = if given.is_decimal() { sql } else { format!("({sql})::numeric") };
        let rounded = match places {
            Some(places) => format!("{name}({sql}, {places})"),
            None => format!("{name}({sql})"),
        };
        Some(if planned.data_type.is_decimal() {
            rounded
        } else {
            format!("({rounded})::{}", postgres_type(&planned.data_type)?)
        })
    }

    /// A part of a moment, or the seconds between two.
    fn part_sql(&mut self, node: &ast::Expr, part: &str, moment: &ast::Expr) -> Option<String> {
        let name = part.to_lowercase();
        let given = self.plan(moment)?.data_type;
        let kind = Part::of_name(&name)?;
        let of = match class(&given) {
            Class::Moment => format!("({})::timestamp", self.operand(moment, &given)?),
            Class::Interval => self.difference_sql(moment)?,
            _ => return self.unproven(node),
        };
        let sql_type = postgres_type(&kind.data_type())?;
        Some(format!("(extract({name} FROM {of}))::{sql_type}"))
    }

    /// `a - b` of two moments, which is an interval and has no other use than its seconds.
    fn difference_sql(&mut self, node: &ast::Expr) -> Option<String> {
        match node {
            ast::Expr::Nested(inner) => self.difference_sql(inner),
            ast::Expr::BinaryOp { left, op: BinaryOperator::Minus, right } => {
                let (of_left, of_right) = (self.plan(left)?.data_type, self.plan(right)?.data_type);
                if class(&of_left) != Class::Moment || class(&of_right) != Class::Moment {
                    return self.unproven(node);
                }
                let zoned = [&of_left, &of_right]
                    .into_iter()
                    .any(|side| matches!(side, DataType::Timestamp(_, Some(_))));
                let common = if zoned { timestamptz() } else { timestamp() };
                Some(format!(
                    "({} - {})",
                    self.operand(left, &common)?,
                    self.operand(right, &common)?
                ))
            }
            _ => self.unproven(node),
        }
    }

    /// A text that is one here and there.
    fn plain_text_sql(&mut self, node: &ast::Expr) -> Option<String> {
        match class(&self.plan(node)?.data_type) {
            Class::Text => self.operand(node, &DataType::Utf8),
            _ => self.unproven(node),
        }
    }

    /// A place or a number of characters, which must stand in the file and fit an INTEGER.
    fn place_sql(&mut self, node: &ast::Expr) -> Option<String> {
        match self.plan(node)?.literal_integer().and_then(|place| i32::try_from(place).ok()) {
            Some(place) => Some(format!("'{place}'::integer")),
            None => self.unproven(node),
        }
    }
}
