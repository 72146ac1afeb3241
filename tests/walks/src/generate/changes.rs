//! A file that becomes another one between two runs: a rollup more or less, a column more.

use serde_json::{Value as Json, json};

use super::rollups::rollup;
use super::tables::Tables;
use crate::chance::Chance;

/// None where nothing could be changed.
pub fn changed(chance: &mut Chance, pipeline: &Json, tables: &Tables) -> Option<Json> {
    let mut file = pipeline.clone();
    let place = chance.below(tables.declared.len());
    let (name, table) = &tables.declared[place];
    match chance.below(3) {
        0 if table["repeat"] != "update" => {
            if !file["rollups"].is_object() {
                file["rollups"] = json!({});
            }
            file["rollups"]["later"] = rollup(chance, name, &tables.columns[place]);
        }
        1 if file["rollups"].is_object() && !file["views"].is_object() => {
            let first = file["rollups"].as_object()?.keys().next()?.clone();
            file["rollups"].as_object_mut()?.shift_remove(&first);
        }
        _ => {
            let select = table["select"].as_str()?.replacen(
                " FROM record",
                ", id + 1 AS later FROM record",
                1,
            );
            file["tables"][name]["select"] = json!(select);
            file["tables"][name]["columns"]["later"] = json!("BIGINT");
        }
    }
    Some(file)
}
