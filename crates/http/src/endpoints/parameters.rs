//! What the caller gave, checked against what the endpoint declares.

use serde_json::{Value, json};

use duto_definition::Endpoint;

/// The value of each parameter, in the endpoint's order, or every problem as `{path, reason}`.
pub fn read(
    endpoint: &Endpoint,
    path: &[(String, String)],
    query: &str,
) -> Result<Vec<String>, Vec<Value>> {
    let given: Vec<(String, String)> = pairs_of(query);
    let mut problems = Vec::new();
    let mut values = Vec::with_capacity(endpoint.parameters.len());
    for parameter in &endpoint.parameters {
        let named = |pairs: &[(String, String)]| {
            pairs.iter().find(|(name, _)| *name == parameter.name).map(|(_, value)| value.clone())
        };
        let value = named(path).or_else(|| named(&given)).or_else(|| parameter.default.clone());
        match value {
            None => problems.push(
                json!({"path": parameter.name, "reason": format!("{} is missing", parameter.name)}),
            ),
            Some(value) => {
                if let Some(problem) = parameter.problem(&value) {
                    problems.push(json!({"path": parameter.name, "reason": format!("{} \
                        {problem}", parameter.name)}));
                }
                values.push(value);
            }
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// `a=1&b=%20` as names and values; what is not UTF-8 is replaced.
fn pairs_of(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_strings_are_decoded() {
        let pairs = pairs_of("a=S%C3%A3o+Paulo&b=100%&c&d=%zz");
        let texts: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(texts, [("a", "São Paulo"), ("b", "100%"), ("c", ""), ("d", "%zz")]);
    }
}
