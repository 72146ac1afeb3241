//! Which items of an answer are new, and what is noted beside them. Nothing here waits or sends.

use std::cmp::Ordering;
use std::collections::HashMap;

use chrono::{DateTime, FixedOffset};
use serde_json::value::RawValue;

use super::answer::{Answer, at_path, scalar};
use super::note::{Note, digest};
use duto_definition::{Cursor, Pull};

/// What is appended.
pub struct Taken<'a> {
    pub items: Vec<&'a RawValue>,
    pub note: Note,
    /// There may be more already: the next request need not wait for the interval.
    pub goes_on: bool,
}

/// The new items of an answer to the request that `note` made. An endpoint that does not do what
/// its cursor says is an error, the rest of a sentence that begins with "the answer", unless
/// `repeats_are_harmless`: then items may be taken twice, never left out.
pub fn take<'a>(
    pull: &Pull,
    note: &Note,
    answer: Answer<'a>,
    repeats_are_harmless: bool,
) -> Result<Taken<'a>, String> {
    match &pull.cursor {
        Some(Cursor::Since { field, .. }) => take_since(field, note, answer, repeats_are_harmless),
        _ => take_page(note, answer, pull.cursor.is_none() || repeats_are_harmless),
    }
}

/// A page is asked for again until it names another behind it: meanwhile items are added to it.
fn take_page<'a>(
    note: &Note,
    answer: Answer<'a>,
    repeats_are_harmless: bool,
) -> Result<Taken<'a>, String> {
    let Answer { mut items, next, etag } = answer;
    let read_before = items.get(..note.taken).map(|items| digest(items.iter().copied()));
    let all = (items.len(), digest(items.iter().copied()));
    if note.taken > 0 {
        match read_before == note.digest {
            true => drop(items.drain(..note.taken)),
            false if repeats_are_harmless => {}
            false => {
                return Err("no longer begins with the items that were read from there: what \
                is new in it cannot be told"
                    .to_owned());
            }
        }
    }
    let advances = next.as_ref().filter(|next| Some(*next) != note.at.as_ref());
    let goes_on = advances.is_some() && all.0 > 0;
    let note = match advances {
        Some(next) => Note { at: Some(next.clone()), ..Note::default() },
        None => Note {
            at: note.at.clone(),
            etag,
            taken: all.0,
            digest: (all.0 > 0).then_some(all.1),
            ..Note::default()
        },
    };
    Ok(Taken { items, note, goes_on })
}

/// Items of the greatest value so far come again, and those without the field may; what was taken
/// of them is known by digests.
fn take_since<'a>(
    field: &[String],
    note: &Note,
    answer: Answer<'a>,
    repeats_are_harmless: bool,
) -> Result<Taken<'a>, String> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    note.again
        .iter()
        .chain(&note.without)
        .for_each(|digest| *known.entry(digest.as_str()).or_default() += 1);
    let mut noted = Note { at: note.at.clone(), again: note.again.clone(), ..Note::default() };
    let mut items = Vec::new();
    for item in answer.items {
        let (value, digest) = (at_path(item, field).and_then(scalar), digest([item]));
        if value.is_none() {
            noted.without.push(digest.clone());
        }
        if let Some(left) = known.get_mut(digest.as_str()).filter(|left| **left > 0) {
            *left -= 1;
            continue;
        }
        items.push(item);
        let Some(value) = value else { continue };
        // Smaller than another one of this answer is a matter of order; smaller than what was asked
        // for is not.
        if !repeats_are_harmless
            && note.at.as_deref().is_some_and(|asked| compare(&value, asked) == Ordering::Less)
        {
            let field = field.join(".");
            return Err(format!(
                "holds an item whose {field} is smaller than what was asked for: it does not do \
                    what `cursor` says"
            ));
        }
        match noted.at.as_deref().map_or(Ordering::Greater, |greatest| compare(&value, greatest)) {
            Ordering::Greater => {
                noted.at = Some(value);
                noted.again = vec![digest];
            }
            Ordering::Equal => noted.again.push(digest),
            Ordering::Less => {}
        }
    }
    let advances = noted.at != note.at;
    noted.etag = if advances { None } else { answer.etag };
    Ok(Taken { goes_on: advances && !items.is_empty(), items, note: noted })
}

