//! The web pages, from the program itself: nothing is fetched from elsewhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Served;
use super::routes::Routes;
use duto_definition::Role;

/// One file of `dashboard/dist`.
pub struct Asset {
    pub name: &'static str,
    pub plain: &'static [u8],
    pub zipped: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Nothing from elsewhere, nothing inline.
pub const POLICY: &str = "default-src 'self'; style-src 'self'; img-src 'self' data:; object-src \
    'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";
/// Swagger UI sets styles of its own while it runs.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' \
    data:; object-src 'none'; base-uri 'none'; frame-ancestors 'self'";

pub fn routes(served: &Served) -> Routes<Arc<Served>> {
    let routes = Routes::new().get(Role::Read, "/duto/assets/{*name}", named_asset).get(
        Role::Read,
        "/docs",
        |headers: HeaderMap| async move { asset("docs/index.html", &headers, DOCS_POLICY) },
    );
    if served.pipeline.dashboard.is_none() {
        return routes;
    }
    routes
        .get(
            Role::Read,
            "/",
            |headers: HeaderMap| async move { asset("index.html", &headers, POLICY) },
        )
        .get(Role::Read, "/duto/dashboard.json", dashboard)
}

/// A file of a page.
pub async fn named_asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    asset(&name, &headers, POLICY)
}

async fn dashboard(State(served): State<Arc<Served>>) -> Response {
    let Some(dashboard) = &served.pipeline.dashboard else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let send = served.pipeline.ingest.first().map(|endpoint| endpoint.name());
    Json(json!({
        "pipeline": served.pipeline.name, "title": dashboard.title, "locale": dashboard.locale, "currency": dashboard.currency,
        "panels": dashboard.panels, "send": send, "file": served.file,
    }))
    .into_response()
}

/// A file with its type, compressed where the caller takes it.
pub fn asset(name: &str, headers: &HeaderMap, policy: &'static str) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        let built = !ASSETS.is_empty();
        let told = if built {
            "there is no such file\n"
        } else {
            "this program was built without its pages: run `make build`, which builds them first\n"
        };
        return (if built { StatusCode::NOT_FOUND } else { StatusCode::NOT_IMPLEMENTED }, told)
            .into_response();
    };
    let etag = format!("\"{}\"", &hex::encode(Sha256::digest(asset.plain))[..24]);
    let header_text = |name| {
        headers
            .get(name)
            .and_then(|value: &axum::http::HeaderValue| value.to_str().ok())
            .unwrap_or_default()
    };
    let common = [
        (header::CONTENT_SECURITY_POLICY, policy.to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::VARY, "accept-encoding".to_owned()),
        (header::ETAG, etag.clone()),
        (header::CONTENT_TYPE, media_type(name).to_owned()),
    ];
    if header_text(header::IF_NONE_MATCH).contains(&etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    match asset.zipped.filter(|_| header_text(header::ACCEPT_ENCODING).contains("gzip")) {
        Some(zipped) => (common, [(header::CONTENT_ENCODING, "gzip")], zipped).into_response(),
        None => (common, asset.plain).into_response(),
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}
