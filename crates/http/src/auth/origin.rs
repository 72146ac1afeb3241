//! Whether a change that a browser sends comes from a page of this server (CSRF).

use axum::http::{HeaderMap, HeaderValue, Method, header};

/// Looking is free; for a change the browser says where it comes from.
pub fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if method == Method::GET || method == Method::HEAD || method == Method::OPTIONS {
        return true;
    }
    match (text("origin"), text("sec-fetch-site")) {
        (Some(origin), _) => {
            origin.split_once("://").map(|(_, authority)| authority) == text(header::HOST.as_str())
        }
        (None, Some(site)) => site == "same-origin",
        (None, None) => false,
    }
}
