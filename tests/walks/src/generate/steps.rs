//! Random steps: records come, workers run and die, somebody holds a table, a position is moved
//! back.

use super::known::{Known, avoids};
use super::record_shape::Shape;
use super::records::records;
use super::tables::Tables;
use crate::chance::Chance;
use crate::walk::{CutPoint, Step};

pub fn steps(
    chance: &mut Chance,
    shape: &Shape,
    tables: &Tables,
    partitions: i32,
    beforehand: &[String],
) -> Vec<Step> {
    let ids = chance.between(5, 60);
    let mut steps = Vec::new();
    for _ in 0..*chance.pick(&[1, 1, 2, 2, 3]) {
        let count = *chance.pick(&[1, 5, 20, 40, 40, 120]);
        steps.push(Step::Send(records(chance, &shape.declared, partitions, count, ids)));
        match chance.below(100) {
            0..12 => {
                steps.push(Step::Kill { after_ms: chance.between(20, 250) as u64 });
                steps.push(Step::Run);
            }
            12..22 => {
                let points = [
                    CutPoint::CommitRequest,
                    CutPoint::CommitAnswer,
                    CutPoint::CopyData,
                    CutPoint::Position,
                    CutPoint::Ledger,
                    CutPoint::AtOnce,
                    CutPoint::AtOnceAnswer,
                ];
                steps.push(Step::Cut {
                    at: *chance.pick(&points),
                    times: chance.between(1, 2) as u32,
                });
            }
            22..26 => steps.push(Step::Lock {
                table: chance.pick(&tables.declared).0.clone(),
                ms: chance.between(10, 300) as u64,
            }),
            26..30 => steps.push(Step::Twins),
            _ => steps.push(Step::Run),
        }
        if chance.percent(8) {
            steps.push(Step::Replay);
        }
        let first = &tables.declared[0].0;
        if beforehand.iter().any(|sql| sql.contains("CONSTRAINT theirs")) && chance.percent(30) {
            steps.push(Step::Sql(format!("ALTER TABLE {first} DROP CONSTRAINT IF EXISTS theirs")));
            steps.push(Step::Replay);
        }
        let own_key = tables.declared[0].1["columns"]["code"].is_string();
        if tables.declared.len() == 1
            && !own_key
            && chance.percent(6)
            && !avoids(Known::ConstraintAndKey)
        {
            let sql = format!(
                "ALTER TABLE {first} DROP CONSTRAINT IF EXISTS later; ALTER TABLE {first} ADD
                    CONSTRAINT later CHECK (id % 4 <> 1) NOT VALID"
            );
            steps.push(Step::Sql(sql));
        }
        if !tables.appends && chance.percent(10) {
            steps.push(Step::Rewind {
                partition: chance.below(partitions as usize) as i32,
                to: chance.between(0, 30),
            });
            steps.push(Step::Run);
        }
    }
    steps
}
