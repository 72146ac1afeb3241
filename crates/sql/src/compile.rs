//! Expressions into what runs, and what DataFusion says when it does not run.

use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion_common::{DFSchemaRef, DataFusionError};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

/// The expression with its operands brought to types that go together.
pub(crate) fn coerce(
    expr: Expr,
    schema: &DFSchemaRef,
) -> Result<(Expr, arrow::datatypes::DataType, bool), String> {
    let planned = simplifier(schema).coerce(expr, schema).and_then(|expr| {
        let (data_type, nullable) =
            (expr.get_type(schema.as_ref())?, expr.nullable(schema.as_ref())?);
        Ok((expr, data_type, nullable))
    });
    planned.map_err(|error| reason(&error))
}

/// What is evaluated batch by batch: simplified once, its columns found by their places in the
/// schema.
pub(crate) fn compile(expr: Expr, schema: &DFSchemaRef) -> Result<Arc<dyn PhysicalExpr>, String> {
    let compiled = simplified(expr, &simplifier(schema)).and_then(|expr| {
        create_physical_expr(
            &expr,
            schema,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )
    });
    compiled.map_err(|error| reason(&error))
}

/// Each condition by itself: together DataFusion takes `x IN (1) AND x IN (2)` for FALSE, which is
/// NULL where x is, and it rewrites patterns of regular expressions as LIKE without escaping what
/// LIKE escapes.
fn simplified(expr: Expr, simplifier: &ExprSimplifier) -> Result<Expr, DataFusionError> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (simplified(*left, simplifier)?, simplified(*right, simplifier)?);
            Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) }))
        }
        Expr::Not(inner) => Ok(Expr::Not(Box::new(simplified(*inner, simplifier)?))),
        Expr::BinaryExpr(BinaryExpr {
            op:
                Operator::RegexMatch
                | Operator::RegexIMatch
                | Operator::RegexNotMatch
                | Operator::RegexNotIMatch,
            ..
        }) => Ok(expr),
        other => simplifier.simplify(other),
    }
}

fn simplifier(schema: &DFSchemaRef) -> ExprSimplifier {
    ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::clone(schema)).build())
}

/// The sentence in an error, without the names of the layers that it went through.
pub(crate) fn reason(error: &DataFusionError) -> String {
    let told = match error.find_root() {
        DataFusionError::Execution(message)
        | DataFusionError::Plan(message)
        | DataFusionError::NotImplemented(message) => message.clone(),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::DivideByZero => "division by zero".into(),
            ArrowError::ComputeError(message)
            | ArrowError::CastError(message)
            | ArrowError::ParseError(message)
            | ArrowError::ArithmeticOverflow(message)
            | ArrowError::InvalidArgumentError(message) => message.clone(),
            other => other.to_string(),
        },
        other => other.strip_backtrace(),
    };
    told.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}
