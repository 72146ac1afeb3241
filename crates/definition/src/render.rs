//! Problems for a person's eyes, each with the line that it is about, and for a program's.

mod line;

use serde_json::json;

use super::Problem;
use line::ShownLine;

const RED: &str = "1;31";
const BLUE: &str = "1;34";
const CYAN: &str = "1;36";
const BOLD: &str = "1";

/// A place as editors count it: lines and columns from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

/// All problems in the file's order, each with its code, its place, its line underlined and its
/// advice. What is shown of the file is its own text, never a variable's value; a password that is
/// written into the file is shown as asterisks.
pub fn render(problems: &[Problem], file_name: &str, text: &str, color: bool) -> String {
    let paint = |code: &str, text: &str| {
        if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    };
    let mut rendered = String::new();
    for problem in in_order(problems) {
        let place = place_of(text, problem.span.start);
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let shown = ShownLine::of(text, problem.span);
        let message = paint(BOLD, &printable(&problem.message));
        rendered
            .push_str(&format!("{}: {message}\n", paint(RED, &format!("error[{}]", problem.code))));
        rendered.push_str(&format!(
            "{margin}{} {file_name}:{}:{}\n",
            paint(BLUE, "-->"),
            place.line,
            place.column
        ));
        rendered.push_str(&format!("{margin} {}\n", paint(BLUE, "|")));
        rendered
            .push_str(format!("{} {}", paint(BLUE, &format!("{number} |")), shown.text).trim_end());
        let underline = format!(
            "{}{}",
            " ".repeat(shown.underline_start),
            paint(RED, &"^".repeat(shown.underline_width))
        );
        rendered.push_str(&format!("\n{margin} {} {underline}\n", paint(BLUE, "|")));
        if let Some(help) = &problem.help {
            rendered.push_str(&format!(
                "{margin} {} {}: {}\n",
                paint(BLUE, "="),
                paint(CYAN, "help"),
                printable(help)
            ));
        }
        rendered.push('\n');
    }
    let count = match problems.len() {
        1 => "1 problem".to_string(),
        count => format!("{count} problems"),
    };
    rendered.push_str(&format!("{file_name}: {count}\n"));
    rendered
}

/// The same for a program: a JSON object a problem, each on a line of its own.
pub fn render_json(problems: &[Problem], file_name: &str, text: &str) -> String {
    let object = |problem: &Problem| {
        let (start, end) = (place_of(text, problem.span.start), place_of(text, problem.span.end));
        let json = json!({
            "file": file_name,
            "line": start.line,
            "column": start.column,
            "end_line": end.line,
            "end_column": end.column,
            "code": problem.code,
            "message": problem.message,
            "help": problem.help,
        });
        format!("{json}\n")
    };
    in_order(problems).into_iter().map(object).collect()
}

fn in_order(problems: &[Problem]) -> Vec<&Problem> {
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by_key(|problem| (problem.span.start, problem.span.end));
    sorted
}

fn place_of(text: &str, offset: usize) -> Place {
    let before = text.get(..text.floor_char_boundary(offset)).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column =
        before[line_start..].chars().filter(|character| *character != '\u{feff}').count() + 1;
    Place { line: before.matches('\n').count() + 1, column }
}

/// Control characters of the file must not reach a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(
            |character| {
                if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn problem(text: &str, underlined: &str) -> Problem {
        let start = text.find(underlined).expect(underlined);
        Problem::new("a.b.c", Span::new(start, start + underlined.len()), "wrong")
            .help("do it right")
    }

    #[test]
    fn tabs_wide_and_combined_characters_are_underlined_right() {
        for (text, underlined, shown, underline) in [
            ("a: bad\n", "bad", "1 | a: bad", "  |    ^^^"),
            ("\ta:\tbad", "bad", "1 |     a:    bad", "  |           ^^^"),
            ("é: ü bad", "bad", "1 | é: ü bad", "  |      ^^^"),
            ("日本: bad", "bad", "1 | 日本: bad", "  |       ^^^"),
            ("e\u{301}: bad", "bad", "1 | e\u{301}: bad", "  |    ^^^"),
            ("x: 日本", "日本", "1 | x: 日本", "  |    ^^^^"),
            ("x: \u{1b}[31mbad", "bad", "1 | x: \u{fffd}[31mbad", "  |         ^^^"),
            ("x: bad\r\ny: 1\r\n", "bad", "1 | x: bad", "  |    ^^^"),
        ] {
            let rendered = render(&[problem(text, underlined)], "f.yaml", text, false);
            let lines: Vec<_> = rendered.lines().collect();
            assert_eq!(lines[3..5], [shown, underline], "{text:?}\n{rendered}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_its_problem() {
        let text = format!("{} bad {}\n", "x".repeat(5000), "y".repeat(5000));
        let rendered = render(&[problem(&text, "bad")], "f.yaml", &text, false);
        let lines: Vec<_> = rendered.lines().collect();
        assert_eq!(lines[1], " --> f.yaml:1:5002");
        assert!(lines[3].chars().count() < 140, "{rendered}");
        let caret = lines[4].chars().position(|character| character == '^').expect("a caret");
        assert_eq!(lines[3].chars().skip(caret).take(3).collect::<String>(), "bad");
    }

    #[test]
    fn a_place_beyond_the_text_is_its_end() {
        for (text, start) in [("a: 1", 99), ("", 0), ("a: 1\n", 5), ("é", 1)] {
            let rendered = render(
                &[Problem::new("a.b.c", Span::new(start, start), "wrong")],
                "f.yaml",
                text,
                false,
            );
            assert!(rendered.contains('^'), "{rendered}");
        }
    }

    #[test]
    fn colors_only_when_asked() {
        let text = "a: bad";
        assert!(render(&[problem(text, "bad")], "f.yaml", text, true).contains("\u{1b}[1;31m"));
        assert!(!render(&[problem(text, "bad")], "f.yaml", text, false).contains('\u{1b}'));
    }

    #[test]
    fn a_program_gets_an_object_a_problem() {
        let text = "a: 1\nb: bad\n";
        let rendered = render_json(&[problem(text, "bad"), problem(text, "1")], "f.yaml", text);
        let lines: Vec<serde_json::Value> =
            rendered.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["line"], &lines[1]["line"]), (&json!(1), &json!(2)));
        assert_eq!((&lines[1]["column"], &lines[1]["end_column"]), (&json!(4), &json!(7)));
    }
}
