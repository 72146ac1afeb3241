//! The servers as a caller meets them, without the program around them.

mod walk; // every route, with and without a key
