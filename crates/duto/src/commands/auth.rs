//! `duto auth key`: a key for those who call a pipeline's endpoints.

use clap::Subcommand;

use crate::commands::exit_code;
use duto_definition::auth::written_hash;

/// Make what `auth:` of a pipeline file needs.
#[derive(Debug, clap::Args)]
pub struct AuthArgs {
    #[command(subcommand)]
    pub command: AuthCommand,
}

#[derive(Debug, Subcommand)]
pub enum AuthCommand {
    /// Make a random key: its holder gets it, the file gets its hash
    Key(KeyArgs),
}

/// Makes a random key of 256 bits and prints it once, with the lines for the file. duto never
/// stores a key.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// Whose key it is.
    #[arg(value_name = "NAME", default_value = "someone")]
    pub name: String,
    /// What its holder may do.
    #[arg(long, value_delimiter = ',', value_enum, value_name = "ROLES", default_value = "read")]
    pub role: Vec<RoleWord>,
}

/// A role as the command line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RoleWord {
    /// Pages, endpoints, metrics, topics
    Read,
    /// Send records
    Ingest,
    /// Send messages by hand
    Operate,
}

pub fn run(args: &AuthArgs) -> i32 {
    let AuthCommand::Key(KeyArgs { name, role }) = &args.command;
    // The beginning tells those who look for secrets that it is one.
    let key = format!("duto_{}", hex::encode(rand::random::<[u8; 32]>()));
    let roles: Vec<&str> = role.iter().map(|role| word(*role)).collect();
    let name = serde_json::Value::from(name.as_str());
    println!("key, shown this once:\n  {key}\n\nfor the pipeline file:\n  auth:\n    keys:");
    println!("      {name}: {{ hash: \"{}\", roles: [{}] }}", written_hash(&key), roles.join(", "));
    exit_code::FINE
}

fn word(role: RoleWord) -> &'static str {
    match role {
        RoleWord::Read => "read",
        RoleWord::Ingest => "ingest",
        RoleWord::Operate => "operate",
    }
}
