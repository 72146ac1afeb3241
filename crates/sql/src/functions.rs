//! DataFusion's functions that answer as PostgreSQL's do. Whatever is not here, or among our own,
//! is an unknown function.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion_expr::ScalarUDF;

/// Texts, and what a text becomes.
const TEXT: &[&str] = &[
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "initcap",
    "left",
    "lower",
    "lpad",
    "ltrim",
    "octet_length",
    "overlay",
    "regexp_count",
    "regexp_like",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "to_hex",
    "translate",
    "upper",
];
/// On DOUBLE PRECISION.
const MATH: &[&str] = &[
    "acos", "asin", "atan", "atan2", "cbrt", "cos", "degrees", "exp", "ln", "log10", "pi", "power",
    "radians", "sin", "sqrt", "tan",
];
/// Of any type.
const OTHER: &[&str] = &[
    "array_contains",
    "array_position",
    "array_to_string",
    "coalesce",
    "greatest",
    "least",
    "make_date",
    "nullif",
];
/// Other names by which PostgreSQL knows them.
const SYNONYMS: &[(&str, &str)] = &[
    ("char_length", "character_length"),
    ("length", "character_length"),
    ("pow", "power"),
    ("substring", "substr"),
    ("trim", "btrim"),
    ("position", "strpos"),
];
/// Ours, by name, for suggestions.
const OURS: &[&str] = &[
    "abs",
    "array_length",
    "cardinality",
    "ceil",
    "ceiling",
    "convert_from",
    "date_bin",
    "date_part",
    "date_trunc",
    "floor",
    "list_all",
    "list_any",
    "list_count",
    "list_filter",
    "list_max",
    "list_min",
    "list_sum",
    "list_transform",
    "mod",
    "now",
    "round",
    "sign",
    "to_json",
    "to_jsonb",
    "to_timestamp",
    "trunc",
];
/// Aggregates and window functions, which are refused with advice.
const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "count",
    "dense_rank",
    "every",
    "first_value",
    "json_agg",
    "jsonb_agg",
    "lag",
    "last_value",
    "lead",
    "max",
    "median",
    "min",
    "ntile",
    "rank",
    "row_number",
    "stddev",
    "string_agg",
    "sum",
    "variance",
];

/// How a function wants its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// As they are.
    Any,
    /// All of one type.
    Alike,
    /// Shown as texts where they are none.
    Shown,
    /// As DOUBLE PRECISION.
    Doubles,
}

static FUNCTIONS: LazyLock<HashMap<&'static str, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let all = datafusion_functions::all_default_functions()
        .into_iter()
        .chain(datafusion_functions_nested::all_default_nested_functions());
    let by_name: HashMap<String, Arc<ScalarUDF>> = all
        .flat_map(|function| {
            let names: Vec<_> = std::iter::once(function.name())
                .chain(function.aliases().iter().map(String::as_str))
                .map(str::to_owned)
                .collect();
            names.into_iter().map(move |name| (name, Arc::clone(&function)))
        })
        .collect();
    let wanted = TEXT.iter().chain(MATH).chain(OTHER);
    wanted
        .filter_map(|name| by_name.get(*name).map(|function| (*name, Arc::clone(function))))
        .collect()
});

/// The function of that name, and how it wants its arguments.
pub(crate) fn find(name: &str) -> Option<(Arc<ScalarUDF>, Arguments)> {
    let name = SYNONYMS.iter().find(|(synonym, _)| *synonym == name).map_or(name, |(_, name)| name);
    let function = FUNCTIONS.get(name)?;
    let arguments = match name {
        "coalesce" | "greatest" | "least" | "nullif" => Arguments::Alike,
        "concat" | "concat_ws" => Arguments::Shown,
        _ if MATH.contains(&name) => Arguments::Doubles,
        _ => Arguments::Any,
    };
    Some((Arc::clone(function), arguments))
}

/// Whether the name is one of a function over many records.
pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

/// Every name that can be called, in no order.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS
        .keys()
        .copied()
        .chain(SYNONYMS.iter().map(|(synonym, _)| *synonym))
        .chain(OURS.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_function_is_there() {
        let missing: Vec<_> =
            TEXT.iter().chain(MATH).chain(OTHER).filter(|name| find(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
