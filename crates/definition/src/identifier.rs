//! Names of tables and columns, which fold as in PostgreSQL.

/// PostgreSQL cuts a longer name silently, so that two names could become one.
const MAX_NAME_BYTES: usize = 63;

/// No column can have one of these names (manual, section 5.5).
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// The name that PostgreSQL gives what is written here: lower case, or exact within double quotes.
/// The error is the rest of a sentence that begins with the name.
pub fn fold(written: &str) -> Result<String, String> {
    let name = match written.strip_prefix('"') {
        Some(rest) => quoted(rest)?,
        None => unquoted(written)?,
    };
    match name.len() {
        0 => Err("is empty".to_string()),
        _ if SYSTEM_COLUMNS.contains(&name.as_str()) => {
            Err("is a column that PostgreSQL gives every table".to_string())
        }
        length if length > MAX_NAME_BYTES => {
            Err(format!("is longer than PostgreSQL's {MAX_NAME_BYTES} bytes"))
        }
        _ => Ok(name),
    }
}

/// The name as SQL: in double quotes where folding would change it.
pub fn to_sql(name: &str) -> String {
    match unquoted(name) {
        Ok(folded) if folded == name && !name.is_empty() => name.to_string(),
        _ => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn quoted(rest: &str) -> Result<String, String> {
    let inner = rest.strip_suffix('"').ok_or("has an opening quote but no closing one")?;
    let name = inner.replace("\"\"", "\"");
    if inner.matches('"').count() != 2 * name.matches('"').count() {
        return Err("has a lone quote inside its quotes".to_string());
    }
    if name.contains('\0') { Err("holds a NUL".to_string()) } else { Ok(name) }
}

fn unquoted(written: &str) -> Result<String, String> {
    let starts = |first: char| first.is_alphabetic() || first == '_';
    let goes_on = |next: char| next.is_alphanumeric() || next == '_' || next == '$';
    if written.chars().next().is_some_and(|first| !starts(first)) || !written.chars().all(goes_on) {
        return Err(format!(
            "is not a PostgreSQL name; put it in double quotes within single ones: '\"{}\"'",
            written.replace('"', "")
        ));
    }
    // PostgreSQL folds the letters A to Z of a UTF-8 database, and leaves the others as they are.
    Ok(written.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_as_in_postgresql() {
        for (written, name) in [
            ("order_number", "order_number"),
            ("OrderNumber", "ordernumber"),
            ("\"productId\"", "productId"),
            ("\"a \"\"b\"\"\"", "a \"b\""),
            ("ÉTAT", "État"),
        ] {
            assert_eq!(fold(written).as_deref(), Ok(name), "{written}");
        }
        for written in
            ["", "1st", "total value", "a-b", "\"open", "\"a\"b\"", "\"\"", "x".repeat(64).as_str()]
        {
            assert!(fold(written).is_err(), "{written}");
        }
    }

    #[test]
    fn sql_quotes_what_would_fold() {
        for (name, sql) in [
            ("total", "total"),
            ("productId", "\"productId\""),
            ("a\"b", "\"a\"\"b\""),
            ("", "\"\""),
        ] {
            assert_eq!(to_sql(name), sql);
        }
    }
}
