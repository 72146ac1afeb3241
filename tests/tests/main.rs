//! End to end: the program as a process, against real servers. One binary, because each one links
//! everything.

mod audit; // what is done by hand
mod back_at_once; // how soon partitions are read again
mod bad_input; // records that are not what the pipeline declares
mod broker_gone; // Kafka killed or frozen
mod changing_files; // files that somebody writes while they are loaded
mod database_network; // resets, silence, delays and slices before PostgreSQL
mod database_trouble; // PostgreSQL killed, unreachable or full
mod connection_limits; // never more than the file, the role or the server gives
mod deliver; // calls to an API that fails, refuses or is away
mod ecommerce; // once, rollups, views and endpoints against a sequential model
mod encryption; // what is kept opens with its keys alone
mod exactly_once; // workers killed, stopped, joining and leaving
mod exposed; // public tools against every endpoint and page
mod faulty_seek; // a client that fails now and then
mod full_disk; // no room under the table
mod http; // records in, health and metrics out
mod kafka_network; // the same before Kafka
mod kafka_tls; // every part through TLS, by a password and by a certificate
mod least_privilege; // roles with data rights alone
mod lanes; // partitions move between connections
mod logistics; // the stream and files, against a sequential model
mod log_cuts; // the power fails under the embedded log
mod log_backup; // the log and the database, each older than the other
mod names; // columns in views and endpoints, as PostgreSQL finds them
mod old_backup; // the database is older than the log
mod openapi; // the served document, fuzzed
mod operator; // positions, rejects and replays by hand
mod poison_pauses; // refusals that no record is at fault for
mod poison_rows; // refusals that one record is at fault for
mod products; // two applications in a loop
mod pruning; // what is kept costs nothing
mod pull; // an API read through failures and kills
mod rebalance_storm; // members come and go without end
mod reference; // docs/reference.md is what the program says of itself
mod refused_rows; // whose fault a refusal is, on tables that somebody else made
mod somebodys_tables; // tables in shapes that frameworks give them
mod relay; // messages out of the outbox, once each
mod replays; // rejects come again under load
mod stuck_loads; // locks of other sessions, rollups that cannot be filled
mod time_partitions; // tables in pieces of time on plain PostgreSQL
mod timescale; // and on TimescaleDB
mod topic_changes; // more partitions, a topic made anew, records deleted unread
mod topics; // the topic browser's answers
mod topics_large; // a topic of many messages: opened at once, searched with progress
mod transactions; // producers that abort
mod windows; // any window of a rollup against its table
mod view_faults; // a view that PostgreSQL refuses
mod zombies; // workers stopped and killed at named points
