//! Whether a broker answers, asked in Kafka's own protocol: the port is open long before requests
//! are.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const METADATA: i16 = 3;
const METADATA_VERSION: i16 = 4;
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How many brokers the cluster counts as alive. Zero: the node answers, but has not joined its
/// cluster yet.
pub fn living_brokers(broker: SocketAddr, timeout: Duration) -> io::Result<i32> {
    let mut stream = TcpStream::connect_timeout(&broker, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(&request())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::other(format!("an answer of {length} bytes is not Kafka's")));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    broker_count(&answer).ok_or_else(|| io::Error::other("the answer is too short"))
}

/// Metadata for no topic: length; key, version, correlation id, client id; no topics, create none.
fn request() -> Vec<u8> {
    let client = b"duto-servers";
    let mut body = Vec::new();
    body.extend(METADATA.to_be_bytes());
    body.extend(METADATA_VERSION.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend((client.len() as i16).to_be_bytes());
    body.extend(client);
    body.extend(0_i32.to_be_bytes());
    body.push(0);
    let mut request = (body.len() as i32).to_be_bytes().to_vec();
    request.extend(body);
    request
}

/// The answer begins with the correlation id, the throttle time and the number of brokers.
fn broker_count(answer: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(answer.get(8..12)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_short_answers() {
        let answer = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        assert_eq!(broker_count(&answer), Some(1));
        assert_eq!(broker_count(&answer[..11]), None);
    }

    #[test]
    fn the_request_says_its_own_length() {
        let request = request();
        assert_eq!(
            request.len() - 4,
            i32::from_be_bytes(request[..4].try_into().unwrap()) as usize
        );
    }
}
