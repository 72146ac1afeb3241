//! A walk: a pipeline file, what somebody else made beforehand, and the steps. Everything that is
//! needed to walk it again.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A JSON text is a YAML text, so the pipeline file is JSON: the model reads it without a YAML
/// reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Walk {
    pub pipeline: Json,
    /// SQL that is run before the pipeline first comes to its database.
    pub beforehand: Vec<String>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Records that are appended to the log.
    Send(Vec<Record>),
    /// `duto run --until-caught-up`.
    Run,
    /// `duto run`, killed by SIGKILL after so many milliseconds.
    Kill { after_ms: u64 },
    /// `duto run --until-caught-up`, whose connection is reset at a named point of PostgreSQL's
    /// protocol, as often as `times`.
    Cut { at: CutPoint, times: u32 },
    /// `duto run --until-caught-up` while somebody holds a table for so many milliseconds.
    Lock { table: String, ms: u64 },
    /// Two of `duto run --until-caught-up` at once.
    Twins,
    /// SQL that somebody runs between two runs.
    Sql(String),
    /// `duto rejects replay`.
    Replay,
    /// `duto position set`, backwards.
    Rewind { partition: i32, to: i64 },
    /// The file is another one from here on.
    Change(Json),
    /// `duto run` with its HTTP server, and these requests one after the other.
    Posts(Vec<Post>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutPoint {
    CommitRequest,
    CommitAnswer,
    CopyData,
    Position,
    Ledger,
    /// The one statement by which a few rows are loaded, and its answer.
    AtOnce,
    AtOnceAnswer,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub partition: i32,
    /// The bytes as text; `hex:` begins bytes that are none, `huge:` a number of bytes.
    pub payload: String,
}

impl Record {
    pub fn bytes(&self) -> Vec<u8> {
        if let Some(bytes) = self.payload.strip_prefix("huge:").and_then(|bytes| bytes.parse().ok())
        {
            return format!("{{\"id\": 1, \"else\": \"{}\"}}", "x".repeat(bytes)).into_bytes();
        }
        match self.payload.strip_prefix("hex:") {
            Some(digits) => (0..digits.len() / 2)
                .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap_or(0))
                .collect(),
            None => self.payload.clone().into_bytes(),
        }
    }
}

/// A request to an endpoint of `ingest:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Post {
    pub path: String,
    pub key: String,
    /// One element is sent as it is, several as an array.
    pub bodies: Vec<String>,
    /// Sends an array also of one.
    pub bulk: bool,
}

const PIPELINE: &str = "pipeline.yaml";
const BEFOREHAND: &str = "beforehand.json";
const STEPS: &str = "steps.json";

impl Walk {
    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(
            folder.join(PIPELINE),
            serde_json::to_string_pretty(&self.pipeline)? + "\n",
        )?;
        std::fs::write(folder.join(STEPS), serde_json::to_string_pretty(&self.steps)? + "\n")?;
        if !self.beforehand.is_empty() {
            std::fs::write(
                folder.join(BEFOREHAND),
                serde_json::to_string_pretty(&self.beforehand)? + "\n",
            )?;
        }
        Ok(())
    }

    pub fn load(folder: &Path) -> Result<Walk> {
        let read = |name: &str| {
            std::fs::read_to_string(folder.join(name))
                .with_context(|| format!("{}/{name}", folder.display()))
        };
        let beforehand = match folder.join(BEFOREHAND).exists() {
            true => serde_json::from_str(&read(BEFOREHAND)?)?,
            false => Vec::new(),
        };
        Ok(Walk {
            pipeline: serde_json::from_str(&read(PIPELINE)?)?,
            beforehand,
            steps: serde_json::from_str(&read(STEPS)?)?,
        })
    }

    /// Whether requests are made: then the log is written by the program, not by the walk.
    pub fn has_posts(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Posts(_)))
    }

    pub fn partitions(&self) -> i32 {
        self.pipeline["source"]["partitions"].as_i64().unwrap_or(1) as i32
    }
}
