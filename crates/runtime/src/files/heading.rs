//! The first line of a file: which column is which field of the record.

use super::bad_file::BadFile;
use duto_definition::suggest::did_you_mean;
use duto_definition::{Files, Pipeline};
use duto_stages::decode::{CsvLayout, Unclosed, Values};

/// Delimiters that people use without saying so.
const USUAL: [(u8, &str); 4] = [(b',', "\",\""), (b';', "\";\""), (b'\t', "tab"), (b'|', "\"|\"")];

/// The layout of a file whose first line this is, or everything that is wrong with it. Headings
/// come in any order; a column that the record does not have is not looked at, and one of an
/// optional field may be missing, unless another column's heading is so near that it is likely
/// meant: it would load NULL without a word.
pub fn layout(heading: &[u8], pipeline: &Pipeline, files: &Files) -> Result<CsvLayout, BadFile> {
    let values: Result<Vec<String>, Unclosed> = Values::new(heading, files.delimiter)
        .map(|value| value.map(|value| String::from_utf8_lossy(&value).trim().to_owned()))
        .collect();
    let headings = values.map_err(|Unclosed| {
        BadFile::Heading(vec!["a quote is opened in the heading and never closed".to_owned()])
    })?;
    let mut problems = Vec::new();
    if heading.contains(&b'\r') {
        problems.push(
            "its lines end in a carriage return alone, as on very old Macs: save it with \
            the line ends of today"
                .to_owned(),
        );
        return Err(BadFile::Heading(problems));
    }
    let mut fields: Vec<Option<String>> = vec![None; headings.len()];
    for field in pipeline.record.fields.iter().filter(|field| Files::can_hold(field)) {
        let wanted = files.heading(&field.name);
        let mut places = headings
            .iter()
            .enumerate()
            .filter(|(_, heading)| *heading == wanted)
            .map(|(place, _)| place);
        match (places.next(), places.count()) {
            (Some(place), 0) => fields[place] = Some(field.name.clone()),
            (Some(_), more) => {
                problems.push(format!("the column {wanted} stands there {} times", more + 1))
            }
            (None, _) if field.required => {
                problems.push(missing(&field.name, &headings, pipeline, files))
            }
            (None, _) if files.absent.contains(&field.name) => {}
            (None, _) => problems.extend(misspelt(&field.name, &headings, pipeline, files)),
        }
    }
    if problems.is_empty() {
        let json: Vec<&str> = pipeline
            .record
            .fields
            .iter()
            .filter(|field| Files::is_json(field))
            .map(|field| field.name.as_str())
            .collect();
        return Ok(CsvLayout::new(files.delimiter, files.nulls.clone(), &fields).with_json(&json));
    }
    problems.extend(other_delimiter(heading, &headings, files.delimiter));
    problems.push(format!("the heading is: {}", headings.join(", ")));
    Err(BadFile::Heading(problems))
}

fn missing(field: &str, headings: &[String], pipeline: &Pipeline, files: &Files) -> String {
    let wanted = files.heading(field);
    match nearest(wanted, headings, pipeline, files) {
        Some(nearest) => format!(
            "it has no column {wanted}; \"{nearest}\" is near: rename it, or declare `headings: {{ \
                {field}: {nearest} }}` under `files:`"
        ),
        None => format!("it has no column {wanted}"),
    }
}

/// An optional field that has no column, and a column without a field that looks like its own.
fn misspelt(
    field: &str,
    headings: &[String],
    pipeline: &Pipeline,
    files: &Files,
) -> Option<String> {
    let wanted = files.heading(field);
    let nearest = nearest(wanted, headings, pipeline, files)?;
    Some(format!(
        "it has no column {wanted}, but \"{nearest}\", which no field has: rename it, declare \
            `headings: {{ {field}: {nearest} }}` under \
         `files:`, or, where it is something else, `absent: [{field}]`"
    ))
}

