//! A rollup's measure as PostgreSQL's aggregate. All are its own but `last`.

use crate::sql_words::{Token, closing, tokens};

pub fn as_aggregate(measure: &str) -> String {
    let tokens = tokens(measure);
    let join = |tokens: &[Token]| tokens.iter().map(Token::text).collect::<String>();
    let is_last = tokens.first().is_some_and(|token| token.text().eq_ignore_ascii_case("last"));
    let (true, Some(end)) = (is_last, closing(&tokens, 1)) else { return measure.to_owned() };
    let inside = &tokens[2..end];
    let Some(order) = inside.iter().position(|token| token.text().eq_ignore_ascii_case("order")) else { return measure.to_owned() };
    let (value, order) = (join(&inside[..order]), join(&inside[order + 1..]));
    let order = order.trim_start().trim_start_matches(['b', 'B']).trim_start_matches(['y', 'Y']).trim();
    let filter = join(&tokens[end + 1..]);
    let condition = match filter.trim().strip_prefix("FILTER (WHERE ").and_then(|rest| rest.strip_suffix(')')) {
        Some(condition) => format!("({condition}) AND ({order}) IS NOT NULL"),
        None => format!("({order}) IS NOT NULL"),
    };
    format!("(array_agg({value} ORDER BY {order} DESC, {value} DESC NULLS LAST) FILTER (WHERE {condition}))[1]")
}
