//! What the process answers. The numbers from 64 on are those of sysexits.h.

pub const FINE: i32 = 0;
pub const FAILED: i32 = 1;
/// A file that was to be loaded is missing, empty or not what is declared.
pub const BAD_DATA: i32 = 65;
/// A service is gone for good.
pub const UNAVAILABLE: i32 = 69;
/// A pipeline file is wrong.
pub const BAD_FILE: i32 = 78;
/// Interrupted twice, without waiting for what is in flight.
pub const INTERRUPTED: i32 = 130;
