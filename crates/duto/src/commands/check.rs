//! `duto check FILE...`: everything that is wrong with a pipeline file, or the promise that it adds
//! up to.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::exit_code;
use super::pipeline_file::LogArgs;
use super::run::Part;
use duto_definition::{Pipeline, Problem};

/// Checks pipeline files without connecting to anything, and prints what they promise; with
/// `--connect` it asks the servers too, and says what a start would find.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Pipeline files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Prints a JSON object for each problem, or for each good file.
    #[arg(long)]
    pub json: bool,
    /// Connects by the file's own settings to its database and its log, changes nothing, and says
    /// what a start would make, what it lacks and what to run.
    #[arg(long)]
    pub connect: bool,
    /// Only what these parts need, such as where another role serves.
    #[arg(long, value_delimiter = ',', value_enum, value_name = "PARTS", requires = "connect")]
    pub only: Vec<Part>,
    #[command(flatten)]
    pub log: LogArgs,
}

/// Checks every file, also after a bad one. `plan` answers what is wrong with a parsed pipeline's
/// SQL. Problems go to standard error, or with `--json` to standard output; the answer is the exit
/// code.
pub fn run(args: &CheckArgs, plan: &dyn Fn(&Pipeline) -> Vec<Problem>) -> i32 {
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut worst = exit_code::FINE;
    for file in &args.files {
        let name = file.display().to_string();
        let Some(text) = read(file) else {
            worst = worst.max(exit_code::FAILED);
            continue;
        };
        match check(&name, &text, &environment, plan) {
            Ok(pipeline) => print(&mut std::io::stdout(), &good(&name, &pipeline, args.json)),
            Err(problems) if args.json => {
                print(
                    &mut std::io::stdout(),
                    &duto_definition::render_json(&problems, &name, &text),
                );
                worst = exit_code::BAD_FILE;
            }
            Err(problems) => {
                print(
                    &mut std::io::stderr(),
                    &duto_definition::render(&problems, &name, &text, color),
                );
                worst = exit_code::BAD_FILE;
            }
        }
    }
    worst
}

/// The pipeline of a text, or all of its problems: first those of the file, then, when there are
/// none, those of its SQL.
pub fn check(
    file_name: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    plan: &dyn Fn(&Pipeline) -> Vec<Problem>,
) -> Result<Pipeline, Vec<Problem>> {
    let pipeline = duto_definition::parse(file_name, text, environment)?;
    let problems = plan(&pipeline);
    if problems.is_empty() { Ok(pipeline) } else { Err(problems) }
}

/// The file's text; None if it cannot be read, which is said on standard error.
pub fn read(file: &Path) -> Option<String> {
    match std::fs::read(file).map(String::from_utf8) {
        Ok(Ok(text)) => return Some(text),
        Ok(Err(error)) => {
            let at = error.utf8_error().valid_up_to();
            print(
                &mut std::io::stderr(),
                &format!("error: {} is not UTF-8: byte {at}\n", file.display()),
            );
        }
        Err(error) => print(
            &mut std::io::stderr(),
            &format!("error: cannot read {}: {error}\n", file.display()),
        ),
    }
    None
}

/// The process's environment; a variable that is not UTF-8 counts as unset.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn good(name: &str, pipeline: &Pipeline, json: bool) -> String {
    let promise = duto_definition::promise(pipeline);
    if json {
        let object = serde_json::json!({ "file": name, "pipeline": pipeline.name, "ok": true, "promise": promise.to_json() });
        return format!("{object}\n");
    }
    format!("{name}: the pipeline {} is fine and promises\n{}", pipeline.name, promise.to_text())
}

/// A closed pipe is not this command's trouble.
fn print(stream: &mut dyn Write, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_definition::Span;

    const GOOD: &str = "
pipeline: p
source: { topic: t }
database: { name: d }
record: { a: BIGINT }
tables: { t: { columns: { a: BIGINT PRIMARY KEY }, repeat: ignore, select: SELECT a FROM record } }
";

    fn planned(
        text: &str,
        plan: &dyn Fn(&Pipeline) -> Vec<Problem>,
    ) -> Result<Pipeline, Vec<Problem>> {
        check("p.yaml", text, &|_| None, plan)
    }

    #[test]
    fn sql_is_planned_only_for_a_file_that_is_otherwise_good() {
        let wrong = |_: &Pipeline| vec![Problem::new("sql.plan", Span::default(), "wrong")];
        let codes = |problems: Vec<Problem>| {
            problems.iter().map(|problem| problem.code).collect::<Vec<_>>()
        };
        assert_eq!(planned(GOOD, &wrong).map_err(codes).err(), Some(vec!["sql.plan"]));
        assert_eq!(
            planned("pipeline: p", &wrong).map_err(codes).err(),
            Some(vec!["file.key.missing"; 4])
        );
        assert!(planned(GOOD, &|_| Vec::new()).is_ok());
    }

    #[test]
    fn a_good_file_tells_its_promise() {
        let pipeline = planned(GOOD, &|_| Vec::new()).expect("a good file");
        let text = good("p.yaml", &pipeline, false);
        assert!(text.contains("p.yaml: the pipeline p is fine"), "{text}");
        assert!(text.contains("repeat: ignore; a row whose a is already there"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&good("p.yaml", &pipeline, true)).expect("JSON");
        assert_eq!(json["promise"][0]["guarantee"], "exactly once");
    }
}
