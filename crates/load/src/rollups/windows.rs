//! A rollup with windows: its counters stand in buckets of time, and a function of its name adds up
//! those of a window.
//!
//! Every row of the rollup's table has a grain and the start of its bucket. The table
//! `duto.grains_<name>` says from when on the buckets of a grain are all there. It moves before
//! anything is deleted, and whoever reads counters reads it in the same snapshot: so a window is
//! either right or refused, also while counters are pruned.

use duto_definition::{Grain, Windows};
use duto_ground::quoting::{literal, own_name, quote};
use duto_stages::rollup::{RollupPlan, WHOLE_HISTORY};

/// The column that holds a grain's length in seconds.
pub(super) const GRAIN: &str = "duto_grain";
/// The column that holds the start of a bucket, in UTC.
pub(super) const START: &str = "duto_start";
/// The comment by which a function of ours is known.
const COMMENT: &str = "duto: the window of a rollup";

/// The table of a rollup's counters, quoted, with its schema.
pub fn counters_table(rollup: &str) -> String {
    format!("duto.{}", quote(&own_name(&["rollup", rollup])))
}

/// The table that says from when on a grain's buckets are all there, quoted, with its schema.
pub fn grains_table(rollup: &str) -> String {
    format!("duto.{}", quote(&own_name(&["grains", rollup])))
}

/// Drops the window function that we made for a rollup of this name, if there is one; never
/// somebody else's.
pub fn drop_function(rollup: &str) -> String {
    format!(
        "DO $duto$ DECLARE made regprocedure; BEGIN
             FOR made IN {} LOOP EXECUTE 'DROP FUNCTION ' || made; END LOOP;
         END $duto$",
        functions_named(&literal(rollup))
    )
}

/// A SELECT of the window functions that we made under the name that an SQL expression gives.
pub fn functions_named(expression: &str) -> String {
    format!(
        "SELECT oid::regprocedure FROM pg_proc WHERE proname = {expression} AND \
         pg_function_is_visible(oid) AND obj_description(oid, 'pg_proc') = {}",
        literal(COMMENT)
    )
}

/// The statements of one rollup's windows.
pub(super) struct WindowParts<'p> {
    plan: &'p RollupPlan,
    windows: &'p Windows,
    counters: String,
    grains: String,
}

impl<'p> WindowParts<'p> {
    /// None for a rollup without windows.
    pub fn new(plan: &'p RollupPlan) -> Option<Self> {
        let windows = plan.rollup.windows.as_ref()?;
        Some(Self {
            plan,
            windows,
            counters: counters_table(&plan.rollup.name),
            grains: grains_table(&plan.rollup.name),
        })
    }

    /// What decides what is counted, besides the rest of the rollup's definition.
    pub fn definition(&self) -> String {
        let kept = |grain: &Grain| format!("{} {}", grain.unit.as_str(), grain.kept_text());
        let grains: Vec<String> = self.windows.grains.iter().map(kept).collect();
        let time_type = if self.plan.time_has_zone() { "timestamptz" } else { "timestamp" };
        format!(" over {} {time_type} in {}", self.windows.over.text.trim(), grains.join(", "))
    }

