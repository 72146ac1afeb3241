//! A connection and where it leads: what the statements of a load are sent by.

use super::connect::Connection;
use super::target::Target;

/// Both go together through every statement of a transaction.
#[derive(Clone, Copy)]
pub struct LoadSession<'s> {
    pub on: &'s Connection,
    pub target: &'s Target,
}

impl<'s> LoadSession<'s> {
    pub fn new(on: &'s Connection, target: &'s Target) -> Self {
        Self { on, target }
    }
}
