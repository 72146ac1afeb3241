//! Random `rollups:`, `views:` and `publish:` over the tables whose rows are not replaced.

use serde_json::{Map, Value as Json, json};

use super::expression::Scope;
use super::known::{Known, avoids};
use super::record_shape::{Class, Source};
use super::tables::Tables;
use crate::chance::Chance;

pub fn add(chance: &mut Chance, tables: &Tables, pipeline: &mut Map<String, Json>) {
    let (mut rollups, mut views, mut publish) = (Map::new(), Map::new(), Map::new());
    for ((name, table), columns) in tables.declared.iter().zip(&tables.columns) {
        if table["repeat"] == "update" {
            continue;
        }
        for number in 1..=*chance.pick(&[0, 0, 1, 1, 2]) {
            let rollup_name = format!("{name}_r{number}");
            rollups.insert(rollup_name.clone(), rollup(chance, name, columns));
            if chance.percent(15) {
                views.insert(
                    format!("{rollup_name}_view"),
                    json!(format!("SELECT count(*) AS groups FROM {rollup_name}")),
                );
            }
        }
        if chance.percent(15) {
            let simple = |source: &&Source| {
                !matches!(source.class, Class::Double | Class::Real | Class::Bytes)
            };
            let told: Vec<&str> =
                columns.iter().filter(simple).map(|source| source.path.as_str()).collect();
            publish.insert(
                format!("told {name}"),
                json!({ "from": name, "topic": format!("told-{name}"), "key": "id", "value": format!("SELECT {} FROM {name}", told.join(", ")) }),
            );
        }
    }
    for (key, section) in [("rollups", rollups), ("views", views), ("publish", publish)] {
        if !section.is_empty() {
            pipeline.insert(key.to_owned(), Json::Object(section));
        }
    }
}

pub fn rollup(chance: &mut Chance, table: &str, columns: &[Source]) -> Json {
    let scope = Scope { sources: columns, lists: &[] };
    let groupable: Vec<&Source> = columns
        .iter()
        .filter(|source| {
            matches!(
                source.class,
                Class::Integer
                    | Class::Big
                    | Class::Text
                    | Class::Boolean
                    | Class::Date
                    | Class::Timestamp
                    | Class::Timestamptz
                    | Class::Numeric
            )
        })
        .collect();
    let mut by = Map::new();
    for number in 1..=*chance.pick(&[0, 0, 1, 1, 2]) {
        let source = chance.pick(&groupable);
        let expression = match source.class {
            Class::Timestamp => format!("date_trunc('hour', {})", source.path),
            Class::Big | Class::Integer if chance.percent(60) => format!("{} % 3", source.path),
            _ => source.path.clone(),
        };
        by.insert(format!("g{number}"), json!(expression));
    }
    let mut rollup = Map::new();
    rollup.insert("from".to_owned(), json!(table));
    let timed: Vec<&Source> = columns
        .iter()
        .filter(|source| matches!(source.class, Class::Timestamp | Class::Timestamptz))
        .collect();
    let has_windows = !timed.is_empty() && chance.percent(40);
    if has_windows {
        rollup.insert("over".to_owned(), json!(chance.pick(&timed).path));
        if let Some(grains) = grains(chance) {
            rollup.insert("grains".to_owned(), grains);
        }
    }
    let mut measures = Map::new();
    measures.insert("m0".to_owned(), json!("count(*)"));
    for number in 1..=chance.between(1, 3) {
        measures.insert(format!("m{number}"), json!(measure(chance, &scope, has_windows)));
    }
    rollup.insert("by".to_owned(), if by.is_empty() { json!([]) } else { Json::Object(by) });
    rollup.insert("measures".to_owned(), Json::Object(measures));
    Json::Object(rollup)
}

/// None is the usual ones. The record's times are of any age, so that what is not kept for ever is
/// pruned.
fn grains(chance: &mut Chance) -> Option<Json> {
    match chance.below(4) {
        0 => Some(json!({ "second": "forever", "minute": "forever" })),
        1 => Some(json!({ "minute": "forever", "day": "forever" })),
        2 => Some(json!({ "second": "25h", "hour": "forever" })),
        _ => None,
    }
}

fn measure(chance: &mut Chance, scope: &Scope<'_>, has_windows: bool) -> String {
    let class = *chance.pick(&[Class::Integer, Class::Numeric, Class::Big, Class::Numeric]);
    let class = if scope.has(class) { class } else { Class::Big };
    let value = match class {
        Class::Numeric if chance.percent(25) && !avoids(Known::WideSum) => {
            format!("{} / {}", scope.source(chance, class), chance.pick(&["2", "4"]))
        }
        Class::Numeric if chance.percent(20) && !avoids(Known::WideSum) => {
            format!("{} * 3", scope.source(chance, class))
        }
        Class::Integer if chance.percent(20) => format!("{} + 1", scope.source(chance, class)),
        _ => scope.source(chance, class),
    };
    let figure = match chance.below(8) {
        0 | 1 => format!("sum({value})"),
        2 => format!("min({value})"),
        3 => format!("max({value})"),
        4 if !has_windows => format!("count(distinct {value})"),
        5 => format!("last({value} ORDER BY id)"),
        6 => format!("avg({value})"),
        _ => "count(*)".to_owned(),
    };
    if chance.percent(35) || figure == "count(*)" {
        format!("{figure} FILTER (WHERE {})", scope.condition(chance, 0))
    } else {
        figure
    }
}
