//! The settings as they are in effect, after defaults and environment, for `duto config show`.

use super::quantity::{format_bytes, format_duration};
use super::{Database, Encoding, Encryption, Pipeline, Pull, Source};

const MASK: &str = "********";

/// Each setting by its path in the file, in the file's order, and its value. Secrets are asterisks.
pub fn settings(pipeline: &Pipeline) -> Vec<(String, String)> {
    let mut settings = vec![("pipeline".to_string(), pipeline.name.clone())];
    let mut add = |section: &str, values: Vec<(&str, String)>| {
        let named = |(name, value): (&str, String)| {
            (if section.is_empty() { name.to_string() } else { format!("{section}.{name}") }, value)
        };
        settings.extend(values.into_iter().map(named));
    };
    add("", vec![("listen", or_unset(pipeline.listen.as_deref()))]);
    add("source", source_settings(&pipeline.source));
    let kafka = pipeline.source.kafka.iter();
    add(
        "source.kafka",
        kafka.map(|(name, value)| (name.as_str(), mask_setting(name, value))).collect(),
    );
    add("database", database_settings(&pipeline.database));
    let (batch, text) = (&pipeline.batch, &pipeline.text);
    let batch = vec![
        ("max_records", batch.max_records.to_string()),
        ("max_bytes", format_bytes(batch.max_bytes as u64)),
        ("workers", batch.workers.to_string()),
    ];
    add("batch", batch);
    let text = vec![
        ("trim", text.trim.to_string()),
        ("remove_nul", text.remove_nul.to_string()),
        ("max_length", or_unset(text.max_length.map(|length| length.to_string()).as_deref())),
    ];
    add("text", text);
    if pipeline.encryption.keyring.seals() {
        add("encryption", encryption_settings(&pipeline.encryption));
    }
    for pull in &pipeline.pull {
        let section = format!("pull.{}", pull.name);
        add(&section, pull_settings(pull));
        let headers = pull.headers.iter();
        add(
            &format!("{section}.headers"),
            headers.map(|(name, _)| (name.as_str(), MASK.to_string())).collect(),
        );
    }
    if let Some(files) = &pipeline.files {
        let encoding = if files.encoding == Encoding::Latin1 { "latin1" } else { "utf-8" };
        let delimiter = if files.delimiter == b'\t' {
            "tab".to_string()
        } else {
            char::from(files.delimiter).to_string()
        };
        let nulls =
            files.nulls.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ");
        add(
            "files",
            vec![("delimiter", delimiter), ("encoding", encoding.to_string()), ("nulls", nulls)],
        );
    }
    if let Some(generate) = &pipeline.generate {
        add("generate", vec![("rate", generate.rate_per_second.to_string())]);
    }
    settings
}

fn encryption_settings(encryption: &Encryption) -> Vec<(&'static str, String)> {
    let path = encryption.keyring.path();
    let keys = match path {
        Some(path) => ("key_file", path.display().to_string()),
        None => ("keys", MASK.to_string()),
    };
    vec![keys, ("outbox", encryption.outbox.to_string())]
}

fn source_settings(source: &Source) -> Vec<(&'static str, String)> {
    vec![
        ("topic", source.topic.clone()),
        ("group", source.group.clone()),
        ("partitions", source.partitions.to_string()),
        ("retention", or_unset(source.retention.map(format_duration).as_deref())),
        ("key", or_unset(source.key.as_deref())),
        ("format", "json".to_string()),
        ("unwrap_strings", source.unwrap_strings.to_string()),
        ("max_record_bytes", format_bytes(source.max_record_bytes as u64)),
        ("max_depth", source.max_depth.to_string()),
        ("instance", or_unset(source.instance_id.as_deref())),
        ("session_timeout", format_duration(source.session_timeout)),
    ]
}

fn pull_settings(pull: &Pull) -> Vec<(&'static str, String)> {
    vec![
        ("url", or_unset(pull.url.as_deref().map(mask_url).as_deref())),
        ("interval", format_duration(pull.interval)),
        ("timeout", format_duration(pull.timeout)),
        ("retry_backoff", format_duration(pull.retry_backoff)),
        ("retry_backoff_max", format_duration(pull.retry_backoff_max)),
        ("max_answer_bytes", format_bytes(pull.max_answer_bytes as u64)),
    ]
}

fn database_settings(database: &Database) -> Vec<(&'static str, String)> {
    let mut settings = vec![("url", or_unset(database.url.as_deref().map(mask_url).as_deref()))];
    // A URL says these five.
    if database.url.is_none() {
        settings.extend([
            ("host", database.host.clone()),
            ("port", database.port.to_string()),
            ("name", database.name.clone()),
            ("user", database.user.clone()),
            (
                "password",
                if database.password.is_empty() { or_unset(None) } else { MASK.to_string() },
            ),
        ]);
    }
    settings.extend([
        ("sslmode", database.tls.mode.as_str().to_owned()),
        ("sslrootcert", or_unset(database.tls.root_certificate.as_deref())),
        ("sslcert", or_unset(database.tls.certificate.as_deref())),
        ("sslkey", or_unset(database.tls.key.as_deref())),
        ("application_name", or_unset(database.application_name.as_deref())),
        ("max_connections", database.max_connections.to_string()),
        ("connect_timeout", format_duration(database.connect_timeout)),
        ("statement_timeout", format_duration(database.statement_timeout)),
        ("lock_timeout", format_duration(database.lock_timeout)),
        (
            "retries",
            database
                .max_retries
                .map_or_else(|| "forever".to_string(), |retries| retries.to_string()),
        ),
        ("retry_backoff", format_duration(database.retry_backoff)),
        ("retry_backoff_max", format_duration(database.retry_backoff_max)),
        ("keep_ledger", format_duration(database.keep_ledger)),
        ("keep_answers", format_duration(database.keep_answers)),
    ]);
    settings
}

fn or_unset(value: Option<&str>) -> String {
    value.unwrap_or("(not set)").to_string()
}

fn mask_setting(name: &str, value: &str) -> String {
    let is_secret = ["password", "secret", "token", "jaas", "pem", "oauthbearer.config"]
        .iter()
        .any(|word| name.contains(word));
    if is_secret { MASK.to_string() } else { value.to_string() }
}

/// The URL without its password. One that is not understood is not shown at all.
fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return MASK.to_string() };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (
            rest,
            format!("?{}", query.split('&').map(mask_parameter).collect::<Vec<_>>().join("&")),
        ),
        None => (rest, String::new()),
    };
    // A password may hold a `/` or an `@` that should have been escaped.
    let rest = match rest.rsplit_once('@') {
        None => rest.to_string(),
        Some((credentials, server)) => match credentials.split_once(':') {
            None => rest.to_string(),
            Some((user, _)) => format!("{user}:{MASK}@{server}"),
        },
    };
    format!("{scheme}://{rest}{query}")
}

fn mask_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
        _ => parameter.to_string(),
    }
}

/// Of a query parameter's name.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "token", "key"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_password() {
        for (url, shown) in [
            ("postgresql://me:hunter2@db:5432/sales", "postgresql://me:********@db:5432/sales"),
            ("postgres://me@db/sales?sslmode=require", "postgres://me@db/sales?sslmode=require"),
            (
                "postgres://db/sales?user=me&password=hunter2",
                "postgres://db/sales?user=me&password=********",
            ),
            ("postgres://me:a@b/c@db/sales", "postgres://me:********@db/sales"),
            ("hunter2", "********"),
        ] {
            assert_eq!(mask_url(url), shown);
        }
    }
}
