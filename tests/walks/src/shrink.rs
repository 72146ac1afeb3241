//! From a walk that fails to the smallest one that fails the same way: steps, records, tables,
//! rollups, columns and keys are taken away, as long as it still does.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value as Json;

use crate::failure::{End, Failure};
use crate::ground::Ground;
use crate::json_text::{Node, Value, parse};
use crate::play::play;
use crate::walk::{Step, Walk};

/// Walks that a shrinking may cost, and time: one that is stuck takes all its patience.
const MOST_WALKS: usize = 250;
const MOST_TIME: Duration = Duration::from_secs(100);

pub async fn shrink(ground: &Ground, walk: &Walk, failure: &Failure) -> Result<Walk> {
    let mut shrinking = Shrinking {
        ground,
        best: walk.clone(),
        failure: failure.clone(),
        walks: 0,
        began: Instant::now(),
    };
    loop {
        let before = shrinking.best.clone();
        shrinking.fewer_steps().await?;
        shrinking.fewer_records().await?;
        shrinking.shorter_records().await?;
        shrinking.less_beforehand().await?;
        shrinking.smaller_file().await?;
        if shrinking.best == before || shrinking.is_over() {
            return Ok(shrinking.best);
        }
    }
}

struct Shrinking<'g> {
    ground: &'g Ground,
    best: Walk,
    failure: Failure,
    walks: usize,
    began: Instant,
}

