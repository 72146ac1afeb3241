//! A function of ours, as DataFusion wants it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};

type Kernel = dyn Fn(&[ColumnarValue], usize) -> Result<ColumnarValue, String> + Send + Sync;

/// One call of a kernel, its types already settled. Two calls are never the same function, so that
/// nothing is merged by name.
struct Native {
    name: String,
    data_type: DataType,
    nullable: bool,
    kernel: Box<Kernel>,
    signature: Signature,
    number: u64,
}

/// The call of a kernel that sees its arguments as they are, and the number of rows.
pub(crate) fn call(
    name: &str,
    data_type: DataType,
    nullable: bool,
    arguments: Vec<Expr>,
    kernel: impl Fn(&[ColumnarValue], usize) -> Result<ColumnarValue, String> + Send + Sync + 'static,
) -> Expr {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let native = Native {
        name: name.into(),
        data_type,
        nullable,
        kernel: Box::new(kernel),
        signature: Signature::new(TypeSignature::UserDefined, Volatility::Immutable),
        number: CALLS.fetch_add(1, Ordering::Relaxed),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(
        Arc::new(ScalarUDF::new_from_impl(native)),
        arguments,
    ))
}

/// The call of a kernel over whole arrays. Constants alone are evaluated once, as one row.
pub(crate) fn call_arrays(
    name: &str,
    data_type: DataType,
    nullable: bool,
    arguments: Vec<Expr>,
    kernel: impl Fn(&[ArrayRef]) -> Result<ArrayRef, String> + Send + Sync + 'static,
) -> Expr {
    call(name, data_type, nullable, arguments, move |values, rows| {
        let constant = values.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let length = if constant { 1 } else { rows };
        let arrays: Result<Vec<_>> = values.iter().map(|value| value.to_array(length)).collect();
        let result = kernel(&arrays.map_err(|error| error.to_string())?)?;
        if constant {
            return ScalarValue::try_from_array(&result, 0)
                .map(ColumnarValue::Scalar)
                .map_err(|error| error.to_string());
        }
        Ok(ColumnarValue::Array(result))
    })
}

impl ScalarUDFImpl for Native {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(given.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(&self.name, self.data_type.clone(), self.nullable)))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        (self.kernel)(&call.args, call.number_rows).map_err(DataFusionError::Execution)
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Native")
            .field("name", &self.name)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Native {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Native {}

impl Hash for Native {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}
