//! Casts, texts of values, and AT TIME ZONE.

use arrow::datatypes::DataType;
use sqlparser::ast::{self, CharacterLength, DataType as Written};

use super::super::Planner;
use super::constants::text_constant;
use super::postgres_type;
use crate::forms;
use crate::moment::timestamptz;
use crate::type_name::{Class, class};

impl Planner<'_> {
    pub(super) fn cast_sql(
        &mut self,
        node: &ast::Expr,
        operand: &ast::Expr,
        written: &Written,
        to: &DataType,
    ) -> Option<String> {
        let from = self.plan(operand)?.data_type;
        if let Some(characters) = varchar(written) {
            let text = self.shown_sql(operand)?;
            return Some(format!("({text})::varchar({characters})::text"));
        }
        if forms::named(&written.to_string()).is_some() {
            return self.unproven(node);
        }
        if from == *to {
            return self.operand(operand, to);
        }
        match (class(&from), class(to)) {
            (_, Class::Text) => self.shown_sql(operand),
            (Class::Boolean, Class::Number) => Some(format!(
                "({})::integer::{}",
                self.operand(operand, &from)?,
                postgres_type(to)?
            )),
            (Class::Number, Class::Boolean) => {
                Some(format!("({} <> 0)", self.operand(operand, &from)?))
            }
            // A REAL of a number that is too small for one is an error there and zero here.
            (Class::Number, Class::Number) if *to == DataType::Float32 => self.unproven(node),
            (Class::Number, Class::Number) => {
                let operand = self.operand(operand, &from)?;
                let target = match to {
                    DataType::Decimal128(precision, scale)
                    | DataType::Decimal256(precision, scale) => {
                        format!("numeric({precision},{scale})")
                    }
                    _ => postgres_type(to)?.to_owned(),
                };
                Some(format!("({operand})::{target}"))
            }
            (Class::Moment, Class::Moment) => {
                Some(format!("({})::{}", self.operand(operand, &from)?, postgres_type(to)?))
            }
            // What a text of the data may hold is read by two readers.
            _ => self.unproven(node),
        }
    }

    /// A value as a text, where both sides print it alike.
    pub(super) fn shown_sql(&mut self, node: &ast::Expr) -> Option<String> {
        let planned = self.plan(node)?;
        let shown = match class(&planned.data_type) {
            Class::Text | Class::Boolean | Class::Moment | Class::Null => true,
            Class::Number => planned.data_type.is_integer() || self.is_constant(node)?,
            Class::Interval | Class::Binary | Class::Object | Class::List | Class::Other => false,
        };
        if !shown {
            // How many zeros a NUMERIC shows behind its point depends on who wrote it.
            return self.unproven(node);
        }
        self.operand(node, &DataType::Utf8)
    }

    pub(super) fn at_time_zone_sql(
        &mut self,
        moment: &ast::Expr,
        zone: &ast::Expr,
    ) -> Option<String> {
        let (name, _) = self.zone(zone)?;
        let given = self.plan(moment)?.data_type;
        let given = if given == DataType::Date32 { timestamptz() } else { given };
        Some(format!("({} AT TIME ZONE {})", self.operand(moment, &given)?, text_constant(&name)))
    }
}

fn varchar(written: &Written) -> Option<u64> {
    match written {
        Written::Varchar(Some(CharacterLength::IntegerLength { length, .. }))
        | Written::CharacterVarying(Some(CharacterLength::IntegerLength { length, .. }))
        | Written::CharVarying(Some(CharacterLength::IntegerLength { length, .. })) => {
            Some(*length)
        }
        _ => None,
    }
}
