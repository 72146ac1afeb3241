//! Tables that somebody else made before the pipeline came: the columns in another order, more of
//! them, constraints and triggers. What is refused depends on the id alone, so that it does not
//! depend on which of several records of an id comes first.

use serde_json::Value as Json;

use super::known::{Known, avoids};
use super::tables::Tables;
use crate::chance::Chance;

pub fn beforehand(chance: &mut Chance, tables: &Tables) -> Vec<String> {
    let mut script = Vec::new();
    // Others may reference a table that the pipeline makes itself: the first one references none.
    let Some((name, table)) = tables.declared.first() else { return script };
    if !chance.percent(25) || table["time_partition"].is_object() {
        return script;
    }
    let key: Vec<&str> =
        table["primary_key"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let mut columns: Vec<String> = table["columns"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, line)| format!("{name} {}", line.as_str().unwrap_or_default()))
        .collect();
    if chance.percent(60) {
        columns.reverse();
    }
    if chance.percent(50) {
        columns
            .insert(chance.below(columns.len()), "extra TEXT NOT NULL DEFAULT 'theirs'".to_owned());
    }
    if chance.percent(30) {
        columns.push("doubled BIGINT GENERATED ALWAYS AS (id * 2) STORED".to_owned());
    }
    // An identity is never NULL, which the file must say as well.
    let may_be_null = columns.iter().any(|column| column == "id BIGINT") && !key.contains(&"id");
    if chance.percent(20) && !may_be_null && !avoids(Known::AlwaysIdentity) {
        // The record feeds it nevertheless.
        columns
            .iter_mut()
            .filter(|column| column.starts_with("id BIGINT"))
            .for_each(|column| column.insert_str(9, " GENERATED ALWAYS AS IDENTITY"));
    }
    if !key.is_empty() {
        columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    // Where the key is not made of the id, a row that is refused may stand before or behind one of
    // its key that is not.
    let may_refuse = !table["columns"]["code"].is_string();
    if may_refuse && chance.percent(30) {
        columns.push("CONSTRAINT theirs CHECK (id % 7 <> 3)".to_owned());
    }
    let lookup = may_refuse && chance.percent(30);
    if lookup {
        script.push(
            "CREATE TABLE lookup (id BIGINT PRIMARY KEY); INSERT INTO lookup SELECT n
                FROM generate_series(1, 1000) n WHERE n % 5 <> 1"
                .to_owned(),
        );
        let deferred = if chance.percent(50) && !avoids(Known::DeferredConstraint) {
            " DEFERRABLE INITIALLY DEFERRED"
        } else {
            ""
        };
        columns.push(format!("CONSTRAINT known FOREIGN KEY (id) REFERENCES lookup (id){deferred}"));
    }
    script.push(format!("CREATE TABLE {name} ({})", columns.join(", ")));
    let refusal = match chance.below(100) {
        _ if !may_refuse => return script,
        0..20 if !avoids(Known::TriggerException) => "RAISE EXCEPTION ''not this one''",
        // Where a key may be in a row's way, a row that is not there says nothing.
        20..40 if !avoids(Known::TriggerSwallows) && table["repeat"] == "append" => "RETURN NULL",
        _ => return script,
    };
    script.push(format!(
        "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN IF NEW.id % 6 = 5 THEN {refusal}; END IF; RETURN NEW; END'"
    ));
    script.push(format!(
        "CREATE TRIGGER theirs BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION theirs()"
    ));
    script
}
