//! Single values: a JSON token becomes a cell of the declared type, or a fault that says why it
//! cannot.

use super::base64::decode_base64;
use super::column::Cells;
use super::fault::{Fault, Outcome, excerpt};
use super::json::{Mark, Scanner, Seen};
use super::number::{Misfit, Number, POWERS_OF_TEN};
use super::read::{Problems, Reader, Scratch};
use super::rules::Bounds;
use super::text::clean;
use super::time::{TimeFault, parse_date, parse_timestamp};
use duto_definition::TextCleaning;

const A_DATE: &str = "a date such as 2024-05-20";
const A_TIME: &str = "a time such as 2024-05-20T10:00:00Z";

impl<'a> Reader<'a> {
    /// Reads a value that is not null into one more cell.
    pub(super) fn read_scalar(&mut self, cells: &mut Cells) -> Outcome<()> {
        let mark = self.scanner.mark();
        match cells {
            Cells::Boolean(values) => values.push(self.boolean()?),
            Cells::SmallInt(values, bounds) => {
                values.push(self.integer(i16::MIN.into(), i16::MAX.into(), bounds)? as i16)
            }
            Cells::Integer(values, bounds) => {
                values.push(self.integer(i32::MIN.into(), i32::MAX.into(), bounds)? as i32)
            }
            Cells::BigInt(values, bounds) => {
                values.push(self.integer(i64::MIN, i64::MAX, bounds)?)
            }
            Cells::Real(values, bounds) => {
                let number = self.a_number("a number")?;
                values.push(self.float(number, number.single(), bounds, "REAL")?);
            }
            Cells::DoublePrecision(values, bounds) => {
                let number = self.a_number("a number")?;
                values.push(self.float(number, number.double(), bounds, "DOUBLE PRECISION")?);
            }
            Cells::Numeric { values, precision, scale, bounds } => {
                values.push(self.numeric(*precision, *scale, bounds)?)
            }
            Cells::Text(runs, rules) => {
                let text = self.text("a text")?;
                if memchr::memchr(0, text.as_bytes()).is_some() {
                    return Err(Fault::value("nul", "must not hold a NUL character"));
                }
                rules.check(text)?;
                runs.push(text.as_bytes())?;
            }
            Cells::Date(values) => {
                let date = parse_date(self.whole_text(A_DATE)?);
                values.push(date.map_err(|fault| self.no_time(fault, mark, A_DATE))?);
            }
            Cells::Timestamp(values) => {
                let time = parse_timestamp(self.whole_text(A_TIME)?);
                values.push(time.map_err(|fault| self.no_time(fault, mark, A_TIME))?);
            }
            Cells::Formed(runs, form) => {
                let text = self.whole_text(form.wanted)?;
                let mut has_form = false;
                runs.push_with(|bytes| {
                    has_form = (form.read)(text, bytes).is_some();
                    Ok(())
                })?;
                if !has_form {
                    return Err(self.unlike(mark, form.wanted));
                }
            }
            Cells::Jsonb(runs) => runs.push(self.jsonb(mark)?.as_bytes())?,
            Cells::Bytea(runs, lengths) => {
                let text = self.whole_text("base64 text")?;
                let mut length = 0;
                let mut readable = true;
                runs.push_with(|bytes| {
                    let before = bytes.len();
                    readable = decode_base64(text, bytes).is_some();
                    length = bytes.len() - before;
                    Ok(())
                })?;
                if !readable {
                    return Err(self.unlike(mark, "base64 text"));
                }
                lengths.check(length, "bytes")?;
            }
            Cells::Object(_) | Cells::List { .. } => {
                return Err(self.mismatch(mark, "a single value"));
            }
        }
        Ok(())
    }

    /// Reads a text that holds a number or a boolean, as PostgreSQL's input reads it, into one more
    /// cell.
    pub(super) fn read_coerced(&mut self, cells: &mut Cells) -> Outcome<()> {
        let mark = self.scanner.mark();
        let text = self.scanner.string()?.resolve(&mut self.scratch.resolved).trim();
        let wanted = match cells {
            Cells::Boolean(_) => "true or false",
            Cells::SmallInt(..) | Cells::Integer(..) | Cells::BigInt(..) => "an integer",
            _ => "a number",
        };
        let token = if matches!(cells, Cells::Boolean(_)) {
            boolean_token(text)
        } else {
            number_token(text)
        };
        let mut scratch = Scratch::default();
        let outcome = Scanner::new(token.as_bytes(), 1).and_then(|scanner| {
            let mut inner = Reader::new(scanner, self.cleaning, &mut scratch, Problems::First);
            inner.read_scalar(cells)?;
            inner.scanner.end()
        });
        // What is no token at all has its place in the text, which nobody sees.
        outcome.map_err(|fault| if fault.of_document { self.unlike(mark, wanted) } else { fault })
    }

    /// Another kind of value stands here than was declared. Where its own grammar is broken, that
    /// is the fault.
    #[cold]
    pub(super) fn mismatch(&mut self, mark: Mark, wanted: &str) -> Box<Fault> {
        match self.scanner.skip_value() {
            Ok(()) => self.unlike(mark, wanted),
            Err(fault) => fault,
        }
    }

    /// The value from the mark to here is not what was declared.
    #[cold]
    fn unlike(&self, mark: Mark, wanted: &str) -> Box<Fault> {
        Fault::value("type", format!("must be {wanted}, got {}", excerpt(self.scanner.since(mark))))
    }

    fn boolean(&mut self) -> Outcome<bool> {
        match self.scanner.peek() {
            Some(b't') => self.scanner.literal("true").map(|()| true),
            Some(b'f') => self.scanner.literal("false").map(|()| false),
            _ => Err(self.mismatch(self.scanner.mark(), "true or false")),
        }
    }

