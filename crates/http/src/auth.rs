//! Who is let in: a key or a token in the `Authorization` header, or in the cookie of a person who
//! signed in.

mod believed; // whose tokens count
mod cookie; // how a browser brings what was signed in with
mod issuer; // an issuer's keys
mod origin; // a change that a browser sends comes from our own page
mod sign_in; // the page and its form
mod token; // what they signed

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use openssl::memcmp;
use serde_json::json;

use crate::audit::Refusals;
use crate::limits::{Limiter, Taken, peer_of};
use believed::Believed;
use duto_definition::auth::sha256;
use duto_definition::{Auth, Role, Roles};
pub use origin::is_of_host;
pub use sign_in::routes;

/// One pipeline's rules, or those of several, all of which must let a caller in.
pub struct Guard {
    rules: Vec<Rules>,
    /// Whoever brought a credential in vain.
    pub refusals: Refusals,
}

/// The address that a request comes from; empty where it is not known.
#[derive(Debug, Clone, Default)]
pub struct Address(pub String);

struct Rules {
    auth: Auth,
    believed: Option<Believed>,
}

/// Who asks, and what he may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name of a key, the subject of a token, or `anonymous`.
    pub name: String,
    pub roles: Roles,
    /// Whether a browser brought it, by the cookie of a sign-in.
    pub by_cookie: bool,
}

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// With what would help.
    Unauthorized(String),
    Forbidden(String),
    /// The issuer's keys cannot be looked up at the moment.
    Unknown(String),
}

/// What a request brought.
struct Credential {
    text: String,
    by_cookie: bool,
}

impl Guard {
    /// None where everybody is let in.
    pub fn new<'a>(auths: impl IntoIterator<Item = &'a Auth>) -> anyhow::Result<Option<Arc<Self>>> {
        let mut rules = Vec::new();
        for auth in auths.into_iter().filter(|auth| auth.is_configured()) {
            let believed = auth.tokens.as_ref().map(Believed::new).transpose()?;
            rules.push(Rules { auth: auth.clone(), believed });
        }
        Ok((!rules.is_empty()).then(|| Arc::new(Self { rules, refusals: Refusals::default() })))
    }

    /// Who asks, if he may do this.
    async fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        role: Role,
    ) -> Result<Caller, Refusal> {
        let credential = credential(headers);
        if credential.as_ref().is_some_and(|credential| credential.by_cookie)
            && !origin::is_own(method, headers)
        {
            return Err(Refusal::Forbidden(
                "a page of another server may not ask with this cookie".into(),
            ));
        }
        let mut callers = Vec::with_capacity(self.rules.len());
        for rules in &self.rules {
            callers.push(rules.check(credential.as_ref(), role).await?);
        }
        // Who is known by a name is told by it.
        let named = |known: Caller, next| if known.name == ANONYMOUS { next } else { known };
        callers.into_iter().reduce(named).ok_or_else(|| Refusal::Unauthorized(NEEDS.into()))
    }

    /// Who signs in with this: somebody who may look at pages.
    async fn knows(&self, text: &str) -> Result<Caller, Refusal> {
        let credential = Credential { text: text.to_owned(), by_cookie: true };
        let mut caller = None;
        for rules in &self.rules {
            caller = Some(rules.known(&credential).await?);
        }
        let caller = caller.ok_or_else(|| Refusal::Unauthorized(NEEDS.into()))?;
        match caller.roles.has(Role::Read) {
            true => Ok(caller),
            false => Err(Refusal::Forbidden(format!("{} may not read", caller.name))),
        }
    }
}

const ANONYMOUS: &str = "anonymous";
const NEEDS: &str = "the request needs `Authorization: Bearer ...`";

impl Rules {
    async fn check(&self, credential: Option<&Credential>, role: Role) -> Result<Caller, Refusal> {
        let known = match credential {
            Some(credential) => self.known(credential).await,
            None => Err(Refusal::Unauthorized(NEEDS.into())),
        };
        match known {
            Ok(caller) if caller.roles.has(role) => Ok(caller),
            _ if self.auth.anonymous.has(role) => {
                Ok(Caller { name: ANONYMOUS.into(), roles: self.auth.anonymous, by_cookie: false })
            }
            Ok(caller) => {
                Err(Refusal::Forbidden(format!("{} may not {}", caller.name, role.as_str())))
            }
            Err(refusal) => Err(refusal),
        }
    }

