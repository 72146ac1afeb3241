//! A rollup's measure as PostgreSQL's aggregate. All are its own but `last`, and `avg`, which is
//! PostgreSQL's of a sum without its trailing zeros.

use crate::sql_words::{Token, closing, tokens};

pub fn as_aggregate(measure: &str) -> String {
    let tokens = tokens(measure);
    let join = |tokens: &[Token]| tokens.iter().map(Token::text).collect::<String>();
    let is =
        |name: &str| tokens.first().is_some_and(|token| token.text().eq_ignore_ascii_case(name));
    let (true, Some(end)) = (is("last") || is("avg"), closing(&tokens, 1)) else {
        return measure.to_owned();
    };
    let inside = &tokens[2..end];
    let filter = join(&tokens[end + 1..]);
    if is("avg") {
        let value = join(inside);
        return format!(
            "trim_scale((sum({value}){filter})::numeric) / nullif(count({value}){filter}, 0)"
        );
    }
    let Some(order) = inside.iter().position(|token| token.text().eq_ignore_ascii_case("order"))
    else {
        return measure.to_owned();
    };
    let (value, order) = (join(&inside[..order]), join(&inside[order + 1..]));
    let order =
        order.trim_start().trim_start_matches(['b', 'B']).trim_start_matches(['y', 'Y']).trim();
    let condition = match filter
        .trim()
        .strip_prefix("FILTER (WHERE ")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        Some(condition) => format!("({condition}) AND ({order}) IS NOT NULL"),
        None => format!("({order}) IS NOT NULL"),
    };
    format!(
        "(array_agg({value} ORDER BY {order} DESC, {value} DESC NULLS LAST) FILTER (WHERE \
            {condition}))[1]"
    )
}
