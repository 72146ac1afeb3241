//! `time_partition:` of a table: it is kept in pieces, one for each stretch of time.

use chrono::{Datelike, Days, NaiveDate};

use super::{Column, Table, unknown_column};
use crate::keys::{Key, Keys, Presence, Value};
use crate::walk::Fields;
use crate::{ColumnType, Problem, identifier};

/// The column whose time decides in which piece a row is, and how long a piece is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimePartition {
    /// As PostgreSQL folds it: a DATE, a TIMESTAMP or a TIMESTAMPTZ, in every key of the table.
    pub column: String,
    pub interval: Interval,
}

/// A stretch of the calendar, in UTC. Weeks begin on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    Day,
    Week,
    Month,
    Year,
}

/// Days from the first of January of the year 1 to 1970, as the calendar counts them.
const DAYS_TO_1970: i64 = 719_163;

impl Interval {
    /// The word in the file and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The number of the stretch in which a day lies, counted in days since 1970; one after the
    /// other without gaps. None beyond the calendar.
    pub fn number_of(self, day: i64) -> Option<i64> {
        let date = || {
            NaiveDate::from_num_days_from_ce_opt(
                i32::try_from(day.checked_add(DAYS_TO_1970)?).ok()?,
            )
        };
        Some(match self {
            Self::Day => day,
            // 1970 began on a Thursday.
            Self::Week => (day + 3).div_euclid(7),
            Self::Month => i64::from(date()?.year()) * 12 + i64::from(date()?.month0()),
            Self::Year => date()?.year().into(),
        })
    }

    /// The first day of a stretch. None beyond the calendar.
    pub fn start(self, number: i64) -> Option<NaiveDate> {
        let day = |days: i64| {
            NaiveDate::from_num_days_from_ce_opt(
                i32::try_from(days.checked_add(DAYS_TO_1970)?).ok()?,
            )
        };
        match self {
            Self::Day => day(number),
            Self::Week => day(number.checked_mul(7)? - 3),
            Self::Month => NaiveDate::from_ymd_opt(
                i32::try_from(number.div_euclid(12)).ok()?,
                number.rem_euclid(12) as u32 + 1,
                1,
            ),
            Self::Year => NaiveDate::from_ymd_opt(i32::try_from(number).ok()?, 1, 1),
        }
    }

    /// What stands behind the table's name in the name of a piece: `m202510`.
    pub fn suffix(self, first_day: NaiveDate) -> String {
        match self {
            Self::Day => first_day.format("d%Y%m%d").to_string(),
            Self::Week => first_day.format("w%Y%m%d").to_string(),
            Self::Month => first_day.format("m%Y%m").to_string(),
            Self::Year => first_day.format("y%Y").to_string(),
        }
    }

    /// The last day of a stretch, for people. None beyond the calendar.
    pub fn last_day(self, number: i64) -> Option<NaiveDate> {
        self.start(number + 1)?.checked_sub_days(Days::new(1))
    }
}

pub(super) static KEYS: Keys = Keys {
    of: "time_partition",
    keys: &[
        Key {
            name: "column",
            about: "the column whose time decides: a DATE, a TIMESTAMP or a TIMESTAMPTZ that is in \
                every key of the table",
            presence: Presence::Required,
            value: Value::Text,
        },
        Key {
            name: "interval",
            about: "how long a piece is: day, week, month or year; best so that a piece has some \
                million rows",
            presence: Presence::Default("month"),
            value: Value::Word(&["day", "week", "month", "year"]),
        },
    ],
    later: &[],
    note: "",
};