    async fn known(&self, credential: &Credential) -> Result<Caller, Refusal> {
        let hash = sha256(credential.text.as_bytes());
        // Every key is compared, so that the time tells nothing.
        let key =
            self.auth.keys.iter().fold(None, |found, key| {
                if memcmp::eq(&key.hash, &hash) { Some(key) } else { found }
            });
        let (name, roles) = match (key, &self.believed) {
            (Some(key), _) => (key.name.clone(), key.roles),
            (None, Some(believed)) => believed.check(&credential.text).await?,
            (None, None) => return Err(Refusal::Unauthorized("the key is not known".into())),
        };
        Ok(Caller { name, roles: roles.or(self.auth.anonymous), by_cookie: credential.by_cookie })
    }
}

/// The header's, else the cookie's.
fn credential(headers: &HeaderMap) -> Option<Credential> {
    let written = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (scheme, rest) = written.split_once(' ').unwrap_or(("", written));
    let is_bearer = scheme.is_empty() || scheme.eq_ignore_ascii_case("bearer");
    let text = rest.trim();
    if is_bearer && !text.is_empty() {
        return Some(Credential { text: text.to_owned(), by_cookie: false });
    }
    cookie::read(headers).map(|text| Credential { text, by_cookie: true })
}

/// What a route needs, and who decides.
#[derive(Clone)]
pub struct Needs {
    /// The rules, and the role that they are to find.
    pub guard: Option<(Arc<Guard>, Role)>,
    pub limiter: Option<Arc<Limiter>>,
    pub route: Arc<str>,
}

/// Lets a request through, with its [`Caller`] beside it, or answers it.
pub async fn let_in(
    State(Needs { guard, limiter, route }): State<Needs>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = match &limiter {
        Some(limiter) => limiter.address(request.headers(), request.extensions()),
        None => peer_of(request.extensions()).map(|peer| peer.to_string()).unwrap_or_default(),
    };
    request.extensions_mut().insert(Address(address.clone()));
    // Who is not known by a name is known by an address; so are those who guess.
    let take = |name: Option<&str>| {
        limiter.as_ref().map(|limiter| limiter.take(name.unwrap_or(&address), &route))
    };
    let Some((guard, role)) = guard else {
        return counted(take(None), request, next).await;
    };
    match guard.check(request.method(), request.headers(), role).await {
        Ok(caller) => {
            let name = (caller.name != ANONYMOUS).then(|| format!("key {}", caller.name));
            let taken = take(name.as_deref());
            request.extensions_mut().insert(caller);
            counted(taken, request, next).await
        }
        Err(refusal) => {
            if let Some(taken) = take(None).filter(|taken| !taken.allowed) {
                return taken.refusal();
            }
            if credential(request.headers()).is_some() {
                guard.refusals.note(&address, &refusal.to_string());
            }
            tracing::info!(path = request.uri().path(), role = role.as_str(), %refusal, "a request \
                is not let in");
            match refusal {
                Refusal::Unauthorized(_) if sign_in::is_for_a_person(&request) => {
                    sign_in::page(&request)
                }
                refusal => refusal.into_response(),
            }
        }
    }
}

