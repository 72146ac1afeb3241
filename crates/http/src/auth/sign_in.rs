//! A page where a person signs in with a key or a token, and the way out.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use sha2::{Digest, Sha256};

use duto_definition::Role;

use super::{Address, Caller, Guard, Refusal, cookie, origin};
use crate::routes::Routes;

const MOST_FORM_BYTES: usize = 16 * 1024;
const PAGE: &str = include_str!("sign_in.html");
const STYLE: &str = include_str!("sign_in.css");

/// Signing in, signing out, and who one is. Without a guard nobody has to.
pub fn routes<S: Clone + Send + Sync + 'static>(guard: Option<&Arc<Guard>>) -> Routes<S> {
    let routes = Routes::new().get(Role::Read, "/duto/session", session);
    let Some(guard) = guard.cloned() else { return routes };
    let sign_in = move |from: Extension<Address>, headers: HeaderMap, body: Bytes| {
        let guard = guard.clone();
        async move { sign_in(&guard, &from.0, &headers, &body).await }
    };
    routes
        .unlocking(
            Method::GET,
            "/duto/sign-in",
            |headers: HeaderMap| async move { form(&headers, "/", false) },
            MOST_FORM_BYTES,
        )
        .unlocking(Method::POST, "/duto/sign-in", sign_in, MOST_FORM_BYTES)
        .on(Method::POST, Role::Read, "/duto/sign-out", sign_out, MOST_FORM_BYTES)
}

/// Whether a person at a browser asks for a page, who can sign in there.
pub fn is_for_a_person(request: &Request) -> bool {
    let accepts = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    request.method() == Method::GET && accepts.contains("text/html")
}

/// The form, which leads back to where the request wanted to go.
pub fn page(request: &Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    form(request.headers(), path, false)
}

/// What the page says.
struct Words {
    lang: &'static str,
    title: &'static str,
    about: &'static str,
    label: &'static str,
    button: &'static str,
    wrong: &'static str,
}

const ENGLISH: Words = Words {
    lang: "en",
    title: "Sign in",
    about: "This page needs a key, or a token of your issuer.",
    label: "Key or token",
    button: "Sign in",
    wrong: "This key or token is not accepted.",
};
const PORTUGUESE: Words = Words {
    lang: "pt-BR",
    title: "Entrar",
    about: "Esta página pede uma chave, ou um token do seu emissor.",
    label: "Chave ou token",
    button: "Entrar",
    wrong: "Esta chave ou este token não é aceito.",
};

fn form(headers: &HeaderMap, next: &str, is_wrong: bool) -> Response {
    let languages = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let words = if languages.trim_start().starts_with("pt") { PORTUGUESE } else { ENGLISH };
    let error = if is_wrong {
        format!("<p class=\"error\" role=\"alert\">{}</p>", words.wrong)
    } else {
        String::new()
    };
    let filled = [
        ("{lang}", words.lang),
        ("{title}", words.title),
        ("{about}", words.about),
        ("{label}", words.label),
        ("{button}", words.button),
        ("{error}", &error),
        ("{style}", STYLE),
        ("{next}", &escaped(next)),
    ];
    let html =
        filled.into_iter().fold(PAGE.to_owned(), |page, (mark, text)| page.replace(mark, text));
    let style = openssl::base64::encode_block(&Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; \
            frame-ancestors 'none'; img-src data:"
    );
    let about = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::WWW_AUTHENTICATE, "Bearer".to_owned()),
    ];
    (StatusCode::UNAUTHORIZED, about, html).into_response()
}

/// The form's answer: back to the page, with the cookie, or the form again.
async fn sign_in(
    guard: &Guard,
    Address(address): &Address,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    if headers.contains_key(header::ORIGIN) && !origin::is_own(&Method::POST, headers) {
        return Refusal::Forbidden("a page of another server may not sign in here".into())
            .into_response();
    }
    let fields: HashMap<String, String> = url_decoded(body);
    let key = fields.get("key").map(|key| key.trim()).unwrap_or_default();
    let next = fields.get("next").map_or("/", String::as_str);
    let next = if is_here(next) { next } else { "/" };
    if key.len() > cookie::MOST_BYTES {
        guard.refusals.note(address, "what was given is longer than a key or a token");
        return form(headers, next, true);
    }
    if key.is_empty() {
        return form(headers, next, true);
    }
    match guard.knows(key).await {
        Ok(caller) => {
            tracing::info!(name = caller.name, "somebody signed in");
            let cookie = cookie::set(key, is_over_tls(headers));
            let location = HeaderValue::from_str(next).ok();
            redirect(location, cookie)
        }
        Err(Refusal::Unknown(error)) => Refusal::Unknown(error).into_response(),
        Err(refusal) => {
            tracing::warn!(%refusal, "a sign-in was refused");
            guard.refusals.note(address, &refusal.to_string());
            form(headers, next, true)
        }
    }
}

async fn sign_out(headers: HeaderMap) -> Response {
    redirect(Some(HeaderValue::from_static("/")), cookie::clear(is_over_tls(&headers)))
}

/// Where nobody is asked who he is there is no name.
async fn session(caller: Option<Extension<Caller>>) -> Response {
    let body = Json(match caller {
        Some(Extension(Caller { name, roles, by_cookie })) => {
            let roles: Vec<&str> = roles.iter().map(Role::as_str).collect();
            json!({ "name": name, "roles": roles, "by_cookie": by_cookie })
        }
        None => json!({ "name": null, "roles": ["read", "ingest", "operate"], "by_cookie": false }),
    });
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn redirect(location: Option<HeaderValue>, cookie: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response
        .headers_mut()
        .insert(header::LOCATION, location.unwrap_or(HeaderValue::from_static("/")));
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A path of this server, and nothing that a browser takes for another one.
fn is_here(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(['\\', '\r', '\n'])
        && path.is_ascii()
}

/// As the server in front of us says, where TLS ends there, or our own, see [`crate::serve`].
fn is_over_tls(headers: &HeaderMap) -> bool {
    headers
        .get("x-forwarded-proto")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
}

fn url_decoded(body: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_here() {
        for here in ["/", "/api/days?x=1", "/docs"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nSet-Cookie: x",
            "javascript:alert(1)",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn what_was_asked_for_is_text_in_the_page() {
        let response = form(&HeaderMap::new(), "/?q=\"><script>alert(1)</script>", true);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(escaped("\"><script>"), "&quot;&gt;&lt;script&gt;");
    }
}
