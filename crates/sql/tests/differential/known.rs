//! What differs from PostgreSQL, and why. Whatever stands here must still differ.

/// Expressions some of whose rows differ for one reason.
pub struct Difference {
    pub why: &'static str,
    pub expressions: &'static [&'static str],
}

/// A type that an expression has here and another that it has there.
pub struct TypeDifference {
    pub here: &'static str,
    pub there: &'static str,
    pub why: &'static str,
}

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        why: "A whole number that stands in an expression is a BIGINT here and an INTEGER \
            there, where it overflows earlier.",
        expressions: &[
            "'7' * i4",
            "'7' + i4",
            "'7' - i4",
            "2147483647 + i2",
            "i4 * 2",
            "i4 + 2",
            "i4 - 2",
            "i4 / (i4 - 3)",
        ],
    },
    Difference {
        why: "A quotient has 20 places here; there it has 16 significant digits or more. Whole \
            numbers are BIGINT here.",
        expressions: &["d / 3", "i4 * 2 + d / 3", "n / d", "n / i4"],
    },
    Difference {
        why: "A NUMERIC holds 20 digits before the point and 18 behind it here, a sum of \
            BIGINT is one, and neither NaN nor infinity is a NUMERIC or a time: such a \
            record is rejected; places behind the 18th are rounded.",
        expressions: &[
            "CAST(f4 AS NUMERIC(10,2))",
            "CAST(f4 AS NUMERIC(5,0))",
            "CAST(f4 AS NUMERIC)",
            "CAST(f8 AS NUMERIC(10,2))",
            "CAST(f8 AS NUMERIC(30,10))",
            "CAST(f8 AS NUMERIC(5,0))",
            "CAST(f8 AS NUMERIC)",
            "CAST(s AS NUMERIC(10,2))",
            "CAST(s AS NUMERIC(3,2))",
            "CAST(s AS NUMERIC(40,20))",
            "CAST(s AS NUMERIC(5,0))",
            "CAST(s AS NUMERIC)",
            "list_sum(nums, i -> i) as CASE WHEN nums IS NOT NULL THEN coalesce((SELECT sum(i) FROM unnest(nums) i), 0) END",
            "n * i4",
            "n * n * n",
            "n + d",
            "n + i4",
            "n - d",
            "n - i4",
            "to_timestamp(f8)",
        ],
    },
    Difference {
        why: "Over an element for which the lambda is NULL, all of a list is NULL here; the \
            aggregate there leaves it out.",
        expressions: &[
            "list_all(nums, i -> i > 0) as CASE WHEN nums IS NOT NULL THEN coalesce((SELECT bool_and(i > 0) FROM unnest(nums) i), cardinality(nums) = 0 OR NULL) END",
        ],
    },
    Difference {
        why: "Here it is a value, as the types around it suggest; there it is an error that \
            comes of the types alone, or of a constant over NULL.",
        expressions: &[
            "'' || j",
            "CAST(b AS BIGINT)",
            "CAST(b AS SMALLINT)",
            "CAST(i2 AS BOOLEAN)",
            "CAST(i8 AS BOOLEAN)",
            "CAST(j AS DATE)",
            "CAST(j AS TIME)",
            "CAST(j AS TIMESTAMP)",
            "CAST(j AS TIMESTAMPTZ)",
            "CAST(j AS UUID)",
            "extract(hour FROM on_day)",
            "extract(microseconds FROM on_day)",
            "extract(milliseconds FROM on_day)",
            "extract(minute FROM on_day)",
            "extract(second FROM on_day)",
            "left(t, -9223372036854775808)",
            "on_day - i8",
            "split_part(t, ',', 0)",
            "to_hex(i2)",
        ],
    },
    Difference {
        why: "Refused by `check`: the message names what is not known here, and there is no \
            other way to write it.",
        expressions: &[
            "CAST(at AS TIME)",
            "CAST(local AS TIME)",
            "bit_length(y)",
            "convert_from(y, 'LATIN1')",
            "date_trunc('day', local, 'UTC')",
            "extract(epoch FROM INTERVAL '1 day')",
            "round(d, i2)",
            "substr(t, i2)",
            "substring(t FROM 'a.')",
            "t LIKE '100x%%' ESCAPE 'x'",
            "trim(TRAILING FROM t)",
            "trim(t, 'x')",
        ],
    },
    Difference {
        why: "Texts are read in the forms of ISO 8601, UUIDs in their usual ones and floats in \
            decimal digits; words, other orders, hyphens elsewhere and hexadecimal floats \
            are rejected, never read as something else.",
        expressions: &[
            "CAST(s AS DATE)",
            "CAST(s AS DOUBLE PRECISION)",
            "CAST(s AS REAL)",
            "CAST(s AS TIME)",
            "CAST(s AS TIMESTAMP)",
            "CAST(s AS TIMESTAMPTZ)",
            "CAST(s AS UUID)",
        ],
    },
    Difference {
        why: "Computed as DOUBLE PRECISION here, and as NUMERIC there where the argument is \
            one.",
        expressions: &[
            "exp(0.5)",
            "exp(d)",
            "ln(d)",
            "log10(d)",
            "pow(n, 2)",
            "power(d, 2)",
            "sqrt(d)",
        ],
    },
    Difference {
        why: "The last digit of a cube root is the C library's own.",
        expressions: &["cbrt(27)", "cbrt(f8)", "cbrt(i4)"],
    },
    Difference {
        why: "Of two shortest texts that are equally near to a float, the other one is \
            printed; both are read as the same float.",
        expressions: &["f8 * f4", "f8 + d", "f8 - d", "f8 / f4"],
    },
    Difference {
        why: "A BOOLEAN is shown as casts and `||` show it, true and false, and not as t and \
            f.",
        expressions: &["concat(b, '')", "concat_ws(',', b, '')", "concat_ws(p, t, NULL, b)"],
    },
    Difference {
        why: "Seconds are exact here, and a float there, which has 17 digits.",
        expressions: &["date_part('epoch', at)"],
    },
    Difference {
        why: "Letters have the case that Unicode gives them, letter by letter in `initcap`; \
            there it depends on the database's locale.",
        expressions: &[
            "initcap(t)",
            "initcap(t) as initcap(t COLLATE \"und-x-icu\")",
            "lower(t)",
            "t ILIKE 'i%'",
            "upper(p)",
            "upper(t)",
        ],
    },
    Difference {
        why: "A backslash at the very end of a pattern is itself here, and an error there \
            where it is reached.",
        expressions: &["t LIKE '%' || p", "t LIKE 'a\\'", "t LIKE p"],
    },
    Difference {
        why: "The flags are those of Rust's regex crate: i, m, s, U and x; another one rejects \
            the record.",
        expressions: &["regexp_like(t, '^b', 'n')"],
    },
    Difference {
        why: "Regular expressions are those of Rust's regex crate: `\\s` is any space of \
            Unicode, `\\b` the edge of a word, and empty matches behind a match are left \
            out.",
        expressions: &[
            "regexp_replace(t, '\\s+', ' ', 'g')",
            "regexp_replace(t, 'x*', '-', 'g')",
            "t ~ '\\bdonald'",
            "t ~ '\\pL'",
            "t ~ '^\\s'",
            "t ~ 'x\\z'",
        ],
    },
    Difference {
        why: "In a document a moment ends with Z and a float is written as it prints, as \
            everywhere in duto; the value is the same.",
        expressions: &["to_json(at)", "to_jsonb(at)", "to_jsonb(f8)"],
    },
    Difference {
        why: "A constant with a seventh digit is rounded half away from zero here; there it \
            goes through a float.",
        expressions: &["to_timestamp(1790000000.1234565)"],
    },
    Difference {
        why: "A whole number stays one here, exactly; there it becomes a float, of 17 digits.",
        expressions: &["round(i8)", "round(i8, -3)"],
    },
    Difference {
        why: "Of 0 and -0, which are equal, the first is taken here and the last there.",
        expressions: &["greatest(f4, f8)"],
    },
];

pub const TYPES: &[TypeDifference] = &[
    TypeDifference { here: "UInt64", there: "integer", why: "What column it goes into decides." },
    TypeDifference {
        here: "bigint",
        there: "double precision",
        why: "A whole number stays one when it is rounded.",
    },
    TypeDifference {
        here: "bigint",
        there: "integer",
        why: "A whole number that stands in an expression is a BIGINT here.",
    },
    TypeDifference {
        here: "bigint",
        there: "numeric",
        why: "A part of a moment and a sum are whole numbers here; a quotient of one keeps its \
            fraction.",
    },
    TypeDifference {
        here: "double precision",
        there: "numeric",
        why: "Functions of a NUMERIC are computed as DOUBLE PRECISION here.",
    },
    TypeDifference {
        here: "integer",
        there: "double precision",
        why: "A whole number stays one when it is rounded.",
    },
    TypeDifference {
        here: "integer",
        there: "numeric",
        why: "A whole number stays one when it is rounded.",
    },
    TypeDifference { here: "numeric", there: "double precision", why: "Seconds are exact here." },
];
