//! The line of a problem as it is shown: tabs spread, control characters replaced, passwords
//! masked, cut when it is very long.

use std::ops::RangeInclusive;

use duto_ground::seal;

use crate::Span;

const TAB: &str = "    ";
/// Columns of the screen that a line may take.
const MAX_WIDTH: usize = 120;
/// What is shorter is no key of `encryption`, whatever else it is.
const LEAST_KEY_CHARACTERS: usize = 16;
/// Columns that are kept before the problem when a line is cut.
const KEPT_BEFORE: usize = 40;

/// A line and the columns under which the carets stand.
pub(super) struct ShownLine {
    pub text: String,
    pub underline_start: usize,
    /// At least 1.
    pub underline_width: usize,
}

impl ShownLine {
    /// The line in which the span begins, underlined up to the span's or the line's end.
    pub fn of(text: &str, span: Span) -> Self {
        let start = text.floor_char_boundary(span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].split('\n').next().unwrap_or_default();
        let line = line.trim_end_matches('\r');
        let secret = secrets(line);
        let (start, end) =
            (start - line_start, span.end.saturating_sub(line_start).min(line.trim_end().len()));
        let (mut shown, mut column) = (Vec::new(), 0);
        let (mut from, mut to) = (None, 0);
        for (at, character) in line.char_indices() {
            let cell =
                if secret.get(at) == Some(&true) { "*".to_string() } else { cell(character) };
            let width: usize = cell.chars().map(width).sum();
            if at >= start && from.is_none() {
                from = Some(column);
            }
            column += width;
            if at < end {
                to = column;
            }
            shown.push((cell, width));
        }
        let from = from.unwrap_or(column);
        Self::cut(shown, from, to.saturating_sub(from).max(1))
    }

    fn cut(cells: Vec<(String, usize)>, from: usize, width: usize) -> Self {
        let all: usize = cells.iter().map(|(_, width)| width).sum();
        if all <= MAX_WIDTH {
            let text = cells.into_iter().map(|(cell, _)| cell).collect();
            return Self { text, underline_start: from, underline_width: width };
        }
        let wanted = from.saturating_sub(KEPT_BEFORE);
        let (mut text, mut column, mut first) = (String::new(), 0, None);
        for (cell, width) in cells {
            if column >= wanted && column < wanted + MAX_WIDTH {
                first.get_or_insert(column);
                text.push_str(&cell);
            }
            column += width;
        }
        let first = first.unwrap_or(wanted);
        let before = if first > 0 { "..." } else { "" };
        let after = if wanted + MAX_WIDTH < column { "..." } else { "" };
        let underline_width = width.min((first + MAX_WIDTH).saturating_sub(from)).max(1);
        Self {
            text: format!("{before}{text}{after}"),
            underline_start: before.len() + from - first,
            underline_width,
        }
    }
}

fn cell(character: char) -> String {
    match character {
        '\t' => TAB.to_string(),
        '\u{feff}' => String::new(),
        _ if character.is_control() => char::REPLACEMENT_CHARACTER.to_string(),
        _ => character.to_string(),
    }
}

/// Marks that stand on the character before them, and joiners.
const NO_COLUMN: [RangeInclusive<char>; 7] = [
    '\u{300}'..='\u{36f}',
    '\u{1ab0}'..='\u{1aff}',
    '\u{1dc0}'..='\u{1dff}',
    '\u{200b}'..='\u{200f}',
    '\u{20d0}'..='\u{20ff}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{fe20}'..='\u{fe2f}',
];
/// The scripts and symbols that Unicode calls wide.
const TWO_COLUMNS: [RangeInclusive<char>; 10] = [
    '\u{1100}'..='\u{115f}',
    '\u{2e80}'..='\u{303e}',
    '\u{3041}'..='\u{a4cf}',
    '\u{ac00}'..='\u{d7a3}',
    '\u{f900}'..='\u{faff}',
    '\u{fe30}'..='\u{fe6f}',
    '\u{ff00}'..='\u{ff60}',
    '\u{ffe0}'..='\u{ffe6}',
    '\u{1f300}'..='\u{1f9ff}',
    '\u{20000}'..='\u{3fffd}',
];

