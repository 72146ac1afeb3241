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
            text(header::HOST.as_str()).is_some_and(|host| is_of_host(origin, host))
        }
        (None, Some(site)) => site == "same-origin",
        (None, None) => false,
    }
}

/// Whether an `Origin` is this host's, whatever its scheme.
pub fn is_of_host(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, authority)| authority == host)
}