/// Reads the key and reports what PostgreSQL and TimescaleDB would refuse.
pub(super) fn read(fields: &Fields<'_, '_>, table: &Table) -> Option<TimePartition> {
    let entry = fields.entry("time_partition")?;
    let section = fields.section("time_partition")?;
    let walk = fields.walk();
    let interval = section.word("interval").map(|word| match word {
        "day" => Interval::Day,
        "week" => Interval::Week,
        "year" => Interval::Year,
        _ => Interval::Month,
    });
    let written = section.text("column")?;
    let name = identifier::fold(&written).unwrap_or(written);
    let span = section.span("column").unwrap_or(entry.key_span);
    let Some(column) = table.columns.iter().find(|column| column.name == name) else {
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        walk.report(unknown_column(span, &name, &names));
        return None;
    };
    if !matches!(
        column.column_type,
        ColumnType::Date | ColumnType::Timestamp | ColumnType::Timestamptz
    ) {
        let message =
            format!("{name} is {}, and a table is kept in pieces of time", column.column_type);
        walk.report(
            Problem::new("table.time_partition.type", span, message)
                .help("choose a DATE, a TIMESTAMP or a TIMESTAMPTZ"),
        );
    } else if !column.not_null {
        let problem = Problem::new(
            "table.time_partition.null",
            span,
            format!("{name} may be NULL, and NULL is in no piece of time"),
        );
        walk.report(problem.help("give the column NOT NULL"));
    }
    if let Some(key) = key_without(table, column) {
        let message = format!(
            "the key {key} does not hold {name}, so that nothing could keep it unique over all \
                pieces"
        );
        let problem = Problem::new("table.time_partition.key", span, message);
        walk.report(
            problem
                .help(format!("PostgreSQL and TimescaleDB ask for it: primary_key: [..., {name}]")),
        );
    }
    Some(TimePartition { column: name, interval: interval? })
}

/// A unique key of the table in which the column is not.
fn key_without(table: &Table, column: &Column) -> Option<String> {
    let primary: Vec<&str> =
        table.columns.iter().filter(|one| one.primary_key).map(|one| one.name.as_str()).collect();
    if !primary.is_empty() && !primary.contains(&column.name.as_str()) {
        return Some(format!("({})", primary.join(", ")));
    }
    table
        .columns
        .iter()
        .find(|one| one.unique && one.name != column.name)
        .map(|one| format!("({})", one.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_follow_each_other_without_gaps() {
        let day = |text: &str| {
            text.parse::<NaiveDate>()
                .expect(text)
                .signed_duration_since(NaiveDate::default())
                .num_days()
        };
        for (interval, within, start, last, suffix) in [
            (Interval::Day, "2025-10-12", "2025-10-12", "2025-10-12", "d20251012"),
            (Interval::Week, "2025-10-12", "2025-10-06", "2025-10-12", "w20251006"),
            (Interval::Week, "2025-10-13", "2025-10-13", "2025-10-19", "w20251013"),
            (Interval::Month, "2025-10-31", "2025-10-01", "2025-10-31", "m202510"),
            (Interval::Month, "2024-02-29", "2024-02-01", "2024-02-29", "m202402"),
            (Interval::Month, "1969-12-31", "1969-12-01", "1969-12-31", "m196912"),
            (Interval::Year, "2024-12-31", "2024-01-01", "2024-12-31", "y2024"),
        ] {
            let number = interval.number_of(day(within)).expect(within);
            let first = interval.start(number).expect(within);
            assert_eq!(
                (first.to_string().as_str(), interval.suffix(first).as_str()),
                (start, suffix),
                "{within}"
            );
            assert_eq!(
                interval.last_day(number).map(|day| day.to_string()).as_deref(),
                Some(last),
                "{within}"
            );
        }
        for interval in [Interval::Day, Interval::Week, Interval::Month, Interval::Year] {
            for day in -1_000..30_000 {
                let number = interval.number_of(day).expect("a day of the calendar");
                let bounds =
                    [number, number + 1].map(|number| interval.start(number).expect("a stretch"));
                let [first, next] =
                    bounds.map(|date| date.signed_duration_since(NaiveDate::default()).num_days());
                assert!((first..next).contains(&day), "{interval:?} {day}");
            }
        }
        assert_eq!(Interval::Month.number_of(i64::MAX), None);
    }
}
