//! What an answer means for the record.

use std::time::Duration;

use reqwest::{Response, StatusCode};

use crate::http_client::retry_after;

/// How much of an answer's body is kept beside a reject.
const KEPT_CHARACTERS: usize = 500;
/// A receiver that asks for longer is asked again then, to see whether it changed its mind.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    /// The receiver understood the call and does not want it: the record becomes a reject.
    Refused {
        status: u16,
        reason: String,
    },
    /// It passes by itself.
    Again {
        reason: String,
        /// What Retry-After asks for.
        after: Option<Duration>,
    },
    /// Nothing that the record could have caused, such as a key that is not accepted or a path that
    /// is not there: somebody has to mend it.
    Halt {
        reason: String,
    },
}

/// Reads the answer to its end, so that its connection is used again.
pub(super) async fn verdict(response: Response) -> Verdict {
    let status = response.status();
    let after = retry_after(response.headers(), RETRY_AFTER_MAX);
    let body = response.text().await.unwrap_or_default();
    let told = || {
        let said: String = body.trim().chars().take(KEPT_CHARACTERS).collect();
        if said.is_empty() {
            format!("answered {status}")
        } else {
            format!("answered {status}: {said}")
        }
    };
    match status {
        _ if status.is_success() => Verdict::Delivered,
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => {
            Verdict::Refused { status: status.as_u16(), reason: told() }
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Verdict::Again { reason: told(), after }
        }
        _ if status.is_server_error() => Verdict::Again { reason: told(), after },
        _ => Verdict::Halt { reason: told() },
    }
}