/// Columns of a terminal that a character takes.
fn width(character: char) -> usize {
    let within =
        |ranges: &[RangeInclusive<char>]| ranges.iter().any(|range| range.contains(&character));
    if within(&NO_COLUMN) { 0 } else { 1 + usize::from(within(&TWO_COLUMNS)) }
}

/// For each byte of the line, whether it belongs to a secret that is written out: the value of a
/// password's key, the password in a URL, or a key of `encryption`. `${NAME}` is none.
fn secrets(line: &str) -> Vec<bool> {
    let mut secret = vec![false; line.len()];
    let lower = line.to_ascii_lowercase();
    for word in ["password", "secret", "passphrase", "token"] {
        for (found, _) in lower.match_indices(word) {
            // The name of a variable is no secret.
            if line[..found]
                .rfind("${")
                .is_some_and(|variable| !line[variable..found].contains('}'))
            {
                continue;
            }
            let behind = found + word.len();
            let rest = &line[behind..];
            let value = rest.trim_start_matches(['"', '\'', ' ']);
            if let Some(value) = value.strip_prefix([':', '=']) {
                mark_value(&mut secret, line.len() - value.len(), value);
            }
        }
    }
    for (found, _) in line.match_indices("://") {
        let authority = line[found + 3..].split(['/', '"', '\'', ' ']).next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@')
            && let Some(colon) = user.find(':')
        {
            mark(&mut secret, found + 3 + colon + 1, &user[colon + 1..]);
        }
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    for word in line.split(|end: char| end.is_whitespace() || matches!(end, '"' | '\'' | ',')) {
        if let Some((id, key)) = word.split_once(':')
            && seal::is_id(id)
            && key.len() >= LEAST_KEY_CHARACTERS
            && key.bytes().all(is_base64)
        {
            mark(&mut secret, key.as_ptr().addr() - line.as_ptr().addr(), key);
        }
    }
    secret
}

fn mark_value(secret: &mut [bool], at: usize, value: &str) {
    let trimmed = value.trim_start();
    let at = at + value.len() - trimmed.len();
    let (offset, length) = match trimmed.chars().next() {
        Some(quote @ ('"' | '\'')) => (1, trimmed[1..].find(quote).unwrap_or(trimmed.len() - 1)),
        _ => (0, trimmed.find([',', '}', '&']).or(trimmed.find(" #")).unwrap_or(trimmed.len())),
    };
    mark(secret, at + offset, &trimmed[offset..offset + length]);
}

fn mark(secret: &mut [bool], at: usize, value: &str) {
    if !value.contains("${")
        && let Some(range) = secret.get_mut(at..at + value.len())
    {
        range.fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_secrets_are_masked() {
        for (line, shown) in [
            ("password: hunter2", "password: *******"),
            (
                "database: { password: \"hunter, 2\", port: x }",
                "database: { password: \"*********\", port: x }",
            ),
            ("sasl.password: hunter2 # mine", "sasl.password: ******* # mine"),
            ("password: \"${DB_PASS}\"", "password: \"${DB_PASS}\""),
            ("url: postgresql://me:hunter2@db/sales", "url: postgresql://me:*******@db/sales"),
            (
                "keys: 'a:AAAAAAAAAAAAAAA=, b:BBBBBBBBBBBBBBBBB'",
                "keys: 'a:****************, b:*****************'",
            ),
            ("at: broker:9092 10:00:00", "at: broker:9092 10:00:00"),
            ("sslmode: \"${DB_PASSWORD:-x}\"", "sslmode: \"${DB_PASSWORD:-x}\""),
            ("topic: sales", "topic: sales"),
        ] {
            assert_eq!(ShownLine::of(line, Span::new(0, 1)).text, shown);
        }
    }
}
