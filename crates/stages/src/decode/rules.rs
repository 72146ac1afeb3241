//! The declared rules of a value, made ready once so that a record costs comparisons only.

use super::fault::{Fault, Outcome, excerpt};
use super::json::Scanner;
use super::number::Misfit;
use duto_definition::Rules;

/// Allowed texts that a reason names.
const SHOWN_ALLOWED: usize = 10;

/// `minimum` and `maximum` of a number, inclusive.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// In units of the column's last place, rounded inwards, so that a comparison of integers is
    /// exact.
    lowest: i128,
    highest: i128,
    /// For floats, which are compared as floats.
    lowest_double: f64,
    highest_double: f64,
    minimum: String,
    maximum: String,
}

/// `enum`, `min_length` and `max_length` of a text.
#[derive(Debug, Clone, Default)]
pub struct TextRules {
    /// Sorted.
    allowed: Vec<String>,
    /// In the order of the file.
    allowed_words: String,
    length: Lengths,
}

/// `min_length` and `max_length`, in characters or elements.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lengths {
    minimum: Option<u32>,
    maximum: Option<u32>,
}

impl Bounds {
    /// For a column of this scale. What is no decimal is no bound: a pipeline that was checked has
    /// none such.
    pub fn new(rules: &Rules, scale: u32) -> Self {
        let written = |bound: &Option<String>| bound.clone().unwrap_or_default();
        let double = |bound: &Option<String>| bound.as_ref().and_then(|bound| bound.parse().ok());
        let rounded = |bound: &Option<String>, up| {
            bound.as_ref().and_then(|bound| rounded_units(bound, scale, up))
        };
        Self {
            lowest: rounded(&rules.minimum, true).unwrap_or(i128::MIN),
            highest: rounded(&rules.maximum, false).unwrap_or(i128::MAX),
            lowest_double: double(&rules.minimum).unwrap_or(f64::NEG_INFINITY),
            highest_double: double(&rules.maximum).unwrap_or(f64::INFINITY),
            minimum: written(&rules.minimum),
            maximum: written(&rules.maximum),
        }
    }

    /// `value` counts the column's last place; `text` answers how the document wrote it.
    #[inline]
    pub fn check<'a>(&self, value: i128, text: impl FnOnce() -> &'a str) -> Outcome<()> {
        if (self.lowest..=self.highest).contains(&value) {
            Ok(())
        } else {
            Err(self.outside(value < self.lowest, text()))
        }
    }

    #[inline]
    pub fn check_double<'a>(&self, value: f64, text: impl FnOnce() -> &'a str) -> Outcome<()> {
        if (self.lowest_double..=self.highest_double).contains(&value) {
            Ok(())
        } else {
            Err(self.outside(value < self.lowest_double, text()))
        }
    }

    #[cold]
    fn outside(&self, below: bool, text: &str) -> Box<Fault> {
        let got = excerpt(text);
        if below {
            Fault::value("minimum", format!("must be at least {}, got {got}", self.minimum))
        } else {
            Fault::value("maximum", format!("must be at most {}, got {got}", self.maximum))
        }
    }
}

impl TextRules {
    /// `type_limit` is the n of a VARCHAR(n).
    pub fn new(rules: &Rules, type_limit: Option<u32>) -> Self {
        let mut allowed = rules.allowed.clone();
        allowed.sort_unstable();
        let mut allowed_words =
            rules.allowed.iter().take(SHOWN_ALLOWED).cloned().collect::<Vec<_>>().join(", ");
        if allowed.len() > SHOWN_ALLOWED {
            allowed_words.push_str(", …");
        }
        let mut length = Lengths::new(rules);
        length.maximum = [length.maximum, type_limit].into_iter().flatten().min();
        Self { allowed, allowed_words, length }
    }