/// Times as times, numbers as numbers, anything else as text.
fn compare(one: &str, other: &str) -> Ordering {
    let time =
        |text: &str| -> Option<DateTime<FixedOffset>> { DateTime::parse_from_rfc3339(text).ok() };
    if let (Some(one), Some(other)) = (time(one), time(other)) {
        return one.cmp(&other);
    }
    if let (Ok(one), Ok(other)) = (one.parse::<i128>(), other.parse::<i128>()) {
        return one.cmp(&other);
    }
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other),
        _ => one.cmp(other),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pull(cursor: Option<Cursor>) -> Pull {
        let second = Duration::from_secs(1);
        Pull {
            name: "carrier".into(),
            url: None,
            headers: Vec::new(),
            items: vec!["items".into()],
            cursor,
            interval: second,
            timeout: second,
            retry_backoff: second,
            retry_backoff_max: second,
            max_answer_bytes: 1 << 20,
        }
    }

    /// The items that are taken of an answer, what is noted, and whether it goes on.
    fn taken(
        pull: &Pull,
        note: &Note,
        body: &str,
        harmless: bool,
    ) -> Result<(Vec<String>, Note, bool), String> {
        let answer = Answer::read(pull, body.as_bytes(), None, &[])?;
        let taken = take(pull, note, answer, harmless)?;
        Ok((
            taken.items.iter().map(|item| item.get().to_owned()).collect(),
            taken.note,
            taken.goes_on,
        ))
    }

    fn by_value() -> Pull {
        pull(Some(Cursor::Value { query: "after".into(), answer: vec!["next".into()] }))
    }

    fn by_time() -> Pull {
        pull(Some(Cursor::Since { query: "since".into(), field: vec!["t".into()] }))
    }

    #[test]
    fn a_last_page_grows_until_it_names_the_next() {
        let pull = by_value();
        let (items, note, goes_on) =
            taken(&pull, &Note::default(), r#"{"items":[1,2.50],"next":"p2"}"#, false).unwrap();
        assert_eq!(
            (items, note.at.as_deref(), goes_on),
            (vec!["1".to_owned(), "2.50".to_owned()], Some("p2"), true)
        );
        let (items, note, goes_on) =
            taken(&pull, &note, r#"{"items":[3],"next":null}"#, false).unwrap();
        assert_eq!((items, note.at.as_deref(), goes_on), (vec!["3".to_owned()], Some("p2"), false));
        let (items, note, _) = taken(&pull, &note, r#"{"items":[3]}"#, false).unwrap();
        assert!(items.is_empty());
        let (items, note, goes_on) =
            taken(&pull, &note, r#"{"items":[3,4,5],"next":"p3"}"#, false).unwrap();
        assert_eq!(
            (items, note.at.as_deref(), goes_on),
            (vec!["4".to_owned(), "5".to_owned()], Some("p3"), true)
        );
        // An endpoint that always answers a cursor: at its end the same, or another one of no
        // items.
        let (items, note, goes_on) =
            taken(&pull, &note, r#"{"items":[],"next":"p3"}"#, false).unwrap();
        assert_eq!((items.len(), note.at.as_deref(), goes_on), (0, Some("p3"), false));
        let (_, note, goes_on) = taken(&pull, &note, r#"{"items":[],"next":4}"#, false).unwrap();
        assert_eq!((note.at.as_deref(), goes_on), (Some("4"), false));
    }

    #[test]
    fn a_page_that_changed_is_refused_or_taken_whole() {
        let pull = by_value();
        let (_, note, _) = taken(&pull, &Note::default(), r#"{"items":[1,2]}"#, false).unwrap();
        for changed in [r#"{"items":[1]}"#, r#"{"items":[0,1,2]}"#, r#"{"items":[12,3]}"#] {
            assert!(taken(&pull, &note, changed, false).is_err(), "{changed}");
        }
        assert_eq!(taken(&pull, &note, r#"{"items":[0,1,2]}"#, true).unwrap().0, ["0", "1", "2"]);
        let whole = super::tests::pull(None);
        let (_, note, _) = taken(&whole, &Note::default(), r#"{"items":[1,2]}"#, false).unwrap();
        assert_eq!(taken(&whole, &note, r#"{"items":[1,2,3]}"#, false).unwrap().0, ["3"]);
        assert_eq!(taken(&whole, &note, r#"{"items":[2,1]}"#, false).unwrap().0, ["2", "1"]);
    }

    #[test]
    fn items_of_the_greatest_value_are_taken_once_each() {
        let pull = by_time();
        let body = r#"{"items":[{"t":"2024-05-20T10:00:00Z","n":1},{"t":"2024-05-20T12:00:00+01:00","n":2},{"t":"2024-05-20T11:00:00Z","n":3}]}"#;
        let (items, note, goes_on) = taken(&pull, &Note::default(), body, false).unwrap();
        assert_eq!(
            (items.len(), note.at.as_deref(), goes_on),
            (3, Some("2024-05-20T12:00:00+01:00"), true)
        );
        // The two of the greatest time come again, with a third one, twice the same.
        let body = r#"{"items":[{"t":"2024-05-20T12:00:00+01:00","n":2},{"t":"2024-05-20T11:00:00Z","n":3},{"t":"2024-05-20T11:00:00Z","n":4},{"t":"2024-05-20T11:00:00Z","n":4}]}"#;
        let (items, note, goes_on) = taken(&pull, &note, body, false).unwrap();
        assert_eq!((items.len(), goes_on), (2, false));
        assert!(taken(&pull, &note, body, false).unwrap().0.is_empty());
        let smaller = r#"{"items":[{"t":"2024-05-20T10:59:59Z"}]}"#;
        assert!(taken(&pull, &note, smaller, false).is_err());
        assert_eq!(taken(&pull, &note, smaller, true).unwrap().0.len(), 1);
    }

    #[test]
    fn items_without_the_field_are_taken_once_each() {
        let pull = by_time();
        let body = r#"{"items":[{"n":1},{"t":5},{"t":null},7]}"#;
        let (items, note, _) = taken(&pull, &Note::default(), body, false).unwrap();
        assert_eq!((items.len(), note.at.as_deref()), (4, Some("5")));
        let body = r#"{"items":[{"n":1},{"t":10},{"t":null},7,8]}"#;
        let (items, note, _) = taken(&pull, &note, body, false).unwrap();
        assert_eq!(items, [r#"{"t":10}"#, "8"]);
        assert!(taken(&pull, &note, body, false).unwrap().0.is_empty());
    }

    #[test]
    fn an_answer_that_is_one_item_is_taken_when_it_is_another() {
        let mut one = super::tests::pull(None);
        one.items.clear();
        let (items, note, _) = taken(&one, &Note::default(), r#" {"n": 1} "#, false).unwrap();
        assert_eq!(items, [r#"{"n": 1}"#]);
        assert!(taken(&one, &note, r#"{"n": 1}"#, false).unwrap().0.is_empty());
        assert_eq!(taken(&one, &note, r#"{"n": 2}"#, false).unwrap().0.len(), 1);
        assert_eq!(
            taken(&one, &note, r#"[{"n": 1}, {"n": 2}]"#, false).unwrap().0,
            [r#"{"n": 2}"#]
        );
        one.cursor = by_value().cursor;
        assert!(taken(&one, &note, r#"{"n": 1}"#, false).is_err());
    }

    #[test]
    fn an_answer_without_a_list_says_so() {
        let pull = by_value();
        for (body, expected) in [
            ("{", "is not JSON"),
            (r#"{"data":[]}"#, "nothing at items"),
            (r#"{"items":{}}"#, "no list at items"),
            ("[]", "nothing at items"),
        ] {
            let error = taken(&pull, &Note::default(), body, false).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
        for empty in ["", r#"{"items":null}"#, r#"{"items":[]}"#] {
            assert!(taken(&pull, &Note::default(), empty, false).unwrap().0.is_empty(), "{empty}");
        }
    }
}
