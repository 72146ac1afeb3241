//! Faults that are known and make so many walks fail that others would not be found behind them.
//! Each has a switch, and walks go around those that are open. In the end none is.

use std::sync::LazyLock;

/// A fault that can be gone around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// A record without a row in the `once` table is counted as repeated: no WHERE there.
    OnceWithWhere,
    /// A sum over a decimal of 256 bits is rounded row by row: no arithmetic on a NUMERIC in a
    /// measure.
    WideSum,
    /// A bulk under a key is answered by the place among its good elements: no bulk.
    BulkByPlaceOfGood,
    /// A body that is refused gets 422 also under a key that has an answer: no other body under a
    /// key.
    RefusedBodyUnderKey,
    /// A constraint that is checked at COMMIT stops the lane: no deferred one.
    DeferredConstraint,
    /// A trigger's exception for one row stops everything: no such trigger.
    TriggerException,
    /// A trigger that answers NULL for one row stops everything: no such trigger.
    TriggerSwallows,
    /// A repeat over a GENERATED ALWAYS identity column pauses: no such column.
    AlwaysIdentity,
    /// A row that breaks a constraint and whose key is there already is tried again for ever: no
    /// constraint that comes later.
    ConstraintAndKey,
    /// INTEGER arithmetic with a literal is done in BIGINT: no INTEGER near its ends.
    IntegerWidth,
    /// What an expression gives beyond 18 decimals is rounded, and beyond 20 digits refused, in a
    /// NUMERIC column: no such numbers.
    NumericPlaces,
}

const ALL: [Known; 11] = [
    Known::OnceWithWhere,
    Known::WideSum,
    Known::BulkByPlaceOfGood,
    Known::RefusedBodyUnderKey,
    Known::DeferredConstraint,
    Known::TriggerException,
    Known::TriggerSwallows,
    Known::AlwaysIdentity,
    Known::ConstraintAndKey,
    Known::IntegerWidth,
    Known::NumericPlaces,
];

/// What is not mended yet. Whoever mends one takes it away here.
///
/// A trigger's refusal is no fault any more, but a record that stands alone with it waits a minute
/// for a neighbour, which no walk does.
const OPEN: &[Known] =
    &[Known::IntegerWidth, Known::NumericPlaces, Known::TriggerException, Known::TriggerSwallows];

/// Whether a fault is gone around. `DUTO_WALKS_AVOID` says otherwise than [`OPEN`]: `none`, `all`,
/// or names with commas between them.
pub fn avoids(known: Known) -> bool {
    static AVOIDED: LazyLock<Vec<Known>> =
        LazyLock::new(|| match std::env::var("DUTO_WALKS_AVOID").ok().as_deref() {
            None | Some("") => OPEN.to_vec(),
            Some("all") => ALL.to_vec(),
            Some(named) => ALL
                .into_iter()
                .filter(|known| named.split(',').any(|name| name == format!("{known:?}")))
                .collect(),
        });
    AVOIDED.contains(&known)
}
