//! `duto config show FILE`: the settings as they are in effect, secrets masked.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use super::check::{environment, read};
use super::exit_code;

/// Shows a pipeline's settings.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Prints every setting after defaults and environment; secrets are asterisks.
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// A pipeline file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Prints the settings; the answer is the exit code.
pub fn run(args: &ConfigArgs) -> i32 {
    let ConfigCommand::Show(ShowArgs { file, json }) = &args.command;
    let name = file.display().to_string();
    let Some(text) = read(file) else { return exit_code::FAILED };
    // A closed pipe is not this command's trouble.
    match show(&name, &text, &environment, *json) {
        Ok(shown) => {
            let _ = std::io::stdout().write_all(shown.as_bytes());
            exit_code::FINE
        }
        Err(problems) => {
            let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let _ = std::io::stderr()
                .write_all(duto_definition::render(&problems, &name, &text, color).as_bytes());
            exit_code::BAD_FILE
        }
    }
}

fn show(
    file_name: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    json: bool,
) -> Result<String, Vec<duto_definition::Problem>> {
    let settings =
        duto_definition::settings(&duto_definition::parse(file_name, text, environment)?);
    if json {
        let object: serde_json::Map<_, _> =
            settings.into_iter().map(|(name, value)| (name, value.into())).collect();
        return Ok(format!("{:#}\n", serde_json::Value::Object(object)));
    }
    let width = settings.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    Ok(settings.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
pipeline: p
source:
  topic: t
  kafka:
    security.protocol: \"${KAFKA_PROTOCOL:-}\"
    sasl.mechanism: \"${KAFKA_MECHANISM:-}\"
    sasl.username: \"${KAFKA_USER:-}\"
    sasl.password: \"${KAFKA_PASSWORD:-}\"
database: { url: \"${DATABASE_URL:-}\", host: \"${DB_HOST:-localhost}\", name: d, \
        password: \"${DB_PASS:-}\" }
record: { a: BIGINT }
tables: { t: { columns: { a: BIGINT PRIMARY KEY }, repeat: ignore, select: SELECT a FROM record } }
";

    fn shown(set: &[(&str, &str)]) -> String {
        let environment = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
        };
        show("p.yaml", TEXT, &environment, false).expect("a good file")
    }

    #[test]
    fn the_environment_is_filled_in_and_secrets_are_masked() {
        let shown = shown(&[
            ("DB_HOST", "db1"),
            ("DB_PASS", "hunter2"),
            ("KAFKA_PROTOCOL", "SASL_SSL"),
            ("KAFKA_MECHANISM", "SCRAM-SHA-512"),
            ("KAFKA_USER", "me"),
            ("KAFKA_PASSWORD", "hunter3"),
        ]);
        assert!(
            shown.lines().any(|line| line.starts_with("database.host ") && line.ends_with(" db1")),
            "{shown}"
        );
        assert!(
            shown
                .lines()
                .any(|line| line.starts_with("database.password ") && line.ends_with(" ********")),
            "{shown}"
        );
        assert!(
            shown.lines().any(|line| line.starts_with("source.kafka.sasl.password ")
                && line.ends_with(" ********")),
            "{shown}"
        );
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn a_url_takes_the_place_of_host_and_name() {
        let shown = shown(&[("DATABASE_URL", "postgresql://me:hunter2@db2/sales")]);
        assert!(shown.contains("postgresql://me:********@db2/sales"), "{shown}");
        assert!(!shown.contains("database.host") && !shown.contains("hunter2"), "{shown}");
    }
}
