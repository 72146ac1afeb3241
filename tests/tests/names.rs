//! Names in views and endpoints: `duto check` says of them what PostgreSQL says. The statements are
//! those of a unit test in crates/sql.

use anyhow::{Result, ensure};
use duto_servers::shared::TestDatabase;
use duto_tests::verify::connect;

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_says_the_same_of_names() -> Result<()> {
    let database = TestDatabase::create("names")?;
    let client = connect(&database.url()).await?;
    client.batch_execute(include_str!("../names/schema.sql")).await?;
    let mut wrong = Vec::new();
    let mut cases: Vec<(&str, String)> = Vec::new();
    for line in include_str!("../names/cases.sql").lines().skip(1) {
        match (line.strip_prefix("-- "), cases.last_mut()) {
            (Some(verdict), _) => cases.push((verdict, String::new())),
            (None, Some((_, sql))) => sql.push_str(line),
            (None, None) => {}
        }
    }
    for (verdict, sql) in &cases {
        let found = match client.prepare(sql).await {
            Ok(_) => "good".to_owned(),
            Err(error) => {
                error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())
            }
        };
        if found != verdict.trim_end_matches(", not read") {
            wrong.push(format!("{verdict}, not {found}: {sql}"));
        }
    }
    ensure!(cases.len() > 200 && wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
