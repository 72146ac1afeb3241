//! A key of an object. The key of an object that is NULL is NULL, whatever stands below.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion_expr::Expr;

use crate::native::call_arrays;

/// The expression of one key, its type, and whether it may be NULL.
pub(crate) fn key_of(
    object: Expr,
    nullable: bool,
    place: usize,
    field: &Field,
) -> (Expr, DataType, bool) {
    let nullable = nullable || field.is_nullable();
    let data_type = field.data_type().clone();
    let expr =
        call_arrays(field.name(), data_type.clone(), nullable, vec![object], move |arguments| {
            let object = arguments
                .first()
                .and_then(|object| object.as_struct_opt())
                .ok_or("not an object")?;
            with_nulls_of(object.column(place), object.nulls())
        });
    (expr, data_type, nullable)
}

fn with_nulls_of(values: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef, String> {
    if nulls.is_none_or(|nulls| nulls.null_count() == 0) || values.data_type() == &DataType::Null {
        return Ok(Arc::clone(values));
    }
    let both = NullBuffer::union(nulls, values.nulls());
    let data =
        values.to_data().into_builder().nulls(both).build().map_err(|error| error.to_string())?;
    Ok(make_array(data))
}
