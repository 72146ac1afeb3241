//! How much a fault run does: a bounded part in every test run, the full matrix by `make faults`.

/// Set to anything, the fault runs do everything.
pub const FULL_VARIABLE: &str = "DUTO_FAULTS_FULL";

/// The bounded figure, or the full one.
pub fn scale(bounded: usize, full: usize) -> usize {
    if std::env::var_os(FULL_VARIABLE).is_some() { full } else { bounded }
}
