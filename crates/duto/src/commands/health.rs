//! `duto health URL`: the health check of a container, whose image has no other HTTP client.

use std::time::Duration;

use anyhow::Context;

use super::exit_code;

/// What a container's health check shows of a long answer.
const SHOWN_CHARACTERS: usize = 2_000;

/// Asks a running pipeline whether it is well, and fails where it is not.
#[derive(Debug, clap::Args)]
pub struct HealthArgs {
    /// What to ask, such as http://127.0.0.1:8081/readyz.
    #[arg(value_name = "URL")]
    pub url: reqwest::Url,
    /// How long to wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub timeout: u64,
}

/// Fine on an answer that is a success; any other answer is printed, and fails.
pub async fn run(args: HealthArgs) -> anyhow::Result<i32> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(args.timeout))
        // A certificate is for the name that others use, not for this host's loopback address.
        .tls_danger_accept_invalid_certs(is_loopback(&args.url))
        .no_proxy()
        .build()?;
    let answer = client.get(args.url.clone()).send().await;
    let answer = answer.with_context(|| format!("{} does not answer", args.url))?;
    if answer.status().is_success() {
        return Ok(exit_code::FINE);
    }
    println!("{} answers {}", args.url, answer.status());
    let body = answer.text().await.unwrap_or_default();
    println!("{}", body.chars().take(SHOWN_CHARACTERS).collect::<String>().trim_end());
    Ok(exit_code::FAILED)
}

fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_may_have_a_certificate_for_another_name() {
        for (url, expected) in [
            ("https://127.0.0.1:8443/readyz", true),
            ("https://localhost/readyz", true),
            ("https://[::1]/readyz", true),
            ("https://10.0.0.1/readyz", false),
            ("https://localhost.example/readyz", false),
            ("https://127.0.0.1.example/readyz", false),
        ] {
            assert_eq!(is_loopback(&url.parse().expect("a URL")), expected, "{url}");
        }
    }
}
