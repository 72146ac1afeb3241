//! The `Link` header, as RFC 8288 writes it: `<https://host/items?page=2>; rel="next", <...>;
//! rel="last"`.

/// The address under a relation.
pub fn target(header: &str, relation: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, behind)) = rest.split_once('<') {
        let (address, behind) = behind.split_once('>')?;
        // The parameters end at a comma that stands in no quotes.
        let mut quoted = false;
        let end = behind.find(|letter| {
            quoted ^= letter == '"';
            letter == ',' && !quoted
        });
        let (parameters, next) = end.map_or((behind, ""), |end| behind.split_at(end));
        let relations = parameters.split(';').filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"'))
        });
        if relations.flat_map(str::split_whitespace).any(|one| one.eq_ignore_ascii_case(relation)) {
            return Some(address.to_owned());
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn links_are_found_by_their_relation() {
        let header = r#"<https://a.example/x?page=1,2>; title="a, b"; rel=prev, </x?page=3>; rel="last next", <https://c.example>; rel="first""#;
        for (relation, expected) in [
            ("next", Some("/x?page=3")),
            ("LAST", Some("/x?page=3")),
            ("prev", Some("https://a.example/x?page=1,2")),
            ("up", None),
        ] {
            assert_eq!(target(header, relation).as_deref(), expected, "{relation}");
        }
        for broken in ["", "<", "<a", "<a>", "next", "; rel=next"] {
            assert_eq!(target(broken, "next"), None, "{broken}");
        }
    }
}
