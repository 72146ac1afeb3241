//! Durations and sizes as a person writes them: `500ms`, `7d`, `16 MiB`.

use std::time::Duration;

/// The units of a duration, the longest first, in milliseconds.
const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// The units of a size, in bytes.
const BYTE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A whole number and its unit, `d`, `h`, `m`, `s` or `ms`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let (_, milliseconds) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*milliseconds).map(Duration::from_millis)
}

/// A whole number of bytes, or one with its unit, such as `16 MiB` or `64KiB`.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let (_, bytes) =
        BYTE_UNITS.iter().find(|(name, _)| *name == if unit.is_empty() { "B" } else { unit })?;
    number.checked_mul(*bytes)
}

/// `7d`, by the longest unit that divides it; the inverse of [`parse_duration`].
pub(super) fn format_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match DURATION_UNITS
        .iter()
        .find(|(_, unit)| milliseconds > 0 && milliseconds.is_multiple_of(*unit))
    {
        Some((name, unit)) => format!("{}{name}", milliseconds / unit),
        None => "0s".to_string(),
    }
}

/// `16 MiB`, by the largest binary unit that divides it.
pub(super) fn format_bytes(bytes: u64) -> String {
    match BYTE_UNITS[..3].iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("7d", 604_800_000),
            ("500ms", 500),
            ("30s", 30_000),
            ("5 m", 300_000),
            ("0s", 0),
            ("90m", 5_400_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "-1s",
            "1.5s",
            "7 days",
            "1h30m",
            "99999999999999999999s",
            "9999999999999999d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for text in ["7d", "500ms", "30s", "90m", "0s"] {
            assert_eq!(parse_duration(text).map(format_duration).as_deref(), Some(text));
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("16 MiB", 16_777_216),
            ("64KiB", 65_536),
            ("1048576", 1_048_576),
            ("1 MB", 1_000_000),
            ("12B", 12),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "1 mib", "1.5 MiB", "-1", "99999999999999 GiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
        assert_eq!(format_bytes(16 << 20), "16 MiB");
        assert_eq!(format_bytes(1000), "1000 B");
    }
}
