//! The command that test runs are started by.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn run(script: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duto-test-servers"))
        .args(["--", "sh", "-c", script])
        .output()
        .unwrap()
}

/// The two addresses that the script printed.
fn addresses(output: &Output) -> [String; 2] {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace();
    let kafka = words.next().expect("Kafka's address").to_owned();
    let url = words.next().expect("PostgreSQL's URL");
    let after_password = url.rsplit_once('@').expect("a password").1;
    [kafka, after_password.split('/').next().unwrap().to_owned()]
}

const PRINT: &str = "echo $DUTO_TEST_KAFKA $DUTO_TEST_POSTGRES";

#[test]
fn the_commands_exit_code_is_answered_and_both_servers_are_gone() {
    let output = run(&format!("{PRINT}; exit 7"));
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    for address in addresses(&output) {
        assert!(TcpStream::connect(&address).is_err(), "{address} still listens");
    }
}

#[test]
fn no_server_outlives_a_killed_starter() {
    let output = run(&format!("{PRINT}; kill -9 $PPID"));
    assert_eq!(output.status.signal(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
    let deadline = Instant::now() + Duration::from_secs(15);
    for address in addresses(&output) {
        while TcpStream::connect(&address).is_ok() {
            assert!(Instant::now() < deadline, "{address} still listens");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn no_command_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_duto-test-servers")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