    pub fn check(&self, text: &str) -> Outcome<()> {
        if !self.allowed.is_empty()
            && self.allowed.binary_search_by(|allowed| allowed.as_str().cmp(text)).is_err()
        {
            let got = excerpt(text);
            return Err(Fault::value(
                "enum",
                format!("must be one of {}, got \"{got}\"", self.allowed_words),
            ));
        }
        let Lengths { minimum, maximum } = self.length;
        // A character takes a byte at least, so most texts need not be counted.
        if minimum.is_some() || maximum.is_some_and(|maximum| text.len() > maximum as usize) {
            self.length.check(text.chars().count(), "characters")?;
        }
        Ok(())
    }
}

impl Lengths {
    pub fn new(rules: &Rules) -> Self {
        Self { minimum: rules.min_length, maximum: rules.max_length }
    }

    /// `unit` is `characters` or `elements`.
    pub fn check(self, length: usize, unit: &str) -> Outcome<()> {
        if let Some(minimum) = self.minimum.filter(|&minimum| length < minimum as usize) {
            return Err(Fault::value(
                "min_length",
                format!("must have at least {minimum} {unit}, got {length}"),
            ));
        }
        if let Some(maximum) = self.maximum.filter(|&maximum| length > maximum as usize) {
            return Err(Fault::value(
                "max_length",
                format!("must have at most {maximum} {unit}, got {length}"),
            ));
        }
        Ok(())
    }
}

/// A decimal as the file writes it, in units of 10^-scale, rounded up or down; at i128's ends where
/// it lies beyond them. None if it is no decimal.
pub fn rounded_units(bound: &str, scale: u32, up: bool) -> Option<i128> {
    let mut scanner = Scanner::new(bound.as_bytes(), 1).ok()?;
    scanner.take(b'+');
    let number = scanner.number().ok()?;
    scanner.end().ok()?;
    for finer in 0..=38_u32.saturating_sub(scale) {
        match number.scaled(scale + finer) {
            Ok(value) => {
                let unit = 10_i128.pow(finer);
                return Some(
                    value.div_euclid(unit) + i128::from(up && value.rem_euclid(unit) != 0),
                );
            }
            Err(Misfit::TooLarge) => {
                return Some(if number.text.starts_with('-') { i128::MIN } else { i128::MAX });
            }
            Err(Misfit::TooFine) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_ground::index::RecordIndex;

    #[test]
    fn bounds_are_rounded_inwards() {
        for (bound, scale, minimum, maximum) in [
            ("0", 18, 0, 0),
            ("0.5", 0, 1, 0),
            ("-0.5", 0, 0, -1),
            ("10.005", 2, 1001, 1000),
            ("-10.005", 2, -1000, -1001),
            ("1e3", 2, 100_000, 100_000),
            ("+7", 0, 7, 7),
            ("1e60", 0, i128::MAX, i128::MAX),
            ("-1e60", 0, i128::MIN, i128::MIN),
        ] {
            assert_eq!(
                (rounded_units(bound, scale, true), rounded_units(bound, scale, false)),
                (Some(minimum), Some(maximum)),
                "{bound}"
            );
        }
    }

    #[test]
    fn texts_are_counted_in_characters() {
        let rules = Rules { min_length: Some(2), max_length: Some(3), ..Rules::default() };
        for (text, type_limit, rule, reason) in [
            ("ã", None, "min_length", "must have at least 2 characters, got 1"),
            ("ãéíó", None, "max_length", "must have at most 3 characters, got 4"),
            ("ãéí", Some(2), "max_length", "must have at most 2 characters, got 3"),
        ] {
            assert_eq!(
                TextRules::new(&rules, type_limit).check(text),
                Err(Fault::value(rule, reason)),
                "{text}"
            );
        }
        for text in ["ãé", "ãéí"] {
            assert_eq!(TextRules::new(&rules, None).check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_long_enum_is_cut_in_the_reason() {
        let rules =
            Rules { allowed: (0..12).map(|n| format!("v{n}")).collect(), ..Rules::default() };
        let rules = TextRules::new(&rules, None);
        assert!(rules.check("v11").is_ok());
        let reject =
            rules.check("x").unwrap_err().in_field("kind").into_reject(RecordIndex::new(0));
        assert_eq!(
            reject.reason,
            "kind must be one of v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, …, got \"x\""
        );
        assert_eq!(reject.rule, "enum");
    }
}
