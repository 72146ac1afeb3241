//! The values of a list's elements, made into one value a list.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, BooleanBuilder,
    Int64Array, ListArray, PrimitiveArray, UInt32Array, make_comparator,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{SortOptions, filter, take};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, Float64Type, Int64Type};

use super::Fold;
use crate::cast::cast;
use crate::type_name::type_name;

/// The type of a sum: wide enough for many elements, with the elements' own places.
pub(super) fn sum_type(value: &DataType) -> Option<DataType> {
    Some(match value {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => DataType::Int64,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => DataType::Int64,
        DataType::Decimal128(_, scale) => DataType::Decimal128(38, *scale),
        DataType::Decimal256(_, scale) => DataType::Decimal256(76, *scale),
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        _ => return None,
    })
}

/// One value a list. `elements` and `values` stand behind each other in the lists' order.
pub(super) fn fold(
    fold: Fold,
    list: &ListArray,
    elements: &ArrayRef,
    values: &ArrayRef,
    to: &DataType,
) -> Result<ArrayRef, String> {
    let lists = Lists::of(list);
    match fold {
        Fold::Sum => sum(&lists, values, to),
        Fold::Min => extreme(&lists, values, Ordering::Less),
        Fold::Max => extreme(&lists, values, Ordering::Greater),
        Fold::Count => {
            let matching = values.as_boolean_opt().ok_or("not a condition")?;
            let counts = lists.iter().map(|range| {
                range.map(|range| range.filter(|place| is_true(matching, *place)).count() as i64)
            });
            Ok(Arc::new(counts.collect::<Int64Array>()))
        }
        Fold::Any => decide(&lists, values, true),
        Fold::All => decide(&lists, values, false),
        Fold::Transform => lists.rebuilt(Arc::clone(values), lists.offsets.clone()),
        Fold::Filter => keep(&lists, elements, values),
    }
}

/// The lists' ranges among the elements; None where a list is NULL.
struct Lists<'a> {
    offsets: Vec<usize>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Lists<'a> {
    fn of(list: &'a ListArray) -> Self {
        let start = list.offsets()[0];
        Self {
            offsets: list.offsets().iter().map(|offset| (offset - start) as usize).collect(),
            nulls: list.nulls(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Option<std::ops::Range<usize>>> {
        let valid = |row: usize| self.nulls.is_none_or(|nulls| nulls.is_valid(row));
        self.offsets
            .windows(2)
            .enumerate()
            .map(move |(row, ends)| valid(row).then_some(ends[0]..ends[1]))
    }

    fn rebuilt(&self, elements: ArrayRef, offsets: Vec<usize>) -> Result<ArrayRef, String> {
        let field = Arc::new(Field::new("item", elements.data_type().clone(), true));
        let offsets: Vec<i32> = offsets.into_iter().map(|offset| offset as i32).collect();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let list = ListArray::try_new(field, offsets, elements, self.nulls.cloned())
            .map_err(|error| error.to_string())?;
        Ok(Arc::new(list))
    }
}

fn sum(lists: &Lists, values: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    match to {
        DataType::Decimal128(..) => sums::<Decimal128Type>(lists, values, to),
        DataType::Decimal256(..) => sums::<Decimal256Type>(lists, values, to),
        DataType::Float64 => sums::<Float64Type>(lists, &cast(values, to)?, to),
        _ => sums::<Int64Type>(lists, &cast(values, to)?, to),
    }
}

fn sums<T: ArrowPrimitiveType>(
    lists: &Lists,
    values: &ArrayRef,
    to: &DataType,
) -> Result<ArrayRef, String>
where
    T::Native: ArrowNativeTypeOp,
{
    let numbers = values.as_primitive::<T>();
    let raw = numbers.values();
    let nulls = numbers.nulls().filter(|nulls| nulls.null_count() > 0);
    let mut totals = Vec::with_capacity(lists.offsets.len());
    for range in lists.iter() {
        let mut total = T::Native::ZERO;
        for place in range.unwrap_or(0..0) {
            if nulls.is_none_or(|nulls| nulls.is_valid(place)) {
                total = total.add_checked(raw[place]).map_err(|_| too_large(to))?;
            }
        }
        totals.push(total);
    }
    let result = PrimitiveArray::<T>::new(ScalarBuffer::from(totals), lists.nulls.cloned())
        .with_data_type(to.clone());
    fits(result, to)
}

fn too_large(to: &DataType) -> String {
    format!("the sum of the list does not fit {}", type_name(to))
}

/// 128 bits hold a little more than 38 digits, and a float more than it can tell.
fn fits<T: ArrowPrimitiveType>(sums: PrimitiveArray<T>, to: &DataType) -> Result<ArrayRef, String> {
    let sums: ArrayRef = Arc::new(sums);
    let fits = match to {
        DataType::Decimal128(precision, _) => {
            sums.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision).is_ok()
        }
        DataType::Decimal256(precision, _) => {
            sums.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision).is_ok()
        }
        _ => true,
    };
    if fits { Ok(sums) } else { Err(too_large(to)) }
}

fn extreme(lists: &Lists, values: &ArrayRef, wanted: Ordering) -> Result<ArrayRef, String> {
    let compare = make_comparator(values, values, SortOptions::default())
        .map_err(|error| error.to_string())?;
    let better =
        |best: usize, place: usize| if compare(place, best) == wanted { place } else { best };
    let places = lists.iter().map(|range| {
        range?
            .filter(|place| values.is_valid(*place))
            .reduce(better)
            .and_then(|place| u32::try_from(place).ok())
    });
    take(values, &places.collect::<UInt32Array>(), None).map_err(|error| error.to_string())
}

/// Any (`decisive` TRUE) and all (FALSE), with SQL's third value.
fn decide(lists: &Lists, values: &ArrayRef, decisive: bool) -> Result<ArrayRef, String> {
    let conditions = values.as_boolean_opt().ok_or("not a condition")?;
    let mut answers = BooleanBuilder::with_capacity(lists.offsets.len());
    for range in lists.iter() {
        let Some(mut range) = range else {
            answers.append_null();
            continue;
        };
        let unknown = range.clone().any(|place| conditions.is_null(place));
        let decided =
            range.any(|place| conditions.is_valid(place) && conditions.value(place) == decisive);
        answers.append_option(if decided {
            Some(decisive)
        } else {
            (!unknown).then_some(!decisive)
        });
    }
    Ok(Arc::new(answers.finish()))
}

fn keep(lists: &Lists, elements: &ArrayRef, values: &ArrayRef) -> Result<ArrayRef, String> {
    let conditions = values.as_boolean_opt().ok_or("not a condition")?;
    let mut offsets = vec![0];
    let mut end = 0;
    for ends in lists.offsets.windows(2) {
        end += (ends[0]..ends[1]).filter(|place| is_true(conditions, *place)).count();
        offsets.push(end);
    }
    let kept = filter(elements, conditions).map_err(|error| error.to_string())?;
    lists.rebuilt(kept, offsets)
}

fn is_true(conditions: &BooleanArray, place: usize) -> bool {
    conditions.is_valid(place) && conditions.value(place)
}
