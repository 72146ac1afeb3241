//! What a caller has to bring, and what it is told where that is not enough.

use serde_json::{Value, json};

use super::{body, of};
use duto_definition::{Pipeline, Role};

/// The name by which operations mention it.
const SCHEME: &str = "bearer";

/// None where everybody is let in.
pub(super) fn schemes(pipeline: &Pipeline) -> Option<Value> {
    let auth = &pipeline.auth;
    let mut ways = Vec::new();
    if !auth.keys.is_empty() {
        ways.push("a key of this service".to_owned());
    }
    if let Some(tokens) = &auth.tokens {
        let issuer =
            tokens.issuer.as_ref().map(|issuer| format!(" of {issuer}")).unwrap_or_default();
        let audience = tokens.audience.as_ref();
        let audience = audience.map(|name| format!(" for the audience {name}")).unwrap_or_default();
        ways.push(format!("a token (JWT){issuer}{audience}"));
    }
    (!ways.is_empty()).then(|| {
        let description = format!("{}; what it allows is said by its roles", ways.join(", or "));
        json!({ SCHEME: { "type": "http", "scheme": "bearer", "description": description } })
    })
}

/// Adds to an operation which role it needs, and the answers of those who stand before it.
pub(super) fn describe(pipeline: &Pipeline, role: Role, operation: &mut Value) {
    let auth = &pipeline.auth;
    if auth.is_configured() {
        let needs = json!({ SCHEME: [role.as_str()] });
        if auth.anonymous.has(role) {
            operation["security"] = json!([{}, needs]);
        } else {
            operation["security"] = json!([needs]);
            let responses = &mut operation["responses"];
            responses["401"] = body("Neither a key nor a token that is accepted", &of("Error"));
            responses["401"]["headers"] =
                json!({ "WWW-Authenticate": { "schema": { "type": "string" } } });
            responses["403"] =
                body(&format!("It does not have the role {}", role.as_str()), &of("Error"));
            // Its published keys are looked up.
            let looks_up = |tokens: &duto_definition::Tokens| {
                tokens.issuer.is_some() && tokens.key_set.is_none() && tokens.secret.is_none()
            };
            if auth.tokens.as_ref().is_some_and(looks_up) && responses.get("503").is_none() {
                responses["503"] = body("The issuer's keys cannot be looked up", &of("Error"));
            }
        }
    }
    if pipeline.http.limits.rate.is_some() {
        let number = |description: &str| json!({ "description": description, "schema": { "type": "integer" } });
        operation["responses"]["429"] = body("Too many requests of one caller", &of("Error"));
        operation["responses"]["429"]["headers"] = json!({
            "Retry-After": number("Seconds until the next one is answered"),
            "RateLimit-Limit": number("Requests at once"),
            "RateLimit-Remaining": number("How many of them are left"),
            "RateLimit-Reset": number("Seconds until the next one, or until all of them"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_definition::parse;
    use duto_stages::Stages;

    const FILE: &str = "
pipeline: p
source: { topic: t }
database: { name: d }
record: { id: BIGINT }
tables: { t: { columns: { id: BIGINT PRIMARY KEY }, repeat: ignore, select: SELECT id FROM record } }
ingest: { POST /things: {} }
endpoints: { GET /api/things: { rows: SELECT id FROM t } }
";

    fn document(more: &str) -> Value {
        let pipeline = parse("p.yaml", &format!("{FILE}{more}"), &|_| None)
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        let stages = Stages::plan(&pipeline).unwrap_or_else(|problems| panic!("{problems:#?}"));
        super::super::document(&pipeline, &stages, &super::super::Columns::new())
    }

    fn told(operation: &Value) -> Vec<&str> {
        let responses = operation["responses"].as_object().expect("responses");
        let of_guard = ["401", "403", "429"];
        of_guard.into_iter().filter(|status| responses.contains_key(*status)).collect()
    }

    #[test]
    fn each_operation_says_what_its_caller_has_to_bring() {
        let open = document("");
        assert!(open["components"].get("securitySchemes").is_none());
        for (path, method) in [("/api/things", "get"), ("/things", "post"), ("/health", "get")] {
            let operation = &open["paths"][path][method];
            assert!(operation.get("security").is_none() && told(operation).is_empty(), "{path}");
        }

        let guarded = document(
            "auth: { issuer: \"https://login.example\", audience: us }\nhttp: { limits: { rate: 5 } }\n",
        );
        let scheme = &guarded["components"]["securitySchemes"][SCHEME];
        assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
        let description = scheme["description"].as_str().unwrap_or_default();
        assert!(description.contains("of https://login.example for the audience us"), "{scheme}");
        for (path, method, role) in [
            ("/api/things", "get", "read"),
            ("/things", "post", "ingest"),
            ("/health", "get", "read"),
        ] {
            let operation = &guarded["paths"][path][method];
            assert_eq!(operation["security"], json!([{ SCHEME: [role] }]), "{path}");
            assert_eq!(told(operation), ["401", "403", "429"], "{path}");
            assert!(operation["responses"]["503"].is_object(), "{path}");
            assert!(operation["responses"]["429"]["headers"]["Retry-After"].is_object(), "{path}");
        }

        let half = document("auth: { keys: [\"a key that is long enough\"], anonymous: [read] }\n");
        let read = &half["paths"]["/api/things"]["get"];
        assert_eq!(read["security"], json!([{}, { SCHEME: ["read"] }]));
        assert!(told(read).is_empty());
        assert_eq!(told(&half["paths"]["/things"]["post"]), ["401", "403"]);
    }
}