    /// The table of the grains.
    pub fn create(&self) -> String {
        let create = format!(
            "CREATE TABLE {} ({GRAIN} integer NOT NULL, kept interval NOT NULL, kept_from timestamp
                NOT NULL);",
            self.grains
        );
        format!("{create}{}", self.marks())
    }

    /// Says that the buckets of each grain are there from now back as far as it is kept. The latest
    /// of a grain's rows holds.
    fn marks(&self) -> String {
        let pruned = self
            .windows
            .grains
            .iter()
            .filter_map(|grain| Some((grain, kept(grain)?, kept_from(grain)?)));
        let rows: Vec<String> = pruned
            .map(|(grain, kept, from)| format!("({}, {kept}, {from})", grain.unit.seconds()))
            .collect();
        if rows.is_empty() {
            String::new()
        } else {
            format!(" INSERT INTO {} VALUES {};", self.grains, rows.join(", "))
        }
    }

    /// Lets only those of a delta's rows pass whose bucket is kept: of late rows, and of a history
    /// that is read again, the fine counters are not even written. The grain and the start are the
    /// delta's first two columns.
    pub fn passing(&self) -> String {
        let pruned = self.windows.grains.iter().filter(|grain| grain.kept.is_some());
        let whens: Vec<String> = pruned
            .map(|grain| {
                format!(
                    "WHEN '{}' THEN d.c1::timestamp >= {}",
                    grain.unit.seconds(),
                    self.latest_mark(grain)
                )
            })
            .collect();
        if whens.is_empty() {
            String::new()
        } else {
            format!(" WHERE CASE d.c0 {} ELSE true END", whens.join(" "))
        }
    }

    fn latest_mark(&self, grain: &Grain) -> String {
        format!(
            "coalesce((SELECT max(k.kept_from) FROM {} k WHERE k.{GRAIN} = {}), '-infinity')",
            self.grains,
            grain.unit.seconds()
        )
    }

    /// The time of a row of the base table, in UTC.
    fn time(&self) -> String {
        // The plan has it where the rollup has windows.
        let over =
            self.plan.over().map_or_else(|| "NULL".to_owned(), |over| format!("({})", over.sql));
        if self.plan.time_has_zone() {
            format!("timezone('UTC', {over}::timestamptz)")
        } else {
            format!("{over}::timestamp")
        }
    }

    /// Counts the rows that are there. `names` and `values` are what the rows are grouped by and
    /// the counters, `shard` is that of the fill.
    pub fn fill(&self, names: &[String], values: &[String], shard: (&str, i32)) -> String {
        let base = quote(&self.plan.rollup.from);
        let into = format!(
            "INSERT INTO {} ({GRAIN}, {START}, {}, {})",
            self.counters,
            names.join(", "),
            shard.0
        );
        let (values, shard) = (values.join(", "), shard.1);
        let groups = self.plan.rollup.by.len();
        let whole = format!(
            "{into} SELECT {WHOLE_HISTORY}, '-infinity'::timestamp, {values}, {shard} FROM \
                {base}{};",
            places(3, groups)
        );
        let of_grain = |grain: &Grain| {
            let since = kept_from(grain)
                .map_or_else(|| "IS NOT NULL".to_owned(), |from| format!(">= {from}"));
            // A bucket's counters side by side, as a load leaves them: a window reads pages, and of
            // scattered rows it would be one a row.
            format!(
                " {into} SELECT {}, {}, {values}, {shard} FROM {base} WHERE {} {since}{} ORDER BY \
                    2;",
                grain.unit.seconds(),
                truncated(grain, &self.time()),
                self.time(),
                places(2, groups + 1)
            )
        };
        let of_grains: String = self.windows.grains.iter().map(of_grain).collect();
        format!("{whole}{of_grains}{}", self.marks())
    }

    /// For each grain, its buckets as they are kept and as the base table has them, both from when
    /// on they are all there.
    pub fn compared(&self) -> Vec<(String, String)> {
        let rollup = &self.plan.rollup;
        let by: Vec<String> = rollup.by.iter().map(|by| quote(&by.name)).collect();
        let by_over_base: Vec<String> = self
            .plan
            .by()
            .zip(&by)
            .map(|(by, name)| format!("({})::{} AS {name}", by.sql, by.sql_type))
            .collect();
        let (over_shards, over_base) = self.measures();
        let of_grain = |grain: &Grain| {
            let (seconds, mark) = (grain.unit.seconds(), self.latest_mark(grain));
            let kept: Vec<String> = [format!("{seconds} AS {GRAIN}"), START.to_owned()]
                .into_iter()
                .chain(by.iter().cloned())
                .chain(over_shards.iter().cloned())
                .collect();
            let start = truncated(grain, &self.time());
            let base: Vec<String> =
                [format!("{seconds} AS {GRAIN}"), format!("{start} AS {START}")]
                    .into_iter()
                    .chain(by_over_base.iter().cloned())
                    .chain(over_base.iter().cloned())
                    .collect();
            let groups = places(2, by.len() + 1);
            (
                format!(
                    "SELECT {} FROM {} WHERE {GRAIN} = {seconds} AND {START} >= {mark}{groups}",
                    kept.join(", "),
                    self.counters
                ),
                format!(
                    "SELECT {} FROM {} WHERE {} >= {mark}{groups}",
                    base.join(", "),
                    quote(&rollup.from),
                    self.time()
                ),
            )
        };
        self.windows.grains.iter().map(of_grain).collect()
    }

    /// The measures over the counters, and over the rows of the base table.
    fn measures(&self) -> (Vec<String>, Vec<String>) {
        let measures = self.plan.rollup.measures.iter().enumerate();
        measures
            .map(|(index, measure)| {
                let measured = self.plan.measure(index);
                let name = quote(&measure.name);
                (
                    format!("{} AS {name}", measured.over_counters()),
                    format!("{} AS {name}", measured.over_base()),
                )
            })
            .unzip()
    }

    /// The function that answers for a window what the rollup's view answers for the whole history,
    /// and one that takes times without a zone, which are UTC: PostgreSQL would take them for those
    /// of the session's zone.
    pub fn function(&self) -> String {
        let name = quote(&self.plan.rollup.name);
        let head = |types: &str, language: &str| {
            format!(
                "CREATE FUNCTION {name}(from_time {types}, to_time {types}) RETURNS SETOF {name}
                    LANGUAGE {language} STABLE PARALLEL RESTRICTED ROWS 100"
            )
        };
        // A few thousand rows at most are read: starting parallel workers would take ten times as
        // long as that, and a plan that does not know the times overestimates.
        let planning =
            "SET max_parallel_workers_per_gather = 0 SET plan_cache_mode = force_custom_plan";
        let comment = |types: &str| {
            format!("COMMENT ON FUNCTION {name}({types}, {types}) IS {}", literal(COMMENT))
        };
        let without_zone =
            format!("SELECT * FROM {name}(timezone('UTC', $1), timezone('UTC', $2))");
        [
            format!(
                "{} {planning} AS {}",
                head("timestamptz", "plpgsql"),
                dollar_quoted(&self.body())
            ),
            comment("timestamptz"),
            format!("{} AS {}", head("timestamp", "sql"), dollar_quoted(&without_zone)),
            comment("timestamp"),
        ]
        .join(";\n")
    }

    /// Each grain adds what lies between the window's edge and the next whole bucket of the coarser
    /// one, at either end; the coarsest adds what is left in the middle. `lo_1` to `hi_1` is the
    /// whole window, `lo_2` to `hi_2` its part in whole buckets of the second grain.
    fn body(&self) -> String {
        let grains = &self.windows.grains;
        let finest = grains.first().map_or("second", |grain| grain.unit.as_str());
        let mut declared = format!(
            "    lo_1 timestamp := date_trunc('{finest}', timezone('UTC', $1));
    hi_1 timestamp := greatest(lo_1, date_trunc('{finest}', timezone('UTC', $2)));
    kept timestamp;\n"
        );
        let (mut bounds, mut checks, mut arms) = (String::new(), String::new(), Vec::new());
        for (number, grain) in (1..).zip(grains) {
            if number > 1 {
                let (unit, finer) = (grain.unit.as_str(), number - 1);
                declared += &format!("    lo_{number} timestamp;\n    hi_{number} timestamp;\n");
                bounds += &format!(
                    "    lo_{number} := date_trunc('{unit}', lo_{finer});
    IF lo_{number} < lo_{finer} THEN lo_{number} := lo_{number} + interval '1 {unit}'; END IF;
    hi_{number} := date_trunc('{unit}', hi_{finer});
    IF lo_{number} > hi_{number} THEN lo_{number} := hi_{finer}; hi_{number} := hi_{finer}; END \
                        IF;\n"
                );
            }
            let parts = match number < grains.len() {
                true => {
                    vec![
                        (format!("lo_{number}"), format!("lo_{}", number + 1)),
                        (format!("hi_{}", number + 1), format!("hi_{number}")),
                    ]
                }
                false => vec![(format!("lo_{number}"), format!("hi_{number}"))],
            };
            checks += &self.check(grain, &parts);
            arms.extend(parts.iter().map(|(from, to)| self.arm(grain, from, to)));
        }
        let rollup = &self.plan.rollup;
        let columns: Vec<String> =
            rollup.by.iter().map(|by| quote(&by.name)).chain(self.measures().0).collect();
        let given = format!(
            "    IF $1 IS NULL OR $2 IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = {};
    END IF;\n",
            literal(&format!("a window of {} needs both its times, and one is NULL", rollup.name))
        );
        format!(
            "\n#variable_conflict \
                use_column\n<<duto_window>>\nDECLARE\n{declared}BEGIN\n{given}{bounds}{checks}    RETURN QUERY SELECT {} FROM (\n        {}\n    ) AS duto_buckets{};\nEND ",
            columns.join(", "),
            arms.join("\n        UNION ALL "),
            places(1, rollup.by.len())
        )
    }

    fn arm(&self, grain: &Grain, from: &str, to: &str) -> String {
        format!(
            "SELECT * FROM {} WHERE {GRAIN} = {} AND {START} >= duto_window.{from}
                AND {START} < duto_window.{to}",
            self.counters,
            grain.unit.seconds()
        )
    }

    /// Refuses what would need buckets that are not kept.
    fn check(&self, grain: &Grain, parts: &[(String, String)]) -> String {
        if grain.kept.is_none() {
            return String::new();
        }
        let unit = grain.unit.as_str();
        let missing: Vec<String> =
            parts.iter().map(|(from, to)| format!("({from} < {to} AND {from} < kept)")).collect();
        let message =
            format!("{} keeps each {unit} for {}, ", self.plan.rollup.name, grain.kept_text());
        let hint = match self.windows.grains.iter().find(|coarser| coarser.unit > grain.unit) {
            Some(coarser) => {
                format!(
                    "Let the window begin and end at a whole {}, or keep each {unit} longer: \
                        grains of the rollup.",
                    coarser.unit.as_str()
                )
            }
            None => format!("Keep each {unit} longer: grains of the rollup."),
        };
        format!(
            "    kept := (SELECT max(k.kept_from) FROM {} k WHERE k.{GRAIN} = {});
    IF {} THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = {} || format('at present since %s UTC: the window from %s to %s needs older \
                ones', kept, lo_1, hi_1),
            HINT = {};
    END IF;\n",
            self.grains,
            grain.unit.seconds(),
            missing.join(" OR "),
            literal(&message),
            literal(&hint)
        )
    }
}

/// How long a grain is kept, as an interval of SQL; None for ever.
fn kept(grain: &Grain) -> Option<String> {
    Some(format!("interval '{} seconds'", grain.kept?.as_secs()))
}

/// From when on a grain is kept at this moment.
fn kept_from(grain: &Grain) -> Option<String> {
    Some(truncated(grain, &format!("timezone('UTC', now()) - {}", kept(grain)?)))
}

fn truncated(grain: &Grain, time: &str) -> String {
    format!("date_trunc('{}', {time})", grain.unit.as_str())
}

/// ` GROUP BY` so many columns from one of them on.
fn places(first: usize, count: usize) -> String {
    if count == 0 {
        return String::new();
    }
    let places: Vec<String> = (first..first + count).map(|place| place.to_string()).collect();
    format!(" GROUP BY {}", places.join(", "))
}

/// A text between tags that it does not hold.
fn dollar_quoted(text: &str) -> String {
    let mut tag = "$duto$".to_owned();
    while text.contains(&tag) {
        tag.insert(5, '_');
    }
    format!("{tag}{text}{tag}")
}
