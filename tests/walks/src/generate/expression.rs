//! Random SQL expressions of a wanted class, in the language of PostgreSQL and of the pipeline
//! file.

use super::record_shape::{Class, Element, ListSource, Source};
use crate::chance::Chance;

/// What an expression may name.
pub struct Scope<'a> {
    pub sources: &'a [Source],
    pub lists: &'a [ListSource],
}

impl Scope<'_> {
    pub fn expression(&self, chance: &mut Chance, class: Class, depth: u32) -> String {
        if depth == 0 || chance.percent(35) {
            return self.source(chance, class);
        }
        let of = |chance: &mut Chance, class: Class| self.expression(chance, class, depth - 1);
        if chance.percent(12)
            && !matches!(class, Class::Json | Class::Bytes | Class::Uuid | Class::Time)
        {
            let (condition, first) = (self.condition(chance, depth - 1), of(chance, class));
            return format!(
                "CASE WHEN {condition} THEN {first} ELSE {} END",
                self.source(chance, class)
            );
        }
        match class {
            Class::Integer | Class::Big => match chance.below(9) {
                0 => format!("({} + {})", of(chance, class), self.literal(chance, Class::Integer)),
                1 => format!("({} * {})", of(chance, class), chance.between(0, 3)),
                2 => format!("({} - {})", self.source(chance, class), self.source(chance, class)),
                3 => format!("coalesce({}, {})", self.source(chance, class), chance.between(0, 9)),
                4 => format!("char_length({})", of(chance, Class::Text)),
                5 => {
                    self.list(chance, Class::Integer).unwrap_or_else(|| self.source(chance, class))
                }
                6 => format!("({} % 7)", self.source(chance, class)),
                // What is divided by a constant 0 fails in PostgreSQL before any row is looked at.
                7 if self.has(Class::Integer) => format!(
                    "({} / {})",
                    self.source(chance, class),
                    self.source(chance, Class::Integer)
                ),
                _ => format!("abs({})", self.source(chance, class)),
            },
            Class::Numeric => match chance.below(9) {
                0 => format!("({} + {})", of(chance, class), self.source(chance, class)),
                1 => {
                    let other = *chance.pick(&[Class::Numeric, Class::Integer]);
                    format!("({} * {})", self.source(chance, class), self.source(chance, other))
                }
                2 => format!("({} - {})", self.source(chance, class), self.literal(chance, class)),
                3 => format!("round({}, {})", of(chance, class), chance.between(0, 3)),
                4 => format!(
                    "({} / {})",
                    self.source(chance, class),
                    chance.pick(&["2", "4", "5", "8"])
                ),
                5 => format!(
                    "coalesce({}, {})",
                    self.source(chance, class),
                    self.literal(chance, class)
                ),
                6 => self.list(chance, class).unwrap_or_else(|| self.source(chance, class)),
                7 => format!("CAST({} AS NUMERIC(12,2))", of(chance, Class::Integer)),
                _ => format!("abs({})", self.source(chance, class)),
            },
            Class::Text => match chance.below(8) {
                0 => format!(
                    "({} || '-' || {})",
                    self.source(chance, class),
                    self.source(chance, class)
                ),
                1 => format!("upper({})", of(chance, class)),
                2 => format!("lower({})", of(chance, class)),
                3 => format!("substr({}, 1, {})", of(chance, class), chance.between(1, 5)),
                4 => format!("coalesce({}, 'none')", self.source(chance, class)),
                5 => {
                    let shown = *chance.pick(&[Class::Integer, Class::Big]);
                    format!("CAST({} AS TEXT)", self.source(chance, shown))
                }
                6 => format!("replace({}, 'a', 'ã')", self.source(chance, class)),
                _ => format!("btrim({})", self.source(chance, class)),
            },
            Class::Boolean => self.condition(chance, depth - 1),
            Class::Timestamp | Class::Timestamptz if chance.percent(60) => {
                format!(
                    "date_trunc('{}', {})",
                    chance.pick(&["hour", "day", "minute", "month"]),
                    self.source(chance, class)
                )
            }
            Class::Date if chance.percent(60) => {
                format!("CAST({} AS DATE)", self.source(chance, Class::Timestamp))
            }
            _ => self.source(chance, class),
        }
    }

    pub fn condition(&self, chance: &mut Chance, depth: u32) -> String {
        if depth > 0 && chance.percent(35) {
            let word = chance.pick(&["AND", "OR"]);
            return format!(
                "({} {word} {})",
                self.condition(chance, depth - 1),
                self.condition(chance, depth - 1)
            );
        }
        match chance.below(7) {
            0 => format!("({} IS NULL)", self.any_source(chance)),
            1 => format!("({} IS NOT NULL)", self.any_source(chance)),
            2 => format!("({} > {})", self.source(chance, Class::Integer), chance.between(-2, 40)),
            3 => format!(
                "({} = {})",
                self.source(chance, Class::Text),
                self.literal(chance, Class::Text)
            ),
            4 => format!(
                "({} >= {})",
                self.source(chance, Class::Numeric),
                self.literal(chance, Class::Numeric)
            ),
            5 => format!("({} IN ('a', 'b', 'purchase'))", self.source(chance, Class::Text)),
            _ => format!("({} % 2 = {})", self.source(chance, Class::Big), chance.below(2)),
        }
    }

    /// A column of the class, or a literal where there is none.
    pub fn source(&self, chance: &mut Chance, class: Class) -> String {
        let fitting: Vec<&Source> =
            self.sources.iter().filter(|source| source.class == class).collect();
        if fitting.is_empty() {
            self.literal(chance, class)
        } else {
            chance.pick(&fitting).path.clone()
        }
    }

    pub fn has(&self, class: Class) -> bool {
        self.sources.iter().any(|source| source.class == class)
    }

    fn any_source(&self, chance: &mut Chance) -> String {
        chance.pick(self.sources).path.clone()
    }

    pub fn literal(&self, chance: &mut Chance, class: Class) -> String {
        match class {
            Class::Integer | Class::Big => chance.between(0, 20).to_string(),
            Class::Numeric => chance.pick(&["0.5", "2.25", "10", "0.01"]).to_string(),
            Class::Text => format!("'{}'", chance.pick(&["a", "b", "purchase", "x''y"])),
            Class::Boolean => chance.pick(&["TRUE", "FALSE"]).to_string(),
            Class::Timestamp => "CAST('2024-05-20 10:00:00' AS TIMESTAMP)".to_owned(),
            Class::Timestamptz => "CAST('2024-05-20 10:00:00Z' AS TIMESTAMPTZ)".to_owned(),
            Class::Date => "CAST('2024-05-20' AS DATE)".to_owned(),
            Class::Time => "CAST('08:30:00' AS TIME)".to_owned(),
            Class::Uuid => "CAST('00000000-0000-4000-8000-000000000001' AS UUID)".to_owned(),
            Class::Json => "CAST('{}' AS JSONB)".to_owned(),
            Class::Bytes => "CAST(NULL AS BYTEA)".to_owned(),
            Class::Double => "CAST(1.5 AS DOUBLE PRECISION)".to_owned(),
            Class::Real => "CAST(1.5 AS REAL)".to_owned(),
        }
    }

    /// A figure of a list.
    fn list(&self, chance: &mut Chance, class: Class) -> Option<String> {
        if self.lists.is_empty() {
            return None;
        }
        let list = chance.pick(self.lists);
        let path = &list.path;
        let wanted = |source: &&Source| source.class == class;
        let inner = match &list.of {
            Element::Scalar(of) if *of == class => Some("e".to_owned()),
            Element::Scalar(_) => None,
            Element::Object(sources) => {
                sources.iter().find(wanted).map(|source| format!("e.{}", source.path))
            }
        };
        match inner {
            None if class == Class::Integer => Some(format!("cardinality({path})")),
            None => None,
            Some(inner) => Some(match chance.below(4) {
                0 => format!("list_sum({path}, e -> {inner})"),
                1 => format!("list_sum({path}, e -> {inner} * 2)"),
                2 => format!("list_{}({path}, e -> {inner})", chance.pick(&["min", "max"])),
                _ if class == Class::Integer => format!("list_count({path}, e -> {inner} > 2)"),
                _ => format!("list_max({path}, e -> {inner})"),
            }),
        }
    }
}
