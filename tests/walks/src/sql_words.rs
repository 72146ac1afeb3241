//! From the SQL of a pipeline file to that of the oracle: a nested field is a column whose name is
//! its path, and a function over a list is a subquery over its elements. Everything else is
//! PostgreSQL's SQL as it stands, which is what the language promises.

use crate::shape::Column;

/// A word, a quoted text or name, a space or a single other character.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Word(String),
    Other(String),
}

impl Token {
    pub fn text(&self) -> &str {
        match self {
            Token::Word(text) | Token::Other(text) => text,
        }
    }

    fn is_space(&self) -> bool {
        self.text().trim().is_empty()
    }
}

pub fn tokens(sql: &str) -> Vec<Token> {
    let characters: Vec<char> = sql.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    while let Some(&first) = characters.get(at) {
        let start = at;
        at += 1;
        if first == '\'' || first == '"' {
            while characters.get(at).is_some_and(|&character| character != first) {
                at += 1;
            }
            at += 1;
        } else if is_word(first) || first.is_whitespace() {
            let word = is_word(first);
            let same =
                |character: char| if word { is_word(character) } else { character.is_whitespace() };
            while characters.get(at).is_some_and(|&character| same(character)) {
                at += 1;
            }
        }
        let text: String = characters[start..at.min(characters.len())].iter().collect();
        let starts_word = first.is_alphabetic() || first == '_';
        tokens.push(if starts_word { Token::Word(text) } else { Token::Other(text) });
    }
    tokens
}

/// The SQL as the oracle runs it.
pub fn translate(sql: &str, columns: &[Column]) -> String {
    translate_tokens(&tokens(sql), columns)
}

fn translate_tokens(tokens: &[Token], columns: &[Column]) -> String {
    let (mut sql, mut at) = (String::new(), 0);
    while let Some(token) = tokens.get(at) {
        if let Token::Word(word) = token {
            if let Some((path, length)) = path(&tokens[at..], columns) {
                sql.push_str(&format!("\"{path}\""));
                at += length;
                continue;
            }
            let function = word.to_lowercase();
            if function.starts_with("list_")
                && tokens.get(at + 1).is_some_and(|next| next.text() == "(")
                && let Some(end) = closing(tokens, at + 1)
            {
                sql.push_str(&list_function(&function, &tokens[at + 2..end], columns));
                at = end + 1;
                continue;
            }
        }
        sql.push_str(token.text());
        at += 1;
    }
    sql
}

/// The longest path of a nested column that begins here, and how many tokens it is.
fn path(tokens: &[Token], columns: &[Column]) -> Option<(String, usize)> {
    let (mut path, mut length, mut found) = (String::new(), 0, None);
    while let Some(Token::Word(word)) = tokens.get(length) {
        path.push_str(&word.to_lowercase());
        length += 1;
        if path.contains('.') && columns.iter().any(|column| column.path == path) {
            found = Some((path.clone(), length));
        }
        if tokens.get(length).is_none_or(|next| next.text() != ".") {
            break;
        }
        path.push('.');
        length += 1;
    }
    found
}

/// Where the parenthesis at `open` closes.
pub fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// `list_sum(list, i -> i.q)` over PostgreSQL's arrays.
fn list_function(function: &str, arguments: &[Token], columns: &[Column]) -> String {
    let mut depth = 0;
    let comma = arguments.iter().position(|token| {
        match token.text() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        depth == 0 && token.text() == ","
    });
    let (list, lambda) = arguments.split_at(comma.unwrap_or(arguments.len()));
    let list = translate_tokens(list, columns);
    let mut lambda = lambda.iter().skip(1).skip_while(|token| token.is_space());
    let element = lambda.next().map_or("v".to_owned(), |token| token.text().to_owned());
    let body: Vec<Token> = lambda.skip_while(|token| token.is_space()).skip(2).cloned().collect();
    let body = if body.is_empty() { element.clone() } else { translate_tokens(&body, columns) };
    let over = |what: &str, filter: &str| {
        format!("(SELECT {what} FROM unnest({list}) AS {element}{filter})")
    };
    let value = match function {
        "list_sum" => format!("coalesce({}, 0)", over(&format!("sum({body})"), "")),
        "list_min" => over(&format!("min({body})"), ""),
        "list_max" => over(&format!("max({body})"), ""),
        "list_count" => over("count(*)", &format!(" WHERE {body}")),
        "list_any" => format!("(TRUE = ANY(ARRAY{}))", over(&format!("({body})"), "")),
        "list_all" => format!("(TRUE = ALL(ARRAY{}))", over(&format!("({body})"), "")),
        other => return format!("{other}(unknown)"),
    };
    format!("(CASE WHEN {list} IS NOT NULL THEN {value} END)")
}

/// A `SELECT ... FROM table [WHERE ...]` without its FROM, for a place where the table's columns
/// have their names anyway.
pub fn without_from(sql: &str) -> String {
    let tokens = tokens(sql);
    let mut depth = 0;
    let from = tokens.iter().position(|token| {
        match token.text() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        depth == 0 && token.text().eq_ignore_ascii_case("from")
    });
    let Some(from) = from else { return sql.to_owned() };
    let rest = tokens[from..]
        .iter()
        .position(|token| token.text().eq_ignore_ascii_case("where"))
        .map(|at| from + at);
    let join = |tokens: &[Token]| tokens.iter().map(Token::text).collect::<String>();
    format!(
        "{} {}",
        join(&tokens[..from]),
        rest.map(|rest| join(&tokens[rest..])).unwrap_or_default()
    )
}
