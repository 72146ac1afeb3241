//! Calls of functions: ours, and those of DataFusion that answer as PostgreSQL's do.

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Decimal128Type, TimestampMicrosecondType};
use datafusion_expr::Expr;
use datafusion_expr::expr::ScalarFunction;
use sqlparser::ast::{self, CeilFloorKind, Function, FunctionArguments, TrimWhereField};

use super::clock::clock_type;
use super::lambda::plain_argument;
use super::replaced::unknown_beside_null;
use super::{Planned, Planner};
use crate::cast::cast;
use crate::functions::{self, Arguments};
use crate::lists::{self, Fold};
use crate::math::Math;
use crate::moment::{PARTS, Part, duration_seconds, in_range, timestamp, timestamptz};
use crate::native::call_arrays;
use crate::problem::{HasSpan, did_you_mean};
use crate::rounding::{Rounding, magnitude, round, rounded_type, sign, sign_type};
use crate::type_name::{Class, class, type_name};

impl Planner<'_> {
    pub(super) fn function(&mut self, node: &ast::Expr, function: &Function) -> Option<Planned> {
        let name = function.name.to_string().to_lowercase();
        if function.over.is_some() || functions::is_aggregate(&name) {
            let kind = if function.over.is_some() { "a window function" } else { "an aggregate" };
            let problem = self.text.problem(
                "sql.function.aggregate",
                node,
                format!("{name} is {kind}; a table's SELECT sees one record"),
            );
            return self.refuse(problem.help(match name.as_str() {
                "sum" | "min" | "max" | "count" => {
                    format!(
                        "over a list of the record write `list_{name}(list, x -> ...)`; over \
                        many records declare a rollup"
                    )
                }
                _ => "what is made of many records belongs to rollups and views".into(),
            }));
        }
        let list = match &function.args {
            FunctionArguments::None => &[][..],
            FunctionArguments::List(list)
                if list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
            {
                &list.args[..]
            }
            _ => {
                return self.problem(
                    "sql.construct.unsupported",
                    node,
                    format!("{name} cannot be called like this"),
                );
            }
        };
        if function.filter.is_some()
            || function.null_treatment.is_some()
            || !function.within_group.is_empty()
        {
            return self.problem(
                "sql.construct.unsupported",
                node,
                format!("{name} cannot be called like this"),
            );
        }
        if let Some(fold) = Fold::of_name(&name) {
            return self.list_function(node, &name, fold, list);
        }
        if let Some(data_type) = clock_type(&name) {
            return self.clock(node, &data_type);
        }
        let arguments: Option<Vec<_>> = list.iter().map(plain_argument).collect();
        match arguments {
            Some(arguments) => self.call_of_nodes(node, &name, &arguments),
            None => self.problem(
                "sql.construct.unsupported",
                node,
                format!("{name} takes plain values"),
            ),
        }
    }

    /// A call whose arguments are expressions, whatever its syntax was.
    pub(super) fn call_of_nodes(
        &mut self,
        node: &ast::Expr,
        name: &str,
        arguments: &[&ast::Expr],
    ) -> Option<Planned> {
        let planned = self.all(arguments.iter().copied(), Self::plan)?;
        match (name, planned.as_slice()) {
            ("round", _) => self.rounding(node, name, Rounding::Nearest, planned),
            ("trunc", _) => self.rounding(node, name, Rounding::TowardsZero, planned),
            ("ceil" | "ceiling", [_]) => self.rounding(node, name, Rounding::Up, planned),
            ("floor", [_]) => self.rounding(node, name, Rounding::Down, planned),
            ("abs", [number]) => {
                self.number_call(node, name, number, number.data_type.clone(), magnitude)
            }
            ("sign", [number]) => {
                self.number_call(node, name, number, sign_type(&number.data_type), sign)
            }
            ("mod", [_, _]) => self.modulo(node, arguments),
            ("cardinality" | "array_length", _) => self.list_length(node, name, planned),
            ("date_part", [part, _]) => {
                let part = part.literal_text().unwrap_or_default().to_owned();
                self.part_of(node, &part, planned.into_iter().nth(1)?)
            }
            ("to_json" | "to_jsonb", [_]) => {
                planned.into_iter().next().map(|value| self.json(value))
            }
            ("convert_from", [_, encoding]) => {
                let encoding = encoding.clone();
                self.text_of_bytes(node, planned.into_iter().next()?, &encoding)
            }
            ("to_hex", [number]) if number.data_type == DataType::Int32 => {
                planned.into_iter().next().map(Self::hexadecimal)
            }
            ("chr", [number]) if class(&number.data_type) == Class::Number => {
                let code = planned.into_iter().next()?;
                self.cast_to(node, code, &DataType::Int32).map(Self::character)
            }
            ("make_date", [_, _, _]) => self.made_date(node, planned),
            ("length" | "octet_length", [bytes]) if class(&bytes.data_type) == Class::Binary => {
                planned.into_iter().next().map(Self::length_of_bytes)
            }
            ("to_timestamp", [_]) => self.moment_of_seconds(node, planned),
            ("date_trunc", [_, _] | [_, _, _]) => self.truncated(node, arguments, planned),
            ("date_bin", [_, _] | [_, _, _]) => self.binned(node, planned),
            _ => self.known_function(node, name, arguments, planned),
        }
    }

    fn known_function(
        &mut self,
        node: &ast::Expr,
        name: &str,
        nodes: &[&ast::Expr],
        planned: Vec<Planned>,
    ) -> Option<Planned> {
        let Some((function, wants)) = functions::find(name) else {
            let problem = self.text.problem(
                "sql.function.unknown",
                &name_of(node),
                format!("unknown function {name}"),
            );
            let help = did_you_mean(name, functions::names());
            return self.refuse(problem.maybe_help(help));
        };
        let given: Vec<_> = planned.iter().map(|argument| type_name(&argument.data_type)).collect();
        let arguments = match wants {
            Arguments::Any if name.starts_with("regexp_") => {
                self.regular_arguments(name, nodes, planned)?
            }
            Arguments::Any => planned,
            Arguments::Alike => {
                self.unify(node, nodes.iter().copied().zip(planned).collect(), "mixed")?
            }
            Arguments::Shown => nodes
                .iter()
                .zip(planned)
                .map(|(node, argument)| self.as_text(*node, argument))
                .collect::<Option<_>>()?,
            Arguments::Doubles => nodes
                .iter()
                .zip(planned)
                .map(|(node, argument)| self.cast_to(*node, argument, &DataType::Float64))
                .collect::<Option<_>>()?,
        };
        let math = Math::of_name(function.name());
        let nullable = arguments.iter().any(|argument| argument.nullable);
        let arguments: Vec<Expr> = arguments.into_iter().map(|argument| argument.expr).collect();
        let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments.clone()));
        match (crate::compile::coerce(call, self.scope.schema()), math) {
            (Ok(_), Some(math)) => {
                let data_type = DataType::Float64;
                let kernel = move |values: &[ArrayRef]| math.of(values);
                let expr = call_arrays(name, data_type.clone(), nullable, arguments, kernel);
                Some(Planned { expr, data_type, nullable })
            }
            (Ok((found, _, _)), None) if name == "array_contains" => {
                Some(unknown_beside_null(arguments.first()?.clone(), found))
            }
            (Ok((expr, data_type, nullable)), None) => Some(Planned { expr, data_type, nullable }),
            (Err(_), _) => self.problem(
                "sql.function.arguments",
                node,
                format!("{name} does not take ({})", given.join(", ")),
            ),
        }
    }

    pub(super) fn ceil_or_floor(
        &mut self,
        node: &ast::Expr,
        name: &str,
        operand: &ast::Expr,
        kind: &CeilFloorKind,
    ) -> Option<Planned> {
        match kind {
            CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => {
                self.call_of_nodes(node, name, &[operand])
            }
            _ => self.problem("sql.function.arguments", node, format!("{name} takes one number")),
        }
    }

    pub(super) fn extract(
        &mut self,
        node: &ast::Expr,
        part: &str,
        operand: &ast::Expr,
    ) -> Option<Planned> {
        let operand = self.plan(operand)?;
        self.part_of(node, part, operand)
    }

    pub(super) fn substring(
        &mut self,
        node: &ast::Expr,
        text: &ast::Expr,
        from: &Option<Box<ast::Expr>>,
        length: &Option<Box<ast::Expr>>,
    ) -> Option<Planned> {
        match (from, length) {
            (Some(from), None) => self.call_of_nodes(node, "substr", &[text, from]),
            (Some(from), Some(length)) => self.call_of_nodes(node, "substr", &[text, from, length]),
            (None, Some(length)) => {
                let first = ast::Value::Number("1".into(), false).with_empty_span();
                self.call_of_nodes(node, "substr", &[text, &ast::Expr::Value(first), length])
            }
            (None, None) => self.problem("sql.function.arguments", node, "substring takes a place"),
        }
    }

    pub(super) fn trim(
        &mut self,
        node: &ast::Expr,
        side: Option<TrimWhereField>,
        what: &Option<Box<ast::Expr>>,
        text: &ast::Expr,
    ) -> Option<Planned> {
        let name = match side {
            None | Some(TrimWhereField::Both) => "btrim",
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
        };
        let arguments: Vec<_> = std::iter::once(text).chain(what.as_deref()).collect();
        self.call_of_nodes(node, name, &arguments)
    }

    fn rounding(
        &mut self,
        node: &ast::Expr,
        name: &str,
        rounding: Rounding,
        planned: Vec<Planned>,
    ) -> Option<Planned> {
        let (number, places) = match planned.as_slice() {
            [number] => (number, 0),
            [number, places] => {
                match places.literal_integer().and_then(|places| i8::try_from(places).ok()) {
                    Some(_) if number.data_type.is_floating() => {
                        let problem = self.text.problem(
                            "sql.function.arguments",
                            node,
                            format!("{name} to places takes a NUMERIC"),
                        );
                        return self.refuse(
                            problem.help(format!("write `{name}(CAST(... AS NUMERIC), ...)`")),
                        );
                    }
                    Some(places) => (number, places),
                    None => {
                        return self.problem(
                            "sql.function.arguments",
                            node,
                            format!("{name} takes its places as a whole number"),
                        );
                    }
                }
            }
            _ => {
                return self.problem(
                    "sql.function.arguments",
                    node,
                    format!("{name} takes a number and its places"),
                );
            }
        };
        let data_type = rounded_type(&number.data_type, places);
        self.number_call(node, name, number, data_type, move |values| {
            round(values, rounding, places)
        })
    }

    fn number_call(
        &mut self,
        node: &dyn HasSpan,
        name: &str,
        number: &Planned,
        data_type: DataType,
        kernel: impl Fn(&ArrayRef) -> Result<ArrayRef, String> + Send + Sync + 'static,
    ) -> Option<Planned> {
        if class(&number.data_type) != Class::Number {
            return self.problem(
                "sql.function.arguments",
                node,
                format!("{name} does not take ({})", type_name(&number.data_type)),
            );
        }
        let expr = call_arrays(
            name,
            data_type.clone(),
            number.nullable,
            vec![number.expr.clone()],
            move |arguments| kernel(arguments.first().ok_or("no value")?),
        );
        Some(Planned { expr, data_type, nullable: number.nullable })
    }

    fn modulo(&mut self, node: &ast::Expr, arguments: &[&ast::Expr]) -> Option<Planned> {
        let [left, right] = arguments else { return None };
        self.binary(node, left, &ast::BinaryOperator::Modulo, right)
    }

    fn list_length(
        &mut self,
        node: &ast::Expr,
        name: &str,
        planned: Vec<Planned>,
    ) -> Option<Planned> {
        let (list, empty_is_null) = match planned.as_slice() {
            [list] => (list, false),
            [list, dimension]
                if name == "array_length" && dimension.literal_integer() == Some(1) =>
            {
                (list, true)
            }
            _ => {
                return self.problem(
                    "sql.function.arguments",
                    node,
                    format!("{name} takes a list"),
                );
            }
        };
        if class(&list.data_type) != Class::List {
            return self.problem(
                "sql.function.arguments",
                node,
                format!("{name} does not take ({})", type_name(&list.data_type)),
            );
        }
        let nullable = list.nullable || empty_is_null;
        let expr = call_arrays(
            name,
            DataType::Int32,
            nullable,
            vec![list.expr.clone()],
            move |arguments| lists::length(arguments.first().ok_or("no list")?, empty_is_null),
        );
        Some(Planned { expr, data_type: DataType::Int32, nullable })
    }

    fn part_of(&mut self, node: &ast::Expr, part: &str, moment: Planned) -> Option<Planned> {
        let name = part.to_lowercase();
        let Some(part) = Part::of_name(&name) else {
            let problem = self.text.problem(
                "sql.function.arguments",
                node,
                format!("there is no part {name} of a date"),
            );
            let all = || format!("the parts are {}", PARTS.join(", "));
            return self.refuse(problem.help(did_you_mean(&name, PARTS).unwrap_or_else(all)));
        };
        let nullable = moment.nullable;
        if matches!(moment.data_type, DataType::Duration(_)) && name == "epoch" {
            let data_type = part.data_type();
            let expr = call_arrays(
                "extract",
                data_type.clone(),
                nullable,
                vec![moment.expr],
                |arguments| duration_seconds(arguments.first().ok_or("no value")?),
            );
            return Some(Planned { expr, data_type, nullable });
        }
        if class(&moment.data_type) != Class::Moment {
            return self.problem(
                "sql.type.mismatch",
                node,
                format!("{} has no {name}", type_name(&moment.data_type)),
            );
        }
        let expr = call_arrays(
            "extract",
            part.data_type(),
            nullable,
            vec![moment.expr],
            move |arguments| part.of(&cast(arguments.first().ok_or("no value")?, &timestamp())?),
        );
        Some(Planned { expr, data_type: part.data_type(), nullable })
    }

    /// `to_timestamp(seconds since 1970)`.
    fn moment_of_seconds(&mut self, node: &ast::Expr, planned: Vec<Planned>) -> Option<Planned> {
        let seconds = planned.into_iter().next()?;
        if class(&seconds.data_type) != Class::Number {
            let problem = self.text.problem(
                "sql.function.arguments",
                node,
                "to_timestamp takes seconds since 1970",
            );
            let is_text = class(&seconds.data_type) == Class::Text;
            return self.refuse(problem.maybe_help(
                is_text.then(|| "a text is read by `CAST(... AS TIMESTAMPTZ)`".to_owned()),
            ));
        }
        let seconds = self.cast_to(node, seconds, &DataType::Decimal128(38, 6))?;
        let expr = call_arrays(
            "to_timestamp",
            timestamptz(),
            seconds.nullable,
            vec![seconds.expr],
            |arguments| {
                let micros = arguments.first().ok_or("no value")?.as_primitive::<Decimal128Type>();
                let moments: Result<PrimitiveArray<TimestampMicrosecondType>, String> = micros
                    .try_unary(|micros| {
                        i64::try_from(micros)
                            .ok()
                            .and_then(in_range)
                            .ok_or_else(|| "timestamp out of range".to_owned())
                    });
                Ok(std::sync::Arc::new(moments?.with_timezone("UTC")) as ArrayRef)
            },
        );
        Some(Planned { expr, data_type: timestamptz(), nullable: seconds.nullable })
    }
}

/// The place of a call's name, where the node has one.
fn name_of(node: &ast::Expr) -> impl HasSpan + use<> {
    crate::problem::At(match node {
        ast::Expr::Function(function) => function.name.place(),
        other => other.place(),
    })
}
