//! Every route of a server, each with what its caller must be allowed to do. A router is made of
//! such a list and of nothing else, so that none can be forgotten.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware;
use axum::routing::{MethodFilter, MethodRouter, on};

use duto_definition::{Limits, Role};

use crate::auth::{Guard, Needs, let_in};
use crate::limits::Limiter;

/// Of one address: a person mistypes, a program guesses.
const SIGN_INS_A_SECOND: f32 = 0.5;
const SIGN_INS_AT_ONCE: f32 = 10.0;

/// Who may come by a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody: whether the process lives.
    Open,
    /// Whoever brings a credential in the request itself.
    Unlocks,
    Needs(Role),
}

/// One route, as a test walks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub method: Method,
    pub path: String,
    pub access: Access,
}

/// The routes of a server whose handlers share a state.
pub struct Routes<S> {
    list: Vec<(Route, MethodRouter<S>)>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// A GET that everybody may ask.
    pub fn open<H: Handler<T, S>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.with(Method::GET, Access::Open, path, on(MethodFilter::GET, handler))
    }

    /// A GET for those of this role.
    pub fn get<H: Handler<T, S>, T: 'static>(self, role: Role, path: &str, handler: H) -> Self {
        self.with(Method::GET, Access::Needs(role), path, on(MethodFilter::GET, handler))
    }

    /// Another method, whose body has at most so many bytes.
    pub fn on<H: Handler<T, S>, T: 'static>(
        self,
        method: Method,
        role: Role,
        path: &str,
        handler: H,
        most_bytes: usize,
    ) -> Self {
        let handler = on(filter(&method), handler).layer(DefaultBodyLimit::max(most_bytes));
        self.with(method, Access::Needs(role), path, handler)
    }

    /// A form with a credential in it.
    pub fn unlocking<H: Handler<T, S>, T: 'static>(
        self,
        method: Method,
        path: &str,
        handler: H,
        most_bytes: usize,
    ) -> Self {
        let handler = on(filter(&method), handler).layer(DefaultBodyLimit::max(most_bytes));
        self.with(method, Access::Unlocks, path, handler)
    }

    /// A route that is made already.
    pub fn with(
        mut self,
        method: Method,
        access: Access,
        path: &str,
        handler: MethodRouter<S>,
    ) -> Self {
        self.list.push((Route { method, path: path.to_owned(), access }, handler));
        self
    }

    pub fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self
    }

    /// What there is, in the order in which it was added.
    pub fn list(&self) -> impl Iterator<Item = &Route> {
        self.list.iter().map(|(route, _)| route)
    }

    /// The server's router. Without a guard everybody is let in; where the limits have no rate,
    /// requests are not counted, but for those that try to sign in.
    pub fn into_router(self, guard: Option<&Arc<Guard>>, limits: &Limits) -> Router<S> {
        let limiter = Limiter::new(limits).map(Arc::new);
        let limiter = limiter.as_ref();
        let unlocks = self.list().any(|route| route.access == Access::Unlocks);
        let of_sign_ins = || Arc::new(Limiter::of(SIGN_INS_A_SECOND, SIGN_INS_AT_ONCE, Vec::new()));
        let sign_ins = unlocks.then(of_sign_ins);
        self.list.into_iter().fold(Router::new(), |router, (route, handler)| {
            let (role, limiter) = match route.access {
                Access::Open => return router.route(&route.path, handler),
                Access::Unlocks => (None, limiter.or(sign_ins.as_ref())),
                Access::Needs(role) => (Some(role), limiter),
            };
            let guard = guard.cloned().zip(role);
            let needs =
                Needs { guard, limiter: limiter.cloned(), route: route.path.clone().into() };
            router.route(
                &route.path,
                handler.route_layer(middleware::from_fn_with_state(needs, let_in)),
            )
        })
    }
}

/// The method as a filter; one that HTTP does not name is refused by `duto check`.
fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::POST)
}