impl Shrinking<'_> {
    fn is_over(&self) -> bool {
        self.walks >= MOST_WALKS || self.began.elapsed() > MOST_TIME
    }

    /// Takes the candidate if it fails in the same way.
    async fn try_it(&mut self, candidate: Walk) -> Result<bool> {
        let does_something =
            |step: &Step| !matches!(step, Step::Sql(_) | Step::Change(_) | Step::Kill { .. });
        if self.is_over() || candidate == self.best || !candidate.steps.iter().any(does_something) {
            return Ok(false);
        }
        self.walks += 1;
        let same = match play(self.ground, &candidate).await {
            Ok(End::Broken(failure)) => failure.is_like(&self.failure),
            Ok(_) | Err(_) => false,
        };
        if same {
            self.best = candidate;
        }
        Ok(same)
    }

    async fn fewer_steps(&mut self) -> Result<()> {
        let mut at = self.best.steps.len();
        while at > 0 {
            at -= 1;
            let mut candidate = self.best.clone();
            candidate.steps.remove(at);
            if !self.try_it(candidate).await?
                && !matches!(self.best.steps[at], Step::Run | Step::Send(_) | Step::Posts(_))
            {
                let mut candidate = self.best.clone();
                candidate.steps[at] = Step::Run;
                self.try_it(candidate).await?;
            }
        }
        Ok(())
    }

    /// Halves, quarters, ... and single records at last.
    async fn fewer_records(&mut self) -> Result<()> {
        for step in 0..self.best.steps.len() {
            let length = |walk: &Walk| match &walk.steps[step] {
                Step::Send(records) => records.len(),
                Step::Posts(posts) => posts.len(),
                _ => 0,
            };
            let mut piece = length(&self.best).div_ceil(2);
            while piece > 0 {
                let mut from = 0;
                while from < length(&self.best) {
                    let mut candidate = self.best.clone();
                    match &mut candidate.steps[step] {
                        Step::Send(records) => {
                            drop(records.drain(from..(from + piece).min(records.len())))
                        }
                        Step::Posts(posts) => {
                            drop(posts.drain(from..(from + piece).min(posts.len())))
                        }
                        _ => {}
                    }
                    if !self.try_it(candidate).await? {
                        from += piece;
                    }
                }
                piece /= 2;
            }
        }
        Ok(())
    }

    /// Without the keys that the file does not declare any more.
    async fn shorter_records(&mut self) -> Result<()> {
        let declared: Vec<String> = keys(&self.best.pipeline["record"])
            .into_iter()
            .map(|key| key.trim_end_matches('?').to_owned())
            .collect();
        let shorter = |payload: &mut String| {
            let Some(Node { value: Value::Object(entries), .. }) = parse(payload) else { return };
            let kept = entries
                .iter()
                .filter(|(key, _)| declared.contains(key))
                .map(|(key, node)| format!("{key:?}: {}", node.raw));
            *payload = format!("{{{}}}", kept.collect::<Vec<_>>().join(", "));
        };
        let mut candidate = self.best.clone();
        for step in &mut candidate.steps {
            match step {
                Step::Send(records) => {
                    records.iter_mut().for_each(|record| shorter(&mut record.payload))
                }
                Step::Posts(posts) => {
                    posts.iter_mut().flat_map(|post| &mut post.bodies).for_each(shorter)
                }
                _ => {}
            }
        }
        self.try_it(candidate).await?;
        Ok(())
    }

    async fn less_beforehand(&mut self) -> Result<()> {
        let mut at = self.best.beforehand.len();
        while at > 0 {
            at -= 1;
            let mut candidate = self.best.clone();
            candidate.beforehand.remove(at);
            self.try_it(candidate).await?;
        }
        Ok(())
    }

    /// The walk with its file edited, also where it becomes another one on the way.
    fn edited(&self, edit: impl Fn(&mut Json)) -> Walk {
        let mut candidate = self.best.clone();
        edit(&mut candidate.pipeline);
        candidate.steps.iter_mut().for_each(|step| {
            if let Step::Change(file) = step {
                edit(file);
            }
        });
        candidate
    }

    /// Sections, then what is in them, then columns with what fills them.
    async fn smaller_file(&mut self) -> Result<()> {
        for section in ["publish", "views", "rollups", "checks", "text", "once", "batch", "tables"]
        {
            let candidate = self.edited(|file| remove(file, section));
            self.try_it(candidate).await?;
            for name in keys(&self.best.pipeline[section]) {
                let candidate = self.edited(|file| remove(&mut file[section], &name));
                self.try_it(candidate).await?;
                let candidate = self.edited(|file| {
                    if let Some(declared) =
                        file.get_mut(section).and_then(|section| section.get_mut(&name))
                    {
                        remove(declared, "grains");
                        remove(declared, "over");
                    }
                });
                self.try_it(candidate).await?;
                for measure in keys(&self.best.pipeline[section][&name]["measures"]) {
                    let candidate =
                        self.edited(|file| remove(&mut file[section][&name]["measures"], &measure));
                    self.try_it(candidate).await?;
                }
            }
        }
        for table in keys(&self.best.pipeline["tables"]) {
            for column in keys(&self.best.pipeline["tables"][&table]["columns"]) {
                let candidate = self.edited(|file| {
                    let declared = &mut file["tables"][&table];
                    remove(&mut declared["columns"], &column);
                    edit_select(declared, |select| without_output(select, &column));
                });
                self.try_it(candidate).await?;
            }
            let candidate = self.edited(|file| {
                let without_where = |select: &str| {
                    select.rsplit_once(" WHERE ").map_or(select, |(shorter, _)| shorter).to_owned()
                };
                edit_select(&mut file["tables"][&table], without_where);
            });
            self.try_it(candidate).await?;
        }
        for field in keys(&self.best.pipeline["record"]) {
            let candidate = self.edited(|file| remove(&mut file["record"], &field));
            self.try_it(candidate).await?;
        }
        Ok(())
    }
}

fn edit_select(table: &mut Json, edit: impl Fn(&str) -> String) {
    if let Some(select) = table["select"].as_str().map(edit) {
        table["select"] = Json::String(select);
    }
}

fn keys(section: &Json) -> Vec<String> {
    section.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

fn remove(section: &mut Json, name: &str) {
    if let Some(section) = section.as_object_mut() {
        section.shift_remove(name);
    }
}

/// The SELECT without the item that ends in `AS column`.
fn without_output(select: &str, column: &str) -> String {
    let Some((items, from)) =
        select.strip_prefix("SELECT ").and_then(|rest| rest.split_once(" FROM record"))
    else {
        return select.to_owned();
    };
    let (mut kept, mut depth, mut item) = (Vec::new(), 0, String::new());
    for character in items.chars().chain([',']) {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if character == ',' && depth == 0 {
            let whole = std::mem::take(&mut item);
            if !whole.ends_with(&format!(" AS {column}")) {
                kept.push(whole.trim().to_owned());
            }
        } else {
            item.push(character);
        }
    }
    format!("SELECT {} FROM record{from}", kept.join(", "))
}
