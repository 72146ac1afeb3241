//! The parsed pipeline file. Pure data: nothing here opens a socket or a file.
//!
//! A file of this folder is named after the top-level key of the pipeline file that it describes:
//! its type, its keys and how they are read stand together. `parse.rs` registers them; `yaml.rs`,
//! `walk.rs` and `keys.rs` are what they read with.

mod addresses;
mod agreement;
pub mod auth;
pub mod batch;
pub mod checks;
pub mod column_type;
pub mod database;
pub mod dashboard;
mod decimal;
pub mod deliver;
pub mod encryption;
pub mod endpoints;
mod environment;
pub mod files;
pub mod generate;
pub mod http;
pub mod identifier;
pub mod ingest;
mod keys;
mod listen;
pub mod once;
mod parse;
mod pipeline;
pub mod problem;
mod promise;
pub mod publish;
pub mod pull;
mod quantity;
pub mod record;
mod rejects;
mod render;
pub mod rollups;
mod schema;
mod settings;
pub mod source;
pub mod span;
pub mod suggest;
pub mod table;
pub mod tests;
pub mod text;
mod values;
pub mod views;
mod walk;
mod words;
mod yaml;

pub use auth::{ApiKey, Auth, Role, Roles, Tokens};
pub use batch::Batching;
pub use checks::Check;
pub use column_type::ColumnType;
pub use dashboard::Dashboard;
pub use database::{CONNECTIONS_BESIDE_WORKERS, Database, SslMode, Tls};
pub use deliver::Deliver;
pub use encryption::Encryption;
pub use endpoints::{Endpoint, Parameter, Shape};
pub use files::{Encoding, Files};
pub use generate::Generate;
pub use http::{Http, Limits};
pub use ingest::IngestEndpoint;
pub use once::Once;
pub use parse::parse;
pub use problem::Problem;
pub use promise::{Promise, promise};
pub use publish::Publish;
pub use pull::{Cursor, Pull};
pub use record::{Field, Kind, RecordDefinition, Rules};
pub use rejects::RejectLimits;
pub use render::{render, render_json};
pub use rollups::{By, Grain, GrainUnit, Measure, Operation, Rollup, Windows};
pub use schema::json_schema;
pub use settings::settings;
pub use source::{Format, Source};
pub use span::{Span, SqlText};
pub use table::{Column, Index, Interval, Repeat, Table, TimePartition};
pub use tests::{Expectation, Given, PipelineTest};
pub use text::TextCleaning;
pub use views::View;

/// One pipeline: everything its file declares, with the environment already filled in.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    /// `pipeline:`, the name by which positions, rejects and metrics know it.
    pub name: String,
    pub source: Source,
    pub database: Database,
    pub batch: Batching,
    pub rejects: RejectLimits,
    pub text: TextCleaning,
    pub record: RecordDefinition,
    /// `checks:`, in the file's order.
    pub checks: Vec<Check>,
    /// `tables:`, in the order in which they are written: the `once` table first, then foreign-key
    /// order.
    pub tables: Vec<Table>,
    /// `once:`, whose table is the first of `tables`.
    pub once: Option<Once>,
    /// `rollups:`, in the file's order.
    pub rollups: Vec<Rollup>,
    /// `views:`, in the file's order.
    pub views: Vec<View>,
    /// `endpoints:`, in the file's order.
    pub endpoints: Vec<Endpoint>,
    pub dashboard: Option<Dashboard>,
    pub ingest: Vec<IngestEndpoint>,
    pub auth: Auth,
    pub encryption: Encryption,
    /// `http:`, how the server meets the network.
    pub http: Http,
    /// `pull:`, in the file's order; those that are switched off too.
    pub pull: Vec<Pull>,
    /// `deliver:`, in the file's order.
    pub deliver: Vec<Deliver>,
    /// `publish:`, in the file's order.
    pub publish: Vec<Publish>,
    /// `files:`; absent means that no file can be loaded.
    pub files: Option<Files>,
    /// `generate:`; absent means that records are made from the record's types and rules alone.
    pub generate: Option<Generate>,
    pub tests: Vec<PipelineTest>,
    /// `listen:`, the address that the HTTP server binds unless `--listen` says otherwise.
    pub listen: Option<String>,
}

impl Pipeline {
    /// Whether stored rows are told to others by `publish:`, through the outbox.
    pub fn publishes(&self) -> bool {
        !self.publish.is_empty()
    }
}
