//! Who runs a command, for the audit.

use duto_load::audit::{Actor, Via};

/// Why something is done by hand.
#[derive(Debug, Clone, clap::Args)]
pub struct WhyArgs {
    /// Why it is done, for those who read the audit.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// The account that runs this process, and its host.
pub fn actor(why: Option<String>) -> Actor {
    let unknown = |_| "unknown".to_owned();
    let name = format!(
        "{}@{}",
        whoami::username().unwrap_or_else(unknown),
        whoami::hostname().unwrap_or_else(unknown)
    );
    Actor { name, via: Via::Command, why }
}
