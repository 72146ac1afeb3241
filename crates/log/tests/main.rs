//! Kafka and the embedded log, side by side, on real files and a real broker.

mod fixture; // a log of either kind
mod both; // what both logs keep
mod journal; // records and a note, all or nothing
mod look; // without joining a group
mod embedded; // what only the embedded log has
mod kafka; // what only Kafka has
mod sizes; // what is too large
mod lost; // a broker that goes away
mod tls; // TLS, and logging in
