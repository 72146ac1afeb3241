//! How many requests one caller may send to one route: a token bucket for each, in memory that does
//! not grow with the number of callers.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use duto_definition::http::IpNet;
use duto_definition::{Limits, Pipeline};

/// 4,096 sets of 8 buckets of 16 bytes: half a megabyte, and room for 32,768 callers that ask at
/// once. Of more the one that asked least makes room, and begins anew with a full bucket.
const SETS: usize = 4096;
const BUCKETS_OF_A_SET: usize = 8;

/// The limits of a server that shows several pipelines: those of the lowest rate.
pub fn strictest<'a>(pipelines: impl Iterator<Item = &'a Pipeline>) -> Limits {
    let limits = pipelines.map(|pipeline| &pipeline.http.limits);
    limits.min_by_key(|limits| limits.rate.unwrap_or(u32::MAX)).cloned().unwrap_or_default()
}

/// The buckets of a server.
pub struct Limiter {
    per_second: f32,
    burst: f32,
    trusted_proxies: Vec<IpNet>,
    sets: Vec<Mutex<[Bucket; BUCKETS_OF_A_SET]>>,
    hasher: RandomState,
    began: Instant,
}

/// What one caller may still take at one route; a caller of 0 is nobody.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    caller: u64,
    tokens: f32,
    /// Milliseconds since the server began.
    at_ms: u32,
}

/// What became of a request's wish.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taken {
    pub allowed: bool,
    limit: u32,
    remaining: u32,
    /// Until the next one is allowed, or the bucket is full again.
    reset_s: u32,
}

impl Limiter {
    /// None where requests are not counted.
    pub fn new(limits: &Limits) -> Option<Self> {
        Some(Self::of(
            limits.rate? as f32,
            limits.burst.max(1) as f32,
            limits.trusted_proxies.clone(),
        ))
    }

    /// So many requests a second, so many at once.
    pub fn of(per_second: f32, burst: f32, trusted_proxies: Vec<IpNet>) -> Self {
        let sets = (0..SETS).map(|_| Mutex::default()).collect();
        Self {
            per_second,
            burst,
            trusted_proxies,
            sets,
            hasher: RandomState::new(),
            began: Instant::now(),
        }
    }

    /// Takes one request of a caller at a route.
    pub fn take(&self, caller: &str, route: &str) -> Taken {
        self.take_at(caller, route, self.began.elapsed().as_millis() as u32)
    }

    fn take_at(&self, caller: &str, route: &str, now_ms: u32) -> Taken {
        let caller = self.hasher.hash_one((caller, route)).max(1);
        let set = &self.sets[(caller >> 32) as usize % SETS];
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let refilled = |bucket: &Bucket| {
            let passed_s = now_ms.wrapping_sub(bucket.at_ms) as f32 / 1000.0;
            (bucket.tokens + passed_s * self.per_second).min(self.burst)
        };
        let known = set.iter().position(|bucket| bucket.caller == caller);
        let place = known.unwrap_or_else(|| {
            // Nobody's first; else whoever could take the most has asked the least.
            let room =
                |bucket: &Bucket| if bucket.caller == 0 { f32::INFINITY } else { refilled(bucket) };
            (0..BUCKETS_OF_A_SET)
                .max_by(|left, right| room(&set[*left]).total_cmp(&room(&set[*right])))
                .unwrap_or_default()
        });
        let tokens = if known.is_some() { refilled(&set[place]) } else { self.burst };
        let allowed = tokens >= 1.0;
        let left = if allowed { tokens - 1.0 } else { tokens };
        set[place] = Bucket { caller, tokens: left, at_ms: now_ms };
        let missing = if allowed { self.burst - left } else { 1.0 - left };
        let reset_s = (missing / self.per_second).ceil() as u32;
        Taken {
            allowed,
            limit: self.burst as u32,
            remaining: left as u32,
            reset_s: reset_s.max(u32::from(!allowed)),
        }
    }

