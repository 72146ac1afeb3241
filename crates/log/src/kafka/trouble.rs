//! Why a client cannot talk to its brokers. librdkafka tells it to callbacks, while the call that
//! waits hears of a timeout only.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use super::super::LogError;
use super::advice::{self, Fault};
use super::handle::Heard;

/// A call gives up when a broker refused us for so long: that does not pass by waiting, but a
/// broker that starts may not know its users yet.
const PATIENCE_WITH_A_REFUSAL: Duration = Duration::from_secs(3);
/// What is older explains nothing. librdkafka repeats an error that goes on every 30 s.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// What went wrong last.
#[derive(Debug, Default)]
pub struct Trouble(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Told>,
    /// What is wrong with the certificate that a broker showed, by its host and port.
    faults: BTreeMap<String, Fault>,
}

#[derive(Debug, Clone)]
struct Told {
    reason: String,
    /// The broker does not want us, or we do not want it: not only the network is at fault.
    is_refusal: bool,
    at: Instant,
    /// Refusals have followed each other since then.
    since: Instant,
}

impl Trouble {
    /// Keeps an error of the client's, and answers it with what to do about it.
    pub fn note(&self, code: Code, reason: &str) -> String {
        let mut state = self.lock();
        let of_broker = state.faults.iter().find(|(broker, _)| reason.contains(broker.as_str()));
        let fault = of_broker.map(|(_, fault)| fault).filter(|_| advice::is_of_certificate(reason));
        let told = advice::with_advice(code, reason, fault);
        // It only says that what was told of each broker is true of all.
        if code != Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN {
            let is_refusal = advice::is_refusal(code, reason);
            let now = Instant::now();
            let before = state.last.as_ref().filter(|told| told.is_refusal && is_refusal);
            let since = before.filter(|told| told.at.elapsed() < KEPT_FOR);
            let since = since.map_or(now, |told| told.since);
            state.last = Some(Told { reason: told.clone(), is_refusal, at: now, since });
        }
        told
    }

    /// Why nothing came of a call; `otherwise` where nothing is known.
    pub fn why(&self, otherwise: String) -> String {
        let state = self.lock();
        let last = state.last.as_ref().filter(|told| told.at.elapsed() < KEPT_FOR);
        last.map_or(otherwise, |told| told.reason.clone())
    }

    /// The same for an error that is to be tried again; others say by themselves what is wrong.
    pub fn explain(&self, error: LogError) -> LogError {
        match error {
            LogError::Unreachable { doing, reason } => {
                LogError::Unreachable { doing, reason: self.why(reason) }
            }
            error => error,
        }
    }

    /// Why a call that began then need not wait any longer.
    pub fn refusal_since(&self, began: Instant) -> Option<String> {
        let state = self.lock();
        let told = state.last.as_ref().filter(|told| told.is_refusal)?;
        let since = told.since.max(began);
        (told.at.elapsed() < KEPT_FOR && since.elapsed() > PATIENCE_WITH_A_REFUSAL)
            .then(|| told.reason.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a client of which nothing else is to be told.
///
/// # Safety
/// Called by librdkafka with a [`Heard`] that outlives the client.
pub unsafe extern "C" fn on_error(
    _client: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    heard: *mut c_void,
) {
    // SAFETY: see above; the reason ends with a NUL and lives through the call.
    let (heard, reason) =
        unsafe { (&*heard.cast::<Heard>(), CStr::from_ptr(reason).to_string_lossy()) };
    // Before the line, whose arguments are not looked at where nobody reads it.
    let told = heard.trouble.note(code_of(code), &reason);
    tracing::debug!(code, "{told}");
}

/// A code as the error callback gets it. Only those are told apart that advice goes by.
pub fn code_of(number: c_int) -> Code {
    [
        Code::RD_KAFKA_RESP_ERR__SSL,
        Code::RD_KAFKA_RESP_ERR__AUTHENTICATION,
        Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
        Code::RD_KAFKA_RESP_ERR__TRANSPORT,
        Code::RD_KAFKA_RESP_ERR__RESOLVE,
    ]
    .into_iter()
    .find(|code| *code as c_int == number)
    .unwrap_or(Code::RD_KAFKA_RESP_ERR_UNKNOWN)
}

/// Notes what OpenSSL finds wrong with a broker's certificate, which librdkafka does not tell. It
/// decides nothing: what OpenSSL refuses stays refused.
///
/// # Safety
/// As [`on_error`]; the certificate lives through the call.
pub unsafe extern "C" fn on_certificate(
    _client: *mut sys::rd_kafka_t,
    broker: *const c_char,
    _broker_id: i32,
    x509_error: *mut c_int,
    _depth: c_int,
    certificate: *const c_char,
    size: usize,
    _error_text: *mut c_char,
    _error_text_bytes: usize,
    heard: *mut c_void,
) -> c_int {
    // SAFETY: see above.
    let (heard, broker, error, der) = unsafe {
        (
            &*heard.cast::<Heard>(),
            CStr::from_ptr(broker).to_string_lossy(),
            *x509_error,
            slice::from_raw_parts(certificate.cast::<u8>(), size),
        )
    };
    if error == 0 {
        return 1;
    }
    let fault = Fault::of(error, &broker, der);
    heard.trouble.lock().faults.insert(broker.into_owned(), fault);
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_trouble_explains_a_timeout_and_nothing_else() {
        let trouble = Trouble::default();
        let lost = || LogError::Unreachable { doing: "ask".into(), reason: "timed out".into() };
        assert_eq!(trouble.explain(lost()), lost());
        let began = Instant::now();
        trouble.note(Code::RD_KAFKA_RESP_ERR__AUTHENTICATION, "a:9093: wrong");
        trouble.note(Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down");
        assert!(trouble.explain(lost()).to_string().contains("a:9093: wrong"));
        let refused = LogError::Refused { doing: "ask".into(), reason: "no".into() };
        assert_eq!(trouble.explain(refused.clone()), refused);
        // It may pass: a broker that starts does not know its users yet.
        assert_eq!(trouble.refusal_since(began), None);
    }
}
