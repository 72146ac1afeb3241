//! Who may send records, and who may ask: the `Authorization` header, checked when the file says how.

mod issuer; // an issuer's keys
mod token; // what they signed

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use openssl::memcmp;
use serde_json::json;

use duto_definition::Auth;
use issuer::Issuer;

/// A pipeline's guard.
pub struct Guard {
    auth: Auth,
    issuer: Option<Issuer>,
}

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// With what would help.
    Unauthorized(String),
    /// The issuer's keys cannot be looked up at the moment.
    Unknown(String),
}

impl Guard {
    /// None where everybody is let in.
    pub fn new(auth: &Auth) -> anyhow::Result<Option<Arc<Self>>> {
        if !auth.is_configured() {
            return Ok(None);
        }
        let issuer = auth.issuer.as_ref().map(|issuer| Issuer::new(issuer, auth.audience.as_deref())).transpose()?;
        Ok(Some(Arc::new(Self { auth: auth.clone(), issuer })))
    }

    async fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let credentials = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (scheme, rest) = credentials.split_once(' ').unwrap_or(("", credentials));
        if credentials.is_empty() || (!scheme.is_empty() && !scheme.eq_ignore_ascii_case("bearer")) {
            return Err(Refusal::Unauthorized("the request needs `Authorization: Bearer ...`".into()));
        }
        let token = rest.trim();
        // Every key is compared to its end, so that the time tells nothing.
        let known = self.auth.keys.iter().fold(false, |known, key| known | same(key.as_bytes(), token.as_bytes()));
        match &self.issuer {
            _ if known => Ok(()),
            Some(issuer) => issuer.check(token).await,
            None => Err(Refusal::Unauthorized("the key is not known".into())),
        }
    }
}

/// Lets a request through, or answers it.
pub async fn let_in(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.check(request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(Refusal::Unauthorized(error)) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], axum::Json(json!({ "error": error }))).into_response()
        }
        Err(Refusal::Unknown(error)) => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], axum::Json(json!({ "error": error }))).into_response()
        }
    }
}

fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && memcmp::eq(left, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_lets_in_and_nothing_else_does() {
        let auth = Auth { keys: vec!["first".into(), "second".into()], ..Auth::default() };
        let guard = Guard::new(&auth).unwrap().unwrap();
        let check = async |value: Option<&str>| {
            let headers = value.map(|value| (header::AUTHORIZATION, value.parse().unwrap())).into_iter().collect();
            guard.check(&headers).await.is_ok()
        };
        assert!(check(Some("Bearer second")).await && check(Some("bearer first")).await && check(Some("first")).await);
        for wrong in [None, Some(""), Some("Bearer "), Some("Bearer firs"), Some("Basic first"), Some("Bearer First")] {
            assert!(!check(wrong).await, "{wrong:?}");
        }
        assert!(Guard::new(&Auth::default()).unwrap().is_none());
    }
}
