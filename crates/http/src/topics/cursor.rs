//! A place in every partition at once, as it stands in an address: `0:120,1:98`.

use std::collections::BTreeMap;

use super::looks::Ends;
use super::refusal::Refusal;

/// For each partition an offset.
pub type Marks = BTreeMap<i32, i64>;

pub fn read(text: &str) -> Result<Marks, Refusal> {
    let place = |part: &str| -> Option<(i32, i64)> {
        let (partition, offset) = part.split_once(':')?;
        Some((
            partition.trim().parse().ok().filter(|partition| *partition >= 0)?,
            offset.trim().parse().ok()?,
        ))
    };
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            place(part).ok_or_else(|| {
                Refusal::bad_request(format!(
                    "`{part}` is not a place: give partition:offset, such as 0:120"
                ))
            })
        })
        .collect()
}

pub fn write(marks: &Marks) -> String {
    let places: Vec<String> =
        marks.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
    places.join(",")
}

/// Where the next records will stand.
pub fn of_ends(ends: &Ends) -> Marks {
    ends.iter().map(|(partition, ends)| (*partition, ends.last_stable)).collect()
}

/// The marks within the log, for the partitions that it has.
pub fn within(marks: &Marks, ends: &Ends) -> Marks {
    let clamp = |(partition, offset): (&i32, &i64)| {
        let ends = ends.get(partition)?;
        Some((*partition, (*offset).max(ends.low).min(ends.last_stable)))
    };
    marks.iter().filter_map(clamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_as_they_were_written() {
        let marks = Marks::from([(0, 120), (3, 0)]);
        assert_eq!(write(&marks), "0:120,3:0");
        assert_eq!(read("0:120,3:0"), Ok(marks));
        assert_eq!(read(""), Ok(Marks::new()));
        for bad in ["1", "a:1", "1:b", "-1:5", "1:2;3:4"] {
            assert!(
                read(bad).is_err_and(|refusal| refusal.error.contains("partition:offset")),
                "{bad}"
            );
        }
    }
}
