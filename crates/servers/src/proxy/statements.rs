//! Which prepared statement a connection executes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::postgres_wire::Message;

/// The texts of a connection's statements, and the one that was bound last: of a client that waits
/// for each answer, the one that is answered.
#[derive(Debug, Default)]
pub struct Statements {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// In lower case, by name.
    texts: HashMap<Vec<u8>, String>,
    bound: String,
}

impl Statements {
    /// Takes note of a message of the client's.
    pub fn note(&self, message: &Message) {
        let mut strings = message.body.split(|byte| *byte == 0);
        let (Some(first), Some(second)) = (strings.next(), strings.next()) else { return };
        match message.tag {
            Some(b'P') => {
                self.lock()
                    .texts
                    .insert(first.to_vec(), String::from_utf8_lossy(second).to_lowercase());
            }
            Some(b'B') => {
                let mut known = self.lock();
                known.bound = known.texts.get(second).cloned().unwrap_or_default();
            }
            _ => {}
        }
    }

    /// Whether the text of the statement that was bound last contains this, in whatever case.
    pub fn is_bound(&self, part: &str) -> bool {
        self.lock().bound.contains(&part.to_lowercase())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
