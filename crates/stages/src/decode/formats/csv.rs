//! A line of a CSV file as the JSON object that is then read like any record. RFC 4180, with any
//! delimiter: a value in quotes may hold delimiters, line breaks and doubled quotes. What stands
//! behind a closing quote belongs to the value, as everybody reads it.

use std::borrow::Cow;

use super::ReadFormat;
use crate::decode::fault::{Fault, Outcome, excerpt};

/// The columns of one file: which of them the record has, under which name.
#[derive(Debug, Clone)]
pub struct CsvLayout {
    delimiter: u8,
    nulls: Vec<String>,
    /// For each column of the file, the field of the record; None where it has none.
    keys: Vec<Option<Key>>,
}

/// The field that a column of a file holds.
#[derive(Debug, Clone)]
struct Key {
    name: String,
    /// The name as JSON text, with its colon.
    prefix: String,
    is_json: bool,
}

/// A quote was opened and never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclosed;

impl CsvLayout {
    /// `fields` names, for each column of the file, the field of the record. `nulls` are the texts
    /// that stand for no value.
    pub fn new(delimiter: u8, nulls: Vec<String>, fields: &[Option<String>]) -> Self {
        let key = |field: &String| Key {
            name: field.clone(),
            prefix: format!("{}:", serde_json::Value::from(field.as_str())),
            is_json: false,
        };
        Self {
            delimiter,
            nulls,
            keys: fields.iter().map(|field| field.as_ref().map(key)).collect(),
        }
    }

    /// The same, where the values of these fields are JSON and not texts.
    pub fn with_json(mut self, fields: &[&str]) -> Self {
        self.keys
            .iter_mut()
            .flatten()
            .for_each(|key| key.is_json = fields.contains(&key.name.as_str()));
        self
    }

    /// How many values each line has.
    pub fn width(&self) -> usize {
        self.keys.len()
    }

    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    fn write_object(&self, line: &[u8], object: &mut Vec<u8>) -> Outcome<()> {
        object.clear();
        object.push(b'{');
        let mut count = 0;
        for value in Values::new(line, self.delimiter) {
            let value = value.map_err(|Unclosed| {
                Fault::document("csv", "a quote is opened on the line and never closed")
            })?;
            if let Some(Some(key)) = self.keys.get(count) {
                if object.len() > 1 {
                    object.push(b',');
                }
                object.extend_from_slice(key.prefix.as_bytes());
                self.write_value(key, &value, object)?;
            }
            count += 1;
        }
        object.push(b'}');
        if count == self.width() {
            return Ok(());
        }
        let values = if count == 1 { "1 value".to_owned() } else { format!("{count} values") };
        Err(Fault::document(
            "csv",
            format!("the line has {values}, the heading has {}", self.width()),
        ))
    }

    fn write_value(&self, key: &Key, value: &[u8], object: &mut Vec<u8>) -> Outcome<()> {
        let bare = value.trim_ascii();
        if self.nulls.iter().any(|null| null.as_bytes() == bare) {
            object.extend_from_slice(b"null");
            return Ok(());
        }
        if key.is_json {
            // As it stands, once it is known to be one value: what follows a broken one would be
            // read as more keys of the record.
            if serde_json::from_slice::<serde::de::IgnoredAny>(bare).is_err() {
                let shown = excerpt(&String::from_utf8_lossy(bare));
                return Err(
                    Fault::value("type", format!("must be JSON, got {shown}")).in_field(&key.name)
                );
            }
            object.extend_from_slice(bare);
            return Ok(());
        }
        object.push(b'"');
        for byte in value {
            match byte {
                b'"' | b'\\' => object.extend_from_slice(&[b'\\', *byte]),
                0..0x20 => object.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => object.push(*byte),
            }
        }
        object.push(b'"');
        Ok(())
    }
}

impl ReadFormat for CsvLayout {
    /// The line is UTF-8.
    fn document<'a>(&self, line: &'a [u8], room: &'a mut Vec<u8>) -> Outcome<&'a [u8]> {
        self.write_object(line, room)?;
        Ok(room)
    }
}

/// The values of a line, one after the other. An empty line has one, which is empty.
pub struct Values<'l> {
    line: &'l [u8],
    delimiter: u8,
    /// None behind the last value.
    at: Option<usize>,
    is_tidy: bool,
}

impl<'l> Values<'l> {
    pub fn new(line: &'l [u8], delimiter: u8) -> Self {
        Self { line, delimiter, at: Some(0), is_tidy: true }
    }

    /// Whether nothing stood behind a closing quote so far but the next delimiter.
    pub fn is_tidy(&self) -> bool {
        self.is_tidy
    }

    /// The end of a value that goes on here without quotes.
    fn end_of_bare(&self, from: usize) -> usize {
        memchr::memchr(self.delimiter, &self.line[from..])
            .map_or(self.line.len(), |found| from + found)
    }

    fn quoted(&mut self, opening: usize) -> Result<Cow<'l, [u8]>, Unclosed> {
        let mut value = Cow::Borrowed(&self.line[..0]);
        let mut from = opening + 1;
        loop {
            let Some(quote) = memchr::memchr(b'"', &self.line[from..]).map(|found| from + found)
            else {
                self.at = None;
                return Err(Unclosed);
            };
            append(&mut value, &self.line[from..quote]);
            if self.line.get(quote + 1) == Some(&b'"') {
                append(&mut value, b"\"");
                from = quote + 2;
                continue;
            }
            let end = self.end_of_bare(quote + 1);
            let behind = &self.line[quote + 1..end];
            if !behind.trim_ascii().is_empty() {
                self.is_tidy = false;
                append(&mut value, behind);
            }
            self.at = (end < self.line.len()).then_some(end + 1);
            return Ok(value);
        }
    }
}

