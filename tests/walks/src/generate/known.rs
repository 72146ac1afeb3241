//! Faults that are known and make so many walks fail that others would not be found behind them. Each has a switch, and all are off in
//! the end: a walk goes around none.

/// Whether a fault is gone around for now, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// A record without a row in the `once` table is counted as repeated.
    OnceWithWhere,
    /// A sum over a decimal of 256 bits is rounded row by row.
    WideSum,
    /// A bulk under a key answers by the place among its good elements.
    BulkByPlaceOfGood,
    /// A body that is refused gets 422 also under a key that has an answer.
    RefusedBodyUnderKey,
    /// A constraint that is checked at COMMIT stops the lane.
    DeferredConstraint,
    /// A trigger's exception for one row stops everything.
    TriggerException,
    /// A repeat over a GENERATED ALWAYS identity column pauses.
    AlwaysIdentity,
}

/// What `DUTO_WALKS_AVOID` names, separated by commas, is gone around; `all` is every one.
pub fn avoids(known: Known) -> bool {
    static NAMED: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| std::env::var("DUTO_WALKS_AVOID").unwrap_or_default());
    NAMED.split(',').any(|name| name == "all" || name == format!("{known:?}"))
}
