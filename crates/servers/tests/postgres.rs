//! A private cluster, from its making to its end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::{Duration, Instant};

use duto_servers::{Mode, Postgres, PostgresSettings, ScratchFolder, postgres};

fn scratch(name: &str) -> ScratchFolder {
    ScratchFolder::create(name).unwrap()
}

fn count(postgres: &Postgres, database: &str, table: &str, expected: i64) {
    let assertion = format!(
        "DO $$ BEGIN ASSERT (SELECT count(*) FROM {table}) = {expected}, 'another count'; END $$"
    );
    postgres::execute(&postgres.url(database), &assertion).unwrap();
}

#[test]
fn data_survives_both_ends_on_the_same_port() {
    let folder = scratch("ends");
    let mut postgres =
        Postgres::start(&folder.path().join("cluster"), PostgresSettings::for_tests()).unwrap();
    let port = postgres.port();
    postgres.create_database("own").unwrap();
    postgres.create_database("own").unwrap();
    postgres::execute(
        &postgres.url("own"),
        "CREATE TABLE kept (id int); INSERT INTO kept VALUES (0)",
    )
    .unwrap();
    for (round, mode) in [Mode::Fast, Mode::Immediate].into_iter().enumerate() {
        let pid = postgres.pid().expect("it runs");
        postgres.stop(mode).unwrap();
        assert_eq!(postgres.pid(), None);
        assert!(postgres::execute(&postgres.url("own"), "SELECT 1").is_err(), "{mode:?}");
        postgres.start_again().unwrap();
        assert_ne!(postgres.pid(), Some(pid));
        assert_eq!(postgres.port(), port);
        count(&postgres, "own", "kept", 1 + round as i64);
        postgres::execute(&postgres.url("own"), "INSERT INTO kept VALUES (1)").unwrap();
    }
    drop(postgres);
    let again =
        Postgres::start(&folder.path().join("cluster"), PostgresSettings::for_tests()).unwrap();
    count(&again, "own", "kept", 3);
}

#[test]
fn a_folder_has_one_server() {
    let folder = scratch("twice");
    let path = folder.path().join("cluster");
    let first = Postgres::start(&path, PostgresSettings::for_tests()).unwrap();
    let began = Instant::now();
    let problem = Postgres::start(&path, PostgresSettings::for_tests()).unwrap_err().to_string();
    assert!(problem.contains("in use by another PostgreSQL server"), "{problem}");
    assert!(
        began.elapsed() >= Duration::from_secs(5),
        "the end of an earlier server is waited for"
    );
    postgres::execute(&first.url("postgres"), "SELECT 1").unwrap();
}

#[test]
fn servers_at_once_do_not_collide() {
    let folder = scratch("many");
    let servers: Vec<Postgres> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..3)
            .map(|number| {
                let path = folder.path().join(number.to_string());
                scope.spawn(move || Postgres::start(&path, PostgresSettings::for_tests()).unwrap())
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    for (number, server) in servers.iter().enumerate() {
        postgres::execute(&server.url("postgres"), &format!("CREATE TABLE only_{number} (id int)"))
            .unwrap();
        count(server, "postgres", &format!("only_{number}"), 0);
    }
}

#[test]
fn a_wrong_setting_shows_the_servers_own_words() {
    let folder = scratch("wrong");
    let mut settings = PostgresSettings::for_tests();
    settings.configuration.push(("shared_buffers".into(), "many".into()));
    let problem =
        Postgres::start(&folder.path().join("cluster"), settings).unwrap_err().to_string();
    assert!(problem.contains("shared_buffers"), "{problem}");
}

#[test]
fn strangers_need_the_password() {
    let folder = scratch("password");
    let postgres =
        Postgres::start(&folder.path().join("cluster"), PostgresSettings::for_tests()).unwrap();
    let without = postgres.url("postgres").replace(postgres.password(), "guess");
    let problem = format!("{:#}", postgres::execute(&without, "SELECT 1").unwrap_err());
    assert!(problem.contains("password authentication failed"), "{problem}");
}

#[test]
fn a_stale_pid_file_of_another_process_is_no_hindrance() {
    let folder = scratch("stale");
    let mut postgres =
        Postgres::start(&folder.path().join("cluster"), PostgresSettings::for_tests()).unwrap();
    let pid_file = postgres.folder().join("data/postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).unwrap();
    postgres.stop(Mode::Fast).unwrap();
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let rest = text.split_once('\n').unwrap().1;
    std::fs::write(&pid_file, format!("{}\n{rest}", sleeper.id())).unwrap();
    postgres.start_again().unwrap();
    postgres::execute(&postgres.url("postgres"), "SELECT 1").unwrap();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn a_folder_that_the_servers_user_cannot_reach_is_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let folder = scratch("closed");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let wanted = folder.path().join("cluster");
    let mut postgres = Postgres::start(&wanted, PostgresSettings::for_tests()).unwrap();
    postgres::execute(&postgres.url("postgres"), "CREATE TABLE kept (id int)").unwrap();
    let stands = postgres.folder().to_owned();
    postgres.stop(Mode::Fast).unwrap();
    // SAFETY: geteuid only answers.
    let is_root = unsafe { libc::geteuid() } == 0;
    assert_eq!(
        stands == wanted.canonicalize().unwrap_or(wanted.clone()),
        !is_root,
        "{}",
        stands.display()
    );
    let again = Postgres::start(&wanted, PostgresSettings::for_tests()).unwrap();
    assert_eq!(again.folder(), stands, "the same place every time");
    count(&again, "postgres", "kept", 0);
    drop(again);
    std::fs::remove_dir_all(stands).unwrap();
}
