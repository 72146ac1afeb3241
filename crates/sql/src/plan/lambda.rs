//! The list functions, with and without a lambda.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::DFSchema;
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, LambdaFunction, OneOrManyWithParens};

use super::{Planned, Planner};
use crate::compile::compile;
use crate::lists::{Fold, Lambda, fold_list};
use crate::problem::at;
use crate::scope::{column_expr, fold as fold_name};
use crate::type_name::type_name;

impl Planner<'_> {
    pub(super) fn list_function(
        &mut self,
        node: &ast::Expr,
        name: &str,
        fold: Fold,
        arguments: &[FunctionArg],
    ) -> Option<Planned> {
        let arguments: Option<Vec<_>> = arguments.iter().map(plain_argument).collect();
        let (list_node, lambda) = match arguments.as_deref() {
            Some([list]) => (*list, None),
            Some([list, ast::Expr::Lambda(lambda)]) => (*list, Some(lambda)),
            _ => return self.list_usage(node, name),
        };
        let list = self.plan(list_node)?;
        let DataType::List(element) = &list.data_type else {
            return self.problem(
                "sql.type.mismatch",
                list_node,
                format!("{name} takes a list; this is {}", type_name(&list.data_type)),
            );
        };
        let element = element.data_type().clone();
        if lambda.is_none() && !matches!(fold, Fold::Sum | Fold::Min | Fold::Max) {
            return self.list_usage(node, name);
        }
        let mut call = vec![list.expr];
        let (lambda, value) = match lambda {
            None => (None, element.clone()),
            Some(lambda) => {
                let (lambda, captured) = self.lambda(node, lambda, &element)?;
                call.extend(captured.iter().map(|name| column_expr(name)));
                let value = lambda.data_type.clone();
                (Some(lambda), value)
            }
        };
        let Some(data_type) = fold.data_type(&element, &value) else {
            let message = format!("{name} cannot use {} for an element", type_name(&value));
            return self.problem("sql.type.mismatch", node, message);
        };
        let nullable = list.nullable || fold.may_be_null();
        let expr = fold_list(fold, call, lambda, data_type.clone(), nullable);
        Some(Planned { expr, data_type, nullable })
    }

    fn list_usage(&mut self, node: &ast::Expr, name: &str) -> Option<Planned> {
        let problem = self.text.problem(
            "sql.function.arguments",
            node,
            format!("{name} takes a list and a lambda"),
        );
        self.refuse(problem.help(format!("for example `{name}(items, i -> i.qty * i.price)`")))
    }

    /// The lambda's body over one element, and the names of the columns besides that it uses.
    fn lambda(
        &mut self,
        node: &ast::Expr,
        lambda: &LambdaFunction,
        element: &DataType,
    ) -> Option<(Lambda, Vec<String>)> {
        let parameter = match &lambda.params {
            OneOrManyWithParens::One(parameter) => parameter,
            OneOrManyWithParens::Many(parameters) if parameters.len() == 1 => &parameters[0],
            OneOrManyWithParens::Many(_) => {
                return self.problem("sql.function.arguments", node, "a lambda takes one element");
            }
        };
        let hidden = format!("\0element{}", self.scope.len());
        let inner = self.scope.with_element(&fold_name(&parameter.name), &hidden, element.clone());
        let outer = std::mem::replace(&mut self.scope, inner);
        let body = self.plan(&lambda.body);
        let inner = std::mem::replace(&mut self.scope, outer);
        let body = body?;
        let mut captured: Vec<_> = body
            .expr
            .column_refs()
            .iter()
            .map(|column| column.name.clone())
            .filter(|name| *name != hidden)
            .collect();
        captured.sort_unstable();
        let mut fields = vec![Field::new(&hidden, element.clone(), true)];
        fields.extend(
            captured
                .iter()
                .filter_map(|name| inner.column(name))
                .map(|field| field.as_ref().clone()),
        );
        let schema = Arc::new(Schema::new(fields));
        let planned = DFSchema::try_from(Arc::clone(&schema)).map_err(|error| error.to_string());
        match planned.and_then(|planned| compile(body.expr, &Arc::new(planned))) {
            Ok(expr) => Some((Lambda { schema, body: expr, data_type: body.data_type }, captured)),
            Err(message) => self.problem("sql.type.mismatch", &at(&parameter.name), message),
        }
    }
}

/// An argument without a name, a lambda among them.
pub(super) fn plain_argument(argument: &FunctionArg) -> Option<&ast::Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(node)) => Some(node),
        _ => None,
    }
}