    fn a_number(&mut self, wanted: &str) -> Outcome<Number<'a>> {
        match self.scanner.peek() {
            Some(b'-' | b'0'..=b'9') => self.scanner.number(),
            _ => Err(self.mismatch(self.scanner.mark(), wanted)),
        }
    }

    #[inline]
    fn integer(&mut self, lowest: i64, highest: i64, bounds: &Bounds) -> Outcome<i64> {
        let mark = self.scanner.mark();
        match self.scanner.plain_integer().filter(|value| (lowest..=highest).contains(value)) {
            Some(value) => {
                bounds.check(value.into(), || self.scanner.since(mark))?;
                Ok(value)
            }
            None => {
                self.scanner.go_back(mark);
                self.any_integer(lowest, highest, bounds)
            }
        }
    }

    /// An integer however it is written.
    fn any_integer(&mut self, lowest: i64, highest: i64, bounds: &Bounds) -> Outcome<i64> {
        let number = self.a_number("an integer")?;
        let beyond = || {
            Fault::value(
                "range",
                format!("must be between {lowest} and {highest}, got {}", excerpt(number.text)),
            )
        };
        let value = number.scaled(0).map_err(|misfit| match misfit {
            Misfit::TooFine => {
                Fault::value("type", format!("must be an integer, got {}", excerpt(number.text)))
            }
            Misfit::TooLarge => beyond(),
        })?;
        let narrow = i64::try_from(value)
            .ok()
            .filter(|value| (lowest..=highest).contains(value))
            .ok_or_else(beyond)?;
        bounds.check(value, || number.text)?;
        Ok(narrow)
    }

    fn numeric(&mut self, precision: u8, scale: u8, bounds: &Bounds) -> Outcome<i128> {
        let number = self.a_number("a number")?;
        let too_large = || {
            let whole = precision.saturating_sub(scale);
            Fault::value(
                "range",
                format!(
                    "must have at most {whole} digits before the point, got {}",
                    excerpt(number.text)
                ),
            )
        };
        let value = number.scaled(u32::from(scale)).map_err(|misfit| match misfit {
            Misfit::TooFine => Fault::value(
                "scale",
                format!("must have at most {scale} decimals, got {}", excerpt(number.text)),
            ),
            Misfit::TooLarge => too_large(),
        })?;
        if POWERS_OF_TEN
            .get(usize::from(precision))
            .is_some_and(|&limit| value.unsigned_abs() >= limit)
        {
            return Err(too_large());
        }
        bounds.check(value, || number.text)?;
        Ok(value)
    }

    fn float<T: Into<f64> + Copy>(
        &self,
        number: Number<'_>,
        nearest: Option<T>,
        bounds: &Bounds,
        type_name: &str,
    ) -> Outcome<T> {
        let nearest = nearest.ok_or_else(|| {
            Fault::value(
                "range",
                format!("must be within the range of {type_name}, got {}", excerpt(number.text)),
            )
        })?;
        // The rule is about the number as written, which a REAL may only come near.
        bounds.check_double(number.double().unwrap_or(nearest.into()), || number.text)?;
        Ok(nearest)
    }

    /// A string, resolved and cleaned.
    fn text(&mut self, wanted: &str) -> Outcome<&str> {
        self.cleaned(wanted, self.cleaning)
    }

    /// The same of a string that stands for something else, such as a time, which would be another
    /// one without its end.
    fn whole_text(&mut self, wanted: &str) -> Outcome<&str> {
        self.cleaned(wanted, TextCleaning { max_length: None, ..self.cleaning })
    }

    fn cleaned(&mut self, wanted: &str, cleaning: TextCleaning) -> Outcome<&str> {
        if self.scanner.peek() != Some(b'"') {
            return Err(self.mismatch(self.scanner.mark(), wanted));
        }
        let text = self.scanner.string()?.resolve(&mut self.scratch.resolved);
        Ok(clean(text, cleaning, &mut self.scratch.cleaned))
    }

    /// Any value, as its own text; PostgreSQL must be able to take it.
    fn jsonb(&mut self, mark: Mark) -> Outcome<&'a str> {
        let Seen { nul, number_beyond_numeric } = self.scanner.skip_jsonb()?;
        if nul {
            return Err(Fault::value("nul", "must not hold a NUL character"));
        }
        if number_beyond_numeric {
            return Err(Fault::value(
                "range",
                "must not hold a number beyond the range of NUMERIC",
            ));
        }
        Ok(self.scanner.since(mark))
    }

    #[cold]
    fn no_time(&self, fault: TimeFault, mark: Mark, wanted: &str) -> Box<Fault> {
        match fault {
            TimeFault::Shape => self.unlike(mark, wanted),
            TimeFault::Range => Fault::value(
                "range",
                format!("must be a time that exists, got {}", excerpt(self.scanner.since(mark))),
            ),
        }
    }
}

/// JSON knows neither a plus nor leading zeros, and asks for a digit before the point.
fn number_token(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let bare = digits.trim_start_matches('0');
    let had_zeros = bare.len() < digits.len();
    let needs_zero = !bare.starts_with(|first: char| first.is_ascii_digit())
        && (had_zeros || bare.starts_with('.'));
    format!("{sign}{}{bare}", if needs_zero { "0" } else { "" })
}

/// The words that PostgreSQL takes.
fn boolean_token(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => "true".to_owned(),
        "false" | "f" | "no" | "n" | "off" | "0" => "false".to_owned(),
        _ => text.to_owned(),
    }
}
