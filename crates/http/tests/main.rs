//! The servers as a caller meets them, without the program around them.

mod network; // TLS, limits, other origins
mod tokens; // tokens that must not be believed
mod walk; // every route, with and without a key

/// Runs what waits for servers to its end.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime").block_on(future)
}
