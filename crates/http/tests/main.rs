//! The servers as a caller meets them, without the program around them.

mod network; // TLS, limits, other origins
mod walk; // every route, with and without a key
