//! The functions that a record's SQL may call, each with an example that is evaluated, and whether
//! it may stand in a rollup as well.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch,
};
use arrow::array::{StringArray, StructArray, TimestampMicrosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use duto_sql::{cast, function_names, plan_expression, recompute};

use super::keys::cell;

/// Calls over the record of [`record`], one for each function and synonym.
const CALLS: &[(&str, &str)] = &[
    ("abs", "abs(id - 10)"),
    ("acos", "acos(ratio)"),
    ("array_contains", "array_contains(tags, 'b')"),
    ("array_length", "array_length(tags, 1)"),
    ("array_position", "array_position(tags, 'b')"),
    ("array_to_string", "array_to_string(tags, '+')"),
    ("ascii", "ascii(name)"),
    ("asin", "asin(ratio)"),
    ("atan", "atan(ratio)"),
    ("atan2", "atan2(ratio, 2)"),
    ("bit_length", "bit_length(name)"),
    ("btrim", "btrim(name, 'Ao')"),
    ("cardinality", "cardinality(tags)"),
    ("cbrt", "cbrt(27)"),
    ("ceil", "ceil(amount)"),
    ("ceiling", "ceiling(amount)"),
    ("char_length", "char_length(name)"),
    ("character_length", "character_length(name)"),
    ("chr", "chr(65)"),
    ("coalesce", "coalesce(missing, name)"),
    ("concat", "concat(name, '-', id)"),
    ("concat_ws", "concat_ws('-', name, id)"),
    ("convert_from", "convert_from(bytes, 'UTF8')"),
    ("cos", "cos(ratio)"),
    ("date_bin", "date_bin('15 minutes', at)"),
    ("date_part", "date_part('hour', at)"),
    ("date_trunc", "date_trunc('month', at)"),
    ("degrees", "degrees(ratio)"),
    ("exp", "exp(ratio)"),
    ("floor", "floor(amount)"),
    ("greatest", "greatest(id, 10)"),
    ("initcap", "initcap('são paulo')"),
    ("least", "least(id, 10)"),
    ("left", "left(name, 3)"),
    ("length", "length(name)"),
    ("list_all", "list_all(items, i -> i.qty > 0)"),
    ("list_any", "list_any(items, i -> i.qty > 2)"),
    ("list_count", "list_count(items, i -> i.qty > 2)"),
    ("list_filter", "array_length(list_filter(items, i -> i.qty > 2), 1)"),
    ("list_max", "list_max(items, i -> i.qty)"),
    ("list_min", "list_min(items, i -> i.qty)"),
    ("list_sum", "list_sum(items, i -> i.qty * i.price)"),
    ("list_transform", "array_to_string(list_transform(items, i -> i.qty * 2), ',')"),
    ("ln", "ln(ratio)"),
    ("log10", "log10(100)"),
    ("lower", "lower(name)"),
    ("lpad", "lpad(name, 8, '.')"),
    ("ltrim", "ltrim(name, 'A')"),
    ("make_date", "make_date(2026, 2, 28)"),
    ("mod", "mod(id, 4)"),
    ("now", "now()"),
    ("nullif", "nullif(id, 7)"),
    ("octet_length", "octet_length(name)"),
    ("overlay", "overlay(name PLACING 'xx' FROM 2 FOR 2)"),
    ("pi", "pi()"),
    ("position", "position('m' IN name)"),
    ("pow", "pow(2, 10)"),
    ("power", "power(2, 10)"),
    ("radians", "radians(180)"),
    ("regexp_count", "regexp_count(name, '[a-m]')"),
    ("regexp_like", "regexp_like(name, '^A')"),
    ("regexp_replace", "regexp_replace(name, '[aeiou]', '*', 'g')"),
    ("repeat", "repeat('ab', 3)"),
    ("replace", "replace(name, 'm', 'mm')"),
    ("reverse", "reverse(name)"),
    ("right", "right(name, 3)"),
    ("round", "round(amount, 1)"),
    ("rpad", "rpad(name, 8, '.')"),
    ("rtrim", "rtrim(name, 'o')"),
    ("sign", "sign(amount)"),
    ("sin", "sin(ratio)"),
    ("split_part", "split_part('a,b,c', ',', 2)"),
    ("sqrt", "sqrt(16)"),
    ("starts_with", "starts_with(name, 'A')"),
    ("strpos", "strpos(name, 'm')"),
    ("substr", "substr(name, 2, 3)"),
    ("substring", "substring(name FROM 2 FOR 3)"),
    ("tan", "tan(ratio)"),
    ("to_hex", "to_hex(255)"),
    ("to_json", "to_json(tags)"),
    ("to_jsonb", "to_jsonb(name)"),
    ("to_timestamp", "to_timestamp(1790000000)"),
    ("translate", "translate(name, 'am', 'xy')"),
    ("trim", "trim('  a  ')"),
    ("trunc", "trunc(amount, 1)"),
    ("upper", "upper(name)"),
];

/// What stands in SQL that is no function: an example each.
const OTHERS: &[(&str, &str)] = &[
    ("arithmetic", "id * 2 + amount / 3"),
    ("comparison, `AND`, `OR`, `NOT`", "id > 3 AND NOT name = 'x'"),
    ("`BETWEEN`", "id BETWEEN 1 AND 9"),
    ("`IN`", "name IN ('Amaro', 'x')"),
    ("`LIKE`, `ILIKE`", "name LIKE 'A%'"),
    ("`~`, `~*`", "name ~ 'm.r'"),
    ("`IS NULL`, `IS DISTINCT FROM`", "missing IS DISTINCT FROM name"),
    ("`CASE`", "CASE WHEN id > 5 THEN 'many' ELSE 'few' END"),
    ("`||`", "name || '!'"),
    ("casts", "CAST(amount AS INTEGER)"),
    ("`EXTRACT`", "extract(year FROM at)"),
    ("`AT TIME ZONE`", "at AT TIME ZONE 'America/Sao_Paulo'"),
    ("intervals", "at + INTERVAL '1 day'"),
    ("dates", "day - DATE '2026-01-01'"),
];

const CLOCK_MICROS: i64 = 1_790_000_000_000_000;

pub fn written() -> String {
    let (missing, gone) = differing();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "without an example: {missing:?}; examples of what is no function: {gone:?}"
    );
    let record = record();
    let mut text = "## Functions\n\nTwo dialects of SQL stand in a file. In `checks`, `tables`, \
        `deliver`, `publish` and `rollups` it is a record's: expressions over \
        one record or row, evaluated by duto as PostgreSQL would, with what is listed here. In \
        `views` and `endpoints` it is PostgreSQL's own, with all that \
        your server knows.\n\nIn a rollup stands what was shown to have the same value in \
        PostgreSQL to the last digit, because PostgreSQL computes it again when a \
        rollup is filled or verified. The examples are over a record with `id` 7, `name` 'Amaro', \
        `amount` 12.35, `ratio` 0.5, `day` 2026-09-21, `at` \
        2026-09-21 14:13:20+00, `tags` ['a', 'b'] and `items` of `qty` and `price`.\n\n| | example \
        | its value | in rollups |\n| --- | --- | --- | --- |\n"
        .to_owned();
    let named = CALLS.iter().map(|(name, call)| (format!("`{name}`"), *call));
    for (name, call) in OTHERS.iter().map(|(name, call)| ((*name).to_owned(), *call)).chain(named) {
        let in_rollups = if !call.contains("now()") && recompute(call, &record.schema()).is_ok() {
            "yes"
        } else {
            ""
        };
        let value = if call == "now()" {
            "the time at which the batch began".to_owned()
        } else {
            format!("`{}`", value(call, &record))
        };
        text.push_str(&format!(
            "| {} | `{}` | {} | {in_rollups} |\n",
            cell(&name),
            cell(call),
            cell(&value)
        ));
    }
    text
}

