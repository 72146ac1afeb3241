//! From a walk that fails to the smallest one that fails the same way: steps, records, tables, rollups, columns and keys are taken away,
//! as long as it still does.

use anyhow::Result;
use serde_json::Value as Json;

use crate::failure::{End, Kind};
use crate::ground::Ground;
use crate::play::play;
use crate::walk::{Step, Walk};

/// Walks that a shrinking may cost.
const MOST_WALKS: usize = 250;

pub async fn shrink(ground: &Ground, walk: &Walk, kind: Kind) -> Result<Walk> {
    let mut shrinking = Shrinking { ground, best: walk.clone(), kind, walks: 0 };
    loop {
        let before = shrinking.best.clone();
        shrinking.fewer_steps().await?;
        shrinking.fewer_records().await?;
        shrinking.less_beforehand().await?;
        shrinking.smaller_file().await?;
        if shrinking.best == before || shrinking.walks >= MOST_WALKS {
            return Ok(shrinking.best);
        }
    }
}

struct Shrinking<'g> {
    ground: &'g Ground,
    best: Walk,
    kind: Kind,
    walks: usize,
}

impl Shrinking<'_> {
    /// Takes the candidate if it fails in the same way.
    async fn try_it(&mut self, candidate: Walk) -> Result<bool> {
        if self.walks >= MOST_WALKS || candidate == self.best {
            return Ok(false);
        }
        self.walks += 1;
        let same = match play(self.ground, &candidate).await {
            Ok(End::Broken(failure)) => failure.kind == self.kind,
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
            if !self.try_it(candidate).await? && !matches!(self.best.steps[at], Step::Run | Step::Send(_) | Step::Posts(_)) {
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
                        Step::Send(records) => drop(records.drain(from..(from + piece).min(records.len()))),
                        Step::Posts(posts) => drop(posts.drain(from..(from + piece).min(posts.len()))),
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

    /// Sections, then what is in them, then columns with what fills them.
    async fn smaller_file(&mut self) -> Result<()> {
        for section in ["publish", "views", "rollups", "checks", "text", "once", "batch", "tables"] {
            let mut candidate = self.best.clone();
            if let Some(file) = candidate.pipeline.as_object_mut() {
                file.shift_remove(section);
            }
            self.try_it(candidate).await?;
            for name in keys(&self.best.pipeline[section]) {
                let mut candidate = self.best.clone();
                remove(&mut candidate.pipeline[section], &name);
                self.try_it(candidate).await?;
                for measure in keys(&self.best.pipeline[section][&name]["measures"]) {
                    let mut candidate = self.best.clone();
                    remove(&mut candidate.pipeline[section][&name]["measures"], &measure);
                    self.try_it(candidate).await?;
                }
            }
        }
        for table in keys(&self.best.pipeline["tables"]) {
            for column in keys(&self.best.pipeline["tables"][&table]["columns"]) {
                let mut candidate = self.best.clone();
                let declared = &mut candidate.pipeline["tables"][&table];
                remove(&mut declared["columns"], &column);
                let select = declared["select"].as_str().unwrap_or_default().to_owned();
                declared["select"] = Json::String(without_output(&select, &column));
                self.try_it(candidate).await?;
            }
            let select = self.best.pipeline["tables"][&table]["select"].as_str().unwrap_or_default().to_owned();
            if let Some((shorter, _)) = select.rsplit_once(" WHERE ") {
                let mut candidate = self.best.clone();
                candidate.pipeline["tables"][&table]["select"] = Json::String(shorter.to_owned());
                self.try_it(candidate).await?;
            }
        }
        for field in keys(&self.best.pipeline["record"]) {
            let mut candidate = self.best.clone();
            remove(&mut candidate.pipeline["record"], &field);
            self.try_it(candidate).await?;
        }
        Ok(())
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
    let Some((items, from)) = select.strip_prefix("SELECT ").and_then(|rest| rest.split_once(" FROM record")) else {
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