async fn counted(taken: Option<Taken>, request: Request, next: Next) -> Response {
    match taken {
        Some(taken) if !taken.allowed => taken.refusal(),
        Some(taken) => {
            let mut response = next.run(request).await;
            taken.tell(&mut response);
            response
        }
        None => next.run(request).await,
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unauthorized(error) | Self::Forbidden(error) | Self::Unknown(error) => {
                f.write_str(error)
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = axum::Json(json!({ "error": self.to_string() }));
        match self {
            Self::Unauthorized(_) => {
                (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], body)
                    .into_response()
            }
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, body).into_response(),
            Self::Unknown(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], body)
                    .into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duto_definition::ApiKey;

    fn key(name: &str, roles: &[Role]) -> ApiKey {
        ApiKey {
            name: name.to_owned(),
            hash: sha256(name.as_bytes()),
            roles: roles.iter().copied().collect(),
        }
    }

    async fn asked(
        guard: &Guard,
        method: Method,
        headers: &[(&str, &str)],
        role: Role,
    ) -> Result<String, u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(
                header::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        let checked = guard.check(&method, &map, role).await;
        checked
            .map(|caller| caller.name)
            .map_err(|refusal| refusal.into_response().status().as_u16())
    }

    #[tokio::test]
    async fn a_key_does_what_its_roles_allow() {
        let auth = Auth {
            keys: vec![key("reader", &[Role::Read]), key("sender", &[Role::Ingest])],
            ..Auth::default()
        };
        let guard = Guard::new([&auth]).unwrap().unwrap();
        let ask = async |value: Option<&str>, role| {
            let headers: Vec<(&str, &str)> =
                value.map(|value| ("authorization", value)).into_iter().collect();
            asked(&guard, Method::GET, &headers, role).await
        };
        assert_eq!(ask(Some("Bearer reader"), Role::Read).await, Ok("reader".into()));
        assert_eq!(ask(Some("bearer sender"), Role::Ingest).await, Ok("sender".into()));
        assert_eq!(ask(Some("reader"), Role::Read).await, Ok("reader".into()));
        assert_eq!(ask(Some("Bearer reader"), Role::Ingest).await, Err(403));
        assert_eq!(ask(Some("Bearer reader"), Role::Operate).await, Err(403));
        for wrong in [
            None,
            Some(""),
            Some("Bearer "),
            Some("Bearer reade"),
            Some("Basic reader"),
            Some("Bearer Reader"),
        ] {
            assert_eq!(ask(wrong, Role::Read).await, Err(401), "{wrong:?}");
        }
        assert!(Guard::new([&Auth::default()]).unwrap().is_none());
    }

    #[tokio::test]
    async fn what_everybody_may_needs_no_key_and_a_wrong_one_does_not_harm() {
        let auth = Auth {
            keys: vec![key("sender", &[Role::Ingest])],
            anonymous: [Role::Read].into_iter().collect(),
            ..Auth::default()
        };
        let guard = Guard::new([&auth]).unwrap().unwrap();
        let read = asked(&guard, Method::GET, &[], Role::Read).await;
        assert_eq!(read, Ok(ANONYMOUS.into()));
        assert_eq!(
            asked(&guard, Method::GET, &[("authorization", "Bearer wrong")], Role::Read).await,
            Ok(ANONYMOUS.into())
        );
        assert_eq!(
            asked(&guard, Method::GET, &[("authorization", "Bearer sender")], Role::Read).await,
            Ok("sender".into())
        );
        assert_eq!(asked(&guard, Method::POST, &[], Role::Ingest).await, Err(401));
    }

    #[tokio::test]
    async fn every_pipeline_must_let_a_caller_in() {
        let one = Auth {
            keys: vec![key("both", &[Role::Read]), key("one", &[Role::Read])],
            ..Auth::default()
        };
        let other = Auth { keys: vec![key("both", &[Role::Read])], ..Auth::default() };
        let guard = Guard::new([&one, &Auth::default(), &other]).unwrap().unwrap();
        assert_eq!(
            asked(&guard, Method::GET, &[("authorization", "both")], Role::Read).await,
            Ok("both".into())
        );
        assert_eq!(
            asked(&guard, Method::GET, &[("authorization", "one")], Role::Read).await,
            Err(401)
        );
    }

    #[tokio::test]
    async fn another_page_cannot_use_the_cookie() {
        let auth =
            Auth { keys: vec![key("person", &[Role::Read, Role::Operate])], ..Auth::default() };
        let guard = Guard::new([&auth]).unwrap().unwrap();
        let cookie = format!("other=1; {}", cookie::pair("person"));
        let host = ("host", "duto.example");
        let ask = async |method: Method, more: &[(&str, &str)]| {
            let headers = [&[("cookie", cookie.as_str()), host], more].concat();
            asked(&guard, method, &headers, Role::Operate).await
        };
        assert_eq!(ask(Method::GET, &[]).await, Ok("person".into()));
        assert_eq!(
            ask(Method::POST, &[("origin", "https://duto.example")]).await,
            Ok("person".into())
        );
        for other in ["https://evil.example", "null", "https://duto.example.evil"] {
            assert_eq!(ask(Method::POST, &[("origin", other)]).await, Err(403), "{other}");
        }
        // A browser says where a change comes from.
        assert_eq!(ask(Method::POST, &[]).await, Err(403));
        assert_eq!(
            ask(Method::POST, &[("sec-fetch-site", "same-origin")]).await,
            Ok("person".into())
        );
    }
}