fn differing() -> (Vec<&'static str>, Vec<&'static str>) {
    let known: BTreeSet<&str> = function_names().collect();
    let shown: BTreeSet<&str> = CALLS.iter().map(|(name, _)| *name).collect();
    (known.difference(&shown).copied().collect(), shown.difference(&known).copied().collect())
}

fn value(call: &str, record: &RecordBatch) -> String {
    let planned = plan_expression(call, &record.schema())
        .unwrap_or_else(|problems| panic!("{call}: {problems:?}"));
    let output = planned.run(record, CLOCK_MICROS);
    assert!(output.failed.is_empty(), "{call}: {:?}", output.failed);
    let texts =
        cast(&output.columns[0], &DataType::Utf8).unwrap_or_else(|error| panic!("{call}: {error}"));
    let texts = texts.as_string::<i32>();
    if texts.is_null(0) { "NULL".to_owned() } else { texts.value(0).to_owned() }
}

fn record() -> RecordBatch {
    let decimal = |text: &str| {
        let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
        cast(&text, &DataType::Decimal128(10, 2)).expect("a decimal")
    };
    let price = cast(
        &(Arc::new(StringArray::from(vec!["10.00", "2.50"])) as ArrayRef),
        &DataType::Decimal128(10, 2),
    )
    .expect("prices");
    let item = vec![
        (
            Arc::new(Field::new("qty", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![1, 3])) as ArrayRef,
        ),
        (Arc::new(Field::new("price", price.data_type().clone(), true)), price),
    ];
    let of_two = |values: ArrayRef| -> ArrayRef {
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        Arc::new(ListArray::new(field, OffsetBuffer::new(vec![0, 2].into()), values, None))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![7]))),
        ("name", Arc::new(StringArray::from(vec!["Amaro"]))),
        ("missing", Arc::new(StringArray::from(vec![None::<&str>]))),
        ("amount", decimal("12.35")),
        ("ratio", Arc::new(Float64Array::from(vec![0.5]))),
        ("day", Arc::new(Date32Array::from(vec![20_717]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![CLOCK_MICROS]).with_timezone("UTC"))),
        ("bytes", Arc::new(BinaryArray::from(vec!["Olá".as_bytes()]))),
        ("tags", of_two(Arc::new(StringArray::from(vec!["a", "b"])))),
        ("items", of_two(Arc::new(StructArray::from(item)))),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns.into_iter().map(|(_, column)| column).collect(),
    )
    .expect("a record")
}
