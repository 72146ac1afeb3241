//! What the calls of `deliver:` and the requests of `pull:` understand alike.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The pause that an answer asks for (RFC 9110, 10.2.3), in seconds or as a date, but none longer
/// than `most`.
pub fn retry_after(headers: &HeaderMap, most: Duration) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc) - Utc::now())
            .to_std()
            .unwrap_or_default(),
    };
    Some(pause.min(most))
}

/// What went wrong, with its causes and without the address, which may hold a secret.
pub fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        "the request failed".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        let most = Duration::from_secs(3600);
        let pause = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, most)
        };
        assert_eq!(pause("120"), Some(Duration::from_secs(120)));
        assert_eq!(pause("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let later = (Utc::now() + chrono::TimeDelta::seconds(100)).to_rfc2822();
        assert!(pause(&later).is_some_and(|pause| (90..=100).contains(&pause.as_secs())));
        assert_eq!(pause("99999999"), Some(most));
        assert_eq!(pause("soon"), None);
    }
}
