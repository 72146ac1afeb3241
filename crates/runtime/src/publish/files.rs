//! Messages of files that were loaded: nobody claims a file, so the worker that has the topic's
//! first partition sends them, one file after the other, and forgets each: nothing more is written
//! for it but by a replay.

use std::time::Duration;

use super::outbox::{self, Position};
use super::relay::{Relay, Surroundings, Trouble};
use super::signal::Signal;

/// Between two looks for loads that other processes made.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Runs until it is stopped. What fails is tried again at the next look.
pub fn run(surroundings: &Surroundings, pipeline: &str, signal: &Signal) {
    while !signal.is_stopped() {
        if let Err(trouble) = send_all(surroundings, pipeline, signal) {
            tracing::warn!(pipeline, reason = %trouble, "the messages of loaded files wait; \
                nothing is lost");
        }
        signal.wait_for_stop(LOOK_INTERVAL);
    }
}

fn send_all(surroundings: &Surroundings, pipeline: &str, signal: &Signal) -> Result<(), Trouble> {
    let Surroundings { pool, runtime, .. } = surroundings;
    let positions = runtime.block_on(async {
        let on = pool.get().await?;
        outbox::files(&on, pipeline).await
    })?;
    for position in positions {
        if signal.is_stopped() {
            break;
        }
        let file = position.topic.clone();
        if let Err(trouble) = send(surroundings, position, signal) {
            tracing::warn!(pipeline, file, reason = %trouble, "the messages of a loaded file wait; \
                nothing is lost");
        }
    }
    Ok(())
}

fn send(surroundings: &Surroundings, position: Position, signal: &Signal) -> Result<(), Trouble> {
    let mut relay = Relay::new(surroundings.clone(), position);
    while !signal.is_stopped() && relay.send_next()? > 0 {}
    let (Some(sent), Surroundings { pool, runtime, .. }) = (relay.sent, surroundings) else {
        return Ok(());
    };
    let prune = async || {
        let on = pool.get().await?;
        outbox::prune(&on, &relay.position, sent, Duration::ZERO).await
    };
    // The last row sent goes when no other is left below it: a row that comes later was never sent.
    while !signal.is_stopped() {
        if runtime.block_on(prune())? == 0 {
            runtime.block_on(async {
                let on = pool.get().await?;
                outbox::forget(&on, &relay.position, sent).await
            })?;
            break;
        }
    }
    Ok(())
}
