//! What a value may depend on: the values before it in its record, and what was kept of earlier
//! records.

use std::collections::{HashMap, HashSet};

/// Of one field so many values are kept at most; then all are forgotten, so that a long run does
/// not grow.
const MOST_KEPT: usize = 100_000;

#[derive(Debug, Default)]
pub struct Memory {
    /// By path, such as `product.price`, the value of this record as JSON.
    values: HashMap<String, String>,
    /// By the field's number and the value that it goes with.
    kept: HashMap<(usize, String), String>,
    /// The numbers of a field that come again and again, and the next one.
    alive: HashMap<usize, (Vec<i64>, i64)>,
    /// By path, values that have come to the end of their steps.
    ended: HashSet<(String, String)>,
}

impl Memory {
    /// Another record begins.
    pub fn begin(&mut self) {
        self.values.clear();
    }

    /// The value at a path, as JSON.
    pub fn remember(&mut self, path: &str, json: &str) {
        self.values.insert(path.to_owned(), json.to_owned());
    }

    /// The keys of an object that was written in one piece.
    pub fn remember_object(&mut self, path: &str, json: &str) {
        let Ok(serde_json::Value::Object(keys)) = serde_json::from_str(json) else { return };
        for (name, value) in keys {
            self.values.insert(format!("{path}.{name}"), value.to_string());
        }
    }

    /// The value that this record has at a path; None where it has none.
    pub fn value(&self, path: &str) -> Option<&str> {
        self.values.get(path).map(String::as_str)
    }

    /// What goes with a value, unless it is to be renewed.
    pub fn kept(
        &mut self,
        field: usize,
        with: &str,
        renew: bool,
        make: impl FnOnce() -> String,
    ) -> String {
        if self.kept.len() > MOST_KEPT {
            self.kept.clear();
        }
        let key = (field, with.to_owned());
        match self.kept.get(&key).filter(|_| !renew) {
            Some(kept) => kept.clone(),
            None => {
                let made = make();
                self.kept.insert(key, made.clone());
                made
            }
        }
    }

    /// What goes with a value becomes what it makes of what was kept of it last.
    pub fn go_on(
        &mut self,
        field: usize,
        with: &str,
        next: impl FnOnce(Option<&str>) -> String,
    ) -> String {
        if self.kept.len() > MOST_KEPT {
            self.kept.clear();
        }
        let key = (field, with.to_owned());
        let made = next(self.kept.get(&key).map(String::as_str));
        self.kept.insert(key, made.clone());
        made
    }

    /// The value at this path has come to its end.
    pub fn end(&mut self, path: &str, value: &str) {
        self.ended.insert((path.to_owned(), value.to_owned()));
    }

    /// One of a field's living numbers: the one at this place among so many. One that has ended
    /// makes room for the next.
    pub fn living(
        &mut self,
        field: usize,
        path: &str,
        place: usize,
        count: usize,
        from: i64,
    ) -> i64 {
        let (numbers, next) = self.alive.entry(field).or_insert_with(|| (Vec::new(), from));
        while numbers.len() < count {
            numbers.push(*next);
            *next += 1;
        }
        let Some(number) = numbers.get_mut(place) else { return from };
        let ended = number.to_string();
        if self.ended.remove(&(path.to_owned(), ended.clone())) {
            self.kept.retain(|(_, with), _| *with != ended);
            *number = *next;
            *next += 1;
        }
        *number
    }

    /// The exact product of the numbers at these paths, as a decimal's units and its decimals; None
    /// where one is missing or no number.
    pub fn product(&self, paths: &[String]) -> Option<(i128, u32)> {
        paths.iter().try_fold((1i128, 0u32), |(units, decimals), path| {
            let text = self.value(path)?;
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let factor: i128 = format!("{whole}{fraction}").parse().ok()?;
            Some((units.checked_mul(factor)?, decimals + fraction.len() as u32))
        })
    }
}