    /// By what an unnamed caller is known: its address, or the one that a proxy of ours names.
    pub fn address(&self, headers: &HeaderMap, extensions: &Extensions) -> String {
        let peer = peer_of(extensions);
        let is_ours =
            |address: &IpAddr| self.trusted_proxies.iter().any(|network| network.contains(address));
        let Some(peer) = peer else { return String::new() };
        if !is_ours(&peer) {
            return peer.to_string();
        }
        // The last one that is no proxy of ours: whoever is before it may have been made up.
        let named =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let named: Vec<IpAddr> = named
            .flat_map(|line| line.split(','))
            .filter_map(|address| address.trim().parse().ok())
            .collect();
        named.into_iter().rev().find(|address| !is_ours(address)).unwrap_or(peer).to_string()
    }
}

/// The other end of a request's connection.
pub fn peer_of(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

impl Taken {
    /// Says what is left (draft-ietf-httpapi-ratelimit-headers).
    pub fn tell(self, response: &mut Response) {
        let told = [
            ("ratelimit-limit", self.limit),
            ("ratelimit-remaining", self.remaining),
            ("ratelimit-reset", self.reset_s),
        ];
        for (name, value) in told {
            response.headers_mut().insert(name, HeaderValue::from(value));
        }
    }

    /// The answer to a request that is too much.
    pub fn refusal(self) -> Response {
        let error = format!(
            "more requests than {} at once are too many: try again in {} s",
            self.limit, self.reset_s
        );
        let retry_after = [(header::RETRY_AFTER, self.reset_s.to_string())];
        let mut response =
            (StatusCode::TOO_MANY_REQUESTS, retry_after, axum::Json(json!({ "error": error })))
                .into_response();
        self.tell(&mut response);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let limiter = Limiter::of(2.0, 3.0, Vec::new());
        let take = |now_ms| limiter.take_at("ana", "/api", now_ms);
        assert_eq!([take(0), take(0), take(0)].map(|taken| taken.remaining), [2, 1, 0]);
        let refused = take(100);
        assert!(!refused.allowed);
        assert_eq!(refused.reset_s, 1);
        assert_eq!(refused.refusal().headers()["retry-after"], "1");
        assert!(take(500).allowed && !take(500).allowed);
        // Others, and the same caller elsewhere, have buckets of their own.
        assert!(
            limiter.take_at("bo", "/api", 500).allowed
                && limiter.take_at("ana", "/other", 500).allowed
        );
        assert_eq!(take(60_000).remaining, 2);
    }

    #[test]
    fn a_million_callers_take_no_more_memory_than_one() {
        let limiter = Limiter::of(1.0, 1.0, Vec::new());
        let allowed = (0..1_000_000)
            .filter(|number| limiter.take_at(&format!("address {number}"), "/", 0).allowed)
            .count();
        assert_eq!(allowed, 1_000_000);
        let buckets = limiter.sets.len() * BUCKETS_OF_A_SET * size_of::<Bucket>();
        assert_eq!(buckets, 512 * 1024);
        // Whoever asks on and on stays limited while others come by, as long as a set is not full
        // of such callers.
        let fresh = Limiter::of(1.0, 1.0, Vec::new());
        assert!(fresh.take_at("steady", "/", 0).allowed);
        (0..1000).for_each(|number| _ = fresh.take_at(&format!("address {number}"), "/", 0));
        assert!(!fresh.take_at("steady", "/", 1).allowed);
    }

    #[test]
    fn only_our_own_proxies_name_a_caller() {
        let limiter = Limiter::of(1.0, 1.0, vec!["10.0.0.0/8".parse().unwrap()]);
        let address = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            forwarded
                .iter()
                .for_each(|value| _ = headers.append("x-forwarded-for", value.parse().unwrap()));
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            limiter.address(&headers, &extensions)
        };
        assert_eq!(address("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(address("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(address("10.0.0.1", &["6.6.6.6", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(address("::ffff:203.0.113.9", &[]), "203.0.113.9");
    }
}