/// The heading without a field that is most like the wanted one, or the same but for case, blanks
/// and signs.
fn nearest<'h>(
    wanted: &str,
    headings: &'h [String],
    pipeline: &Pipeline,
    files: &Files,
) -> Option<&'h str> {
    let is_taken = |heading: &str| {
        pipeline.record.fields.iter().any(|field| files.heading(&field.name) == heading)
    };
    let letters = |text: &str| {
        text.chars()
            .filter(|character| character.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    let free = headings
        .iter()
        .map(String::as_str)
        .filter(|heading| !is_taken(heading) && !heading.is_empty());
    let is_near = |heading: &&str| {
        letters(heading) == letters(wanted) || did_you_mean(wanted, [*heading]).is_some()
    };
    free.filter(is_near)
        .min_by_key(|heading| strsim::damerau_levenshtein(&letters(heading), &letters(wanted)))
}

fn other_delimiter(heading: &[u8], headings: &[String], delimiter: u8) -> Option<String> {
    if headings.len() > 1 {
        return None;
    }
    let (_, word) =
        USUAL.iter().find(|(other, _)| *other != delimiter && heading.contains(other))?;
    Some(format!(
        "it looks as if {word} stood between its values: declare `delimiter: {word}` under `files:`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_definition::parse;

    fn found(files: &str, heading: &str) -> Result<usize, String> {
        let text = format!(
            "pipeline: p\nsource: {{ topic: t }}\ndatabase: {{ name: d }}\nrecord: {{ id_pacote: \
                INTEGER, origem: TEXT, nota?: TEXT, mais?: [TEXT] }}\n\
             tables: {{ t: {{ columns: {{ id_pacote: INTEGER PRIMARY KEY }}, repeat: ignore, \
                select: SELECT id_pacote FROM record }} }}\nfiles: {files}\n"
        );
        let pipeline = parse("p.yaml", &text, &|_| None).expect("a good file");
        let files = pipeline.files.clone().expect("the section");
        layout(heading.as_bytes(), &pipeline, &files)
            .map(|layout| layout.width())
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn columns_come_in_any_order_and_under_declared_headings() {
        assert_eq!(found("{}", "origem,id_pacote"), Ok(2));
        assert_eq!(found("{}", " id_pacote ,\"origem\",anything,nota"), Ok(4));
        assert_eq!(
            found(
                "{ delimiter: \";\", headings: { id_pacote: ID do pacote } }",
                "ID do pacote;origem"
            ),
            Ok(2)
        );
    }

    #[test]
    fn an_optional_column_that_is_likely_misspelt_is_told() {
        for heading in [
            "id_pacote,origem,notas",
            "id_pacote,origem,NOTA",
            "id_pacote,origem,n o t a",
            "id_pacote,origem,x,noat",
        ] {
            let told = found("{}", heading).expect_err(heading);
            assert!(
                told.contains("it has no column nota, but \"") && told.contains("`absent: [nota]`"),
                "{told}"
            );
            assert!(found("{ absent: [nota] }", heading).is_ok(), "{heading}");
        }
        assert_eq!(found("{ headings: { nota: notas } }", "id_pacote,origem,notas"), Ok(3));
        assert_eq!(found("{}", "id_pacote,origem,destino"), Ok(3));
        assert_eq!(found("{}", "id_pacote,origem"), Ok(2));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let told = |files, heading| found(files, heading).expect_err("a bad heading");
        let both = told("{}", "id_pacotes,destino");
        assert!(both.contains("no column id_pacote; \"id_pacotes\" is near"), "{both}");
        assert!(
            both.contains("no column origem")
                && both.contains("the heading is: id_pacotes, destino"),
            "{both}"
        );
        let twice = told("{}", "id_pacote,origem,origem");
        assert!(twice.contains("the column origem stands there 2 times"), "{twice}");
        let semicolons = told("{}", "id_pacote;origem");
        assert!(semicolons.contains("declare `delimiter: \";\"`"), "{semicolons}");
        assert!(told("{}", "id_pacote,\"origem").contains("never closed"));
        assert!(told("{}", "id_pacote,origem\r1,Natal\r").contains("old Macs"));
    }
}
