//! Single wrong steps. Each makes the exploration fail within the bounds that its test names: the
//! model is as strict as it claims.

/// A step of the load that is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// The position's update matched no row, and the transaction goes on. Sending COMMIT before
    /// that answer is in comes to the same.
    RowCountIgnored,
    /// `UPDATE position ... WHERE next = $from`, without the fence.
    UpdateIgnoresFence,
    /// `UPDATE position ... WHERE fence = $fence`, without the offset.
    UpdateIgnoresNext,
    /// A claim reads the position and its fence, and draws no new one.
    ClaimKeepsFence,
    /// After a lost connection the position is claimed anew and the same batch sent again, without
    /// a look at `next`.
    RetryWithoutReading,
    /// After a lost connection the batch counts as stored, because its COMMIT was sent.
    LostAnswerTakenAsStored,
    /// A claim starts at Kafka's committed offset.
    StartAtCommittedCopy,
    /// Rejects are written in a transaction of their own, behind the load's.
    RejectsApart,
    /// A replay locks neither the position nor the reject.
    ReplayWithoutLocks,
    /// A replay looks for open rejects before it locks the position, and not again.
    ReplayReadsBeforeLocks,
    /// A load looks for resolved rejects when it decodes, not under the position's lock.
    RejectsReadWhenDecoding,
    /// An operator's rewind, skip or reset moves `next` and leaves the fence.
    MoveKeepsFence,
    /// An idle worker does not read its positions again.
    PositionNotReread,
    /// What the client had queued of a partition survives the partition's loss and new assignment.
    RevokedRecordsKept,
    /// The topic's id is not compared with the position's.
    TopicIdIgnored,
    /// A worker that finds another topic id on assignment halts before it claims.
    HaltWithoutClaim,
    /// The back-fill of a rollup draws no new fences.
    BackfillKeepsFences,
    /// A worker claims although it has a rollup that the database does not: a restored backup
    /// forgot it.
    UnknownRollupClaimed,
    /// A batch goes as one statement without a look whether rejects of an earlier reading are on
    /// record.
    AtOnceBesideRejects,
    /// A partition goes to another lane while a batch of it is on its way.
    HandedOverInFlight,
    /// What was read of a partition is left behind when it goes to another lane, which reads on
    /// behind it.
    HandedOverWithoutQueue,
}

/// A step of the relay that is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayMutation {
    /// The progress is written to PostgreSQL after Kafka's commit.
    ProgressInDatabase,
    /// `init_transactions` does not fence the one before, because each relay has a transactional id
    /// of its own.
    OwnTransactionalId,
    /// The progress is read, then `init_transactions` called.
    ProgressReadBeforeFencing,
    /// The progress partition is read up to its last stable offset only, which another producer's
    /// open transaction holds back.
    ProgressReadToLastStable,
    /// A row that has the id of the last one sent is taken for that one.
    TokenIgnored,
    /// Rows below the last one sent are pruned without a look whether that row is still there.
    PruneWithoutToken,
    /// An outbox id is drawn before the position's lock is held.
    IdDrawnBeforeLock,
}
