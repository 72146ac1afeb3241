//! What is answered instead of what was asked for: a status, and a sentence that says what to do.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use duto_log::LogError;

/// An error of the topic browser, as its page gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    pub error: String,
}

impl Refusal {
    pub fn new(status: StatusCode, error: impl Into<String>) -> Refusal {
        Refusal { status, error: error.into() }
    }

    pub fn bad_request(error: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, error)
    }

    pub fn no_topic(name: &str) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, format!("there is no topic {name}"))
    }

    /// The task that was to answer panicked, which is logged where it happened.
    pub fn internal() -> Refusal {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the program failed over this question; its log says why",
        )
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Refusal {
        let status = match error {
            LogError::Unreachable { .. } | LogError::QueueFull => StatusCode::SERVICE_UNAVAILABLE,
            LogError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            LogError::Locked(_) => StatusCode::CONFLICT,
            LogError::Refused { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal::new(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}
