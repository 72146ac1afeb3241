//! Events of work that goes on for as long as a page listens.

use std::convert::Infallible;

use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, Sender};

/// Starts the work on a thread of its own, which has the permit until it ends. A page that reads
/// slowly is waited for when so many events wait for it; one that is gone takes no more.
pub fn events_of(
    waiting_events: usize,
    permit: OwnedSemaphorePermit,
    work: impl FnOnce(&Sender<Event>) + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (tell, told) = mpsc::channel(waiting_events);
    tokio::task::spawn_blocking(move || {
        work(&tell);
        drop(permit);
    });
    Sse::new(unfold(
        told,
        |mut told| async move { told.recv().await.map(|event| (Ok(event), told)) },
    ))
}
