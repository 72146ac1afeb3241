//! The kinds of panels. What a kind draws is a file of `dashboard/src/panels`; a test holds the two
//! lists together.

use serde_json::{Value as Json, json};

/// A kind of panel: the keys that it takes beside `kind`, `title` and `from`.
pub(super) struct PanelKind {
    pub name: &'static str,
    pub needed: &'static [&'static str],
    pub also: &'static [&'static str],
    /// Whether the value is drawn as long as it is, so that it must be a number.
    pub is_drawn: bool,
}

pub(super) const KINDS: &[PanelKind] = &[
    PanelKind { name: "number", needed: &["value"], also: &["format", "detail"], is_drawn: false },
    PanelKind {
        name: "gauge",
        needed: &["value", "maximum"],
        also: &["minimum", "thresholds", "format", "detail"],
        is_drawn: true,
    },
    PanelKind { name: "timeline", needed: &["time", "series"], also: &[], is_drawn: true },
    PanelKind { name: "bars", needed: &["label", "value"], also: &["format"], is_drawn: true },
    PanelKind { name: "columns", needed: &["label", "value"], also: &["format"], is_drawn: true },
    PanelKind { name: "donut", needed: &["label", "value"], also: &["format"], is_drawn: true },
    PanelKind { name: "pie", needed: &["label", "value"], also: &["format"], is_drawn: true },
    PanelKind { name: "table", needed: &["columns"], also: &[], is_drawn: false },
];

/// Their names, in the order of [`KINDS`].
pub(super) static NAMES: [&str; KINDS.len()] = {
    let mut names = [""; KINDS.len()];
    let mut place = 0;
    while place < KINDS.len() {
        names[place] = KINDS[place].name;
        place += 1;
    }
    names
};

impl PanelKind {
    pub fn takes(&self, key: &str) -> bool {
        ["kind", "title", "from"].contains(&key)
            || self.needed.contains(&key)
            || self.also.contains(&key)
    }
}

/// For each kind the keys that it needs, and those that would mean nothing.
pub(super) fn rules(keys: &[&str]) -> Json {
    let rule = |kind: &PanelKind| {
        let inert =
            keys.iter().filter(|key| !kind.takes(key)).map(|key| (key.to_string(), json!(false)));
        let properties: serde_json::Map<String, Json> = inert.collect();
        json!({ "if": { "properties": { "kind": { "const": kind.name } } }, "then": { "required": kind.needed, "properties": properties } })
    };
    KINDS.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::NAMES;

    #[test]
    fn the_pages_draw_these_kinds() {
        let registry = include_str!("../../../../dashboard/src/panels/registry.ts");
        let (_, behind) =
            registry.split_once("Record<string, PanelKind> = {").expect("the list of kinds");
        let drawn: Vec<&str> =
            behind.split('}').next().unwrap_or_default().split(',').map(str::trim).collect();
        assert_eq!(drawn, NAMES);
    }
}
