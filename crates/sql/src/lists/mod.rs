//! Lists: what a lambda makes of their elements. The elements of all lists are one batch, over
//! which the lambda is evaluated once; its values are then folded list by list.

mod fold;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion_expr::{ColumnarValue, Expr};
use datafusion_physical_expr::PhysicalExpr;

use crate::compile::reason;
use crate::halves::{Failure, run_in_halves};
use crate::native::call;

/// What is made of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    /// 0 of an empty list; NULL elements are left out.
    Sum,
    Min,
    Max,
    /// How many elements the lambda is TRUE for.
    Count,
    Any,
    All,
    Transform,
    Filter,
}

/// A lambda, planned: an expression over the element and the columns that it uses besides.
#[derive(Debug, Clone)]
pub(crate) struct Lambda {
    /// The element first, then the captured columns.
    pub(crate) schema: SchemaRef,
    pub(crate) body: Arc<dyn PhysicalExpr>,
    pub(crate) data_type: DataType,
}

impl Fold {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "list_sum" | "array_sum" => Self::Sum,
            "list_min" | "array_min" => Self::Min,
            "list_max" | "array_max" => Self::Max,
            "list_count" => Self::Count,
            "list_any" => Self::Any,
            "list_all" => Self::All,
            "list_transform" | "array_transform" => Self::Transform,
            "list_filter" | "array_filter" => Self::Filter,
            _ => return None,
        })
    }

    /// What the fold answers for elements and lambda values of these types; None where the value's
    /// type does not serve.
    pub(crate) fn data_type(self, element: &DataType, value: &DataType) -> Option<DataType> {
        match self {
            Self::Sum => fold::sum_type(value),
            Self::Min | Self::Max => (!value.is_nested()).then(|| value.clone()),
            Self::Count => (value == &DataType::Boolean).then_some(DataType::Int64),
            Self::Any | Self::All => (value == &DataType::Boolean).then_some(DataType::Boolean),
            Self::Transform => {
                Some(DataType::List(Arc::new(Field::new("item", value.clone(), true))))
            }
            Self::Filter => (value == &DataType::Boolean)
                .then(|| DataType::List(Arc::new(Field::new("item", element.clone(), true)))),
        }
    }

    /// Whether the answer may be NULL where the list is not.
    pub(crate) fn may_be_null(self) -> bool {
        matches!(self, Self::Min | Self::Max | Self::Any | Self::All)
    }
}

/// The expression that folds a list. Behind the list stand the columns that the lambda captures.
pub(crate) fn fold_list(
    fold: Fold,
    arguments: Vec<Expr>,
    lambda: Option<Lambda>,
    data_type: DataType,
    nullable: bool,
) -> Expr {
    let to = data_type.clone();
    call("list", data_type, nullable, arguments, move |values, rows| {
        let (list, captured) = values.split_first().ok_or("a list function takes a list")?;
        let list = list.to_array(rows).map_err(|error| error.to_string())?;
        let list = list.as_list_opt::<i32>().ok_or("not a list")?;
        let elements = elements_of(list);
        let computed = match &lambda {
            Some(lambda) => evaluate(lambda, list, &elements, captured, rows)?,
            None => Arc::clone(&elements),
        };
        fold::fold(fold, list, &elements, &computed, &to).map(ColumnarValue::Array)
    })
}

/// The number of elements; as `array_length(list, 1)` an empty list has none.
pub(crate) fn length(list: &ArrayRef, empty_is_null: bool) -> Result<ArrayRef, String> {
    let list = list.as_list_opt::<i32>().ok_or("not a list")?;
    let lengths = list.iter().map(|elements| {
        elements
            .map(|elements| elements.len() as i32)
            .filter(|length| *length > 0 || !empty_is_null)
    });
    Ok(Arc::new(lengths.collect::<arrow::array::Int32Array>()))
}

/// The element at a place that counts from one; NULL where there is none.
pub(crate) fn element(list: &ArrayRef, place: i64) -> Result<ArrayRef, String> {
    let list = list.as_list_opt::<i32>().ok_or("not a list")?;
    let wanted = usize::try_from(place - 1).ok();
    let starts = list.offsets();
    let indices = (0..list.len()).map(|row| {
        let wanted = wanted
            .filter(|wanted| list.is_valid(row) && *wanted < list.value_length(row) as usize)?;
        u32::try_from(starts[row] as usize + wanted).ok()
    });
    take(list.values(), &indices.collect::<UInt32Array>(), None).map_err(|error| error.to_string())
}

/// The elements of all lists, one behind the other.
pub(crate) fn elements_of(list: &ListArray) -> ArrayRef {
    let (start, end) = (list.offsets()[0] as usize, list.offsets()[list.len()] as usize);
    list.values().slice(start, end - start)
}

/// For each element the row of its list.
pub(crate) fn parents_of(list: &ListArray) -> UInt32Array {
    let parents = list
        .offsets()
        .windows(2)
        .zip(0u32..)
        .flat_map(|(range, row)| (range[0]..range[1]).map(move |_| row));
    UInt32Array::from_iter_values(parents)
}

fn evaluate(
    lambda: &Lambda,
    list: &ListArray,
    elements: &ArrayRef,
    captured: &[ColumnarValue],
    rows: usize,
) -> Result<ArrayRef, String> {
    let mut columns = vec![Arc::clone(elements)];
    if !captured.is_empty() {
        let parents = parents_of(list);
        for column in captured {
            let column = column.to_array(rows).map_err(|error| error.to_string())?;
            columns.push(take(&column, &parents, None).map_err(|error| error.to_string())?);
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(elements.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&lambda.schema), columns, &options)
        .map_err(|error| error.to_string())?;
    let computed = compute(lambda, &batch);
    // See `Select::evaluate`: the elements of one record alone are tried one by one before it is
    // lost.
    if computed.is_err() && rows == 1 && elements.len() > 1 {
        let part = |range: Range<usize>| {
            compute(lambda, &batch.slice(range.start, range.len()))
                .map_err(|message| Failure { name: String::new(), message })
        };
        let (parts, failed) = run_in_halves(elements.len(), part);
        if let Some((_, failure)) = failed.into_iter().next() {
            return Err(failure.message);
        }
        let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
        return concat(&parts).map_err(|error| error.to_string());
    }
    computed
}

fn compute(lambda: &Lambda, elements: &RecordBatch) -> Result<ArrayRef, String> {
    let value = lambda.body.evaluate(elements).map_err(|error| reason(&error))?;
    value.into_array(elements.num_rows()).map_err(|error| error.to_string())
}
