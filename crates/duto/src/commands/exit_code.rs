//! What the process answers. The numbers from 64 on are those of sysexits.h.

pub const FINE: i32 = 0;
pub const FAILED: i32 = 1;
/// A service is gone for good.
pub const UNAVAILABLE: i32 = 69;
/// A pipeline file is wrong.
pub const BAD_FILE: i32 = 78;
/// Interrupted twice, without waiting for what is in flight.
pub const INTERRUPTED: i32 = 130;