impl<'l> Iterator for Values<'l> {
    type Item = Result<Cow<'l, [u8]>, Unclosed>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.at?;
        if self.line.get(from) == Some(&b'"') {
            return Some(self.quoted(from));
        }
        let end = self.end_of_bare(from);
        self.at = (end < self.line.len()).then_some(end + 1);
        Some(Ok(Cow::Borrowed(&self.line[from..end])))
    }
}

/// Copies only where a value is not one run of the line's own bytes.
fn append<'l>(value: &mut Cow<'l, [u8]>, more: &'l [u8]) {
    if value.is_empty() && matches!(value, Cow::Borrowed(_)) {
        *value = Cow::Borrowed(more);
    } else if !more.is_empty() {
        value.to_mut().extend_from_slice(more);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use duto_ground::index::RecordIndex;

    fn object(layout: &CsvLayout, line: &str) -> Result<String, String> {
        let mut object = b"left over".to_vec();
        let outcome = layout.write_object(line.as_bytes(), &mut object);
        outcome
            .map(|()| String::from_utf8(object).expect("UTF-8"))
            .map_err(|fault| fault.into_reject(RecordIndex::new(0)).reason)
    }

    #[test]
    fn a_line_becomes_an_object_of_the_declared_fields() {
        let fields = [Some("id".to_owned()), None, Some("de \"onde\"".to_owned())];
        let layout = CsvLayout::new(b',', vec![String::new(), "nan".to_owned()], &fields);
        for (line, expected) in [
            ("1,x,Natal", r#"{"id":"1","de \"onde\"":"Natal"}"#),
            ("1,x,\"Natal, RN\"", r#"{"id":"1","de \"onde\"":"Natal, RN"}"#),
            (r#""1","a ""b"" c","São ""Paulo""""#, r#"{"id":"1","de \"onde\"":"São \"Paulo\""}"#),
            ("1,x,\"Natal\" RN", r#"{"id":"1","de \"onde\"":"Natal RN"}"#),
            ("1,x,\"Natal\" ", r#"{"id":"1","de \"onde\"":"Natal"}"#),
            ("1,x,a\"b", r#"{"id":"1","de \"onde\"":"a\"b"}"#),
            ("1,x,\"a\nb\\\u{1}\"", "{\"id\":\"1\",\"de \\\"onde\\\"\":\"a\\u000ab\\\\\\u0001\"}"),
            (",,", r#"{"id":null,"de \"onde\"":null}"#),
            (" nan ,x,\"\"", r#"{"id":null,"de \"onde\"":null}"#),
            ("nancy,x,NAN", r#"{"id":"nancy","de \"onde\"":"NAN"}"#),
        ] {
            assert_eq!(object(&layout, line).as_deref(), Ok(expected), "{line}");
        }
        for (line, reason) in [
            ("1,x", "the line has 2 values, the heading has 3"),
            ("1,x,y,z", "the line has 4 values, the heading has 3"),
            ("1,x,\"Natal", "a quote is opened on the line and never closed"),
            ("\"1\"\",x,y", "a quote is opened on the line and never closed"),
        ] {
            assert_eq!(object(&layout, line), Err(reason.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_column_of_json_is_one_value_and_no_text() {
        let fields = [Some("id".to_owned()), Some("doc".to_owned())];
        let layout = CsvLayout::new(b',', vec![String::new()], &fields).with_json(&["doc"]);
        for (line, expected) in [
            (r#"1,"{""a"": [1, ""x""]}""#, r#"{"id":"1","doc":{"a": [1, "x"]}}"#),
            ("1, 12.50 ", r#"{"id":"1","doc":12.50}"#),
            ("1,null", r#"{"id":"1","doc":null}"#),
            ("1,", r#"{"id":"1","doc":null}"#),
        ] {
            assert_eq!(object(&layout, line).as_deref(), Ok(expected), "{line}");
        }
        assert_eq!(object(&layout, "1,Natal"), Err("doc must be JSON, got Natal".to_owned()));
        assert_eq!(
            object(&layout, r#"1,"1,""id"":2""#),
            Err(r#"doc must be JSON, got 1,"id":2"#.to_owned())
        );
    }

    proptest! {
        /// Any line falls into the values that the crate `csv` finds in it.
        #[test]
        fn values_are_those_of_the_crate_csv(line in "[a,;\" ü]{0,12}") {
            let own: Result<Vec<String>, Unclosed> = Values::new(line.as_bytes(), b',')
                .map(|value| value.map(|value| String::from_utf8(value.into_owned()).expect("UTF-8")))
                .collect();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
            let theirs: Vec<String> = reader.records().next().map_or_else(
                || vec![String::new()],
                |record| record.expect("a record").iter().map(str::to_owned).collect(),
            );
            // The crate closes a quote at the end of the file; blanks behind a closing quote are
            // nobody's.
            if let Ok(own) = own {
                let bare = |values: Vec<String>| values.into_iter().map(|value| value.trim_end().to_owned()).collect::<Vec<_>>();
                prop_assert_eq!(bare(own), bare(theirs));
            }
        }
    }
}
