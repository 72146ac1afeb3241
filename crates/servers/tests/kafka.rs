//! A broker through its life: topics outlive a kill, a paused broker answers nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use duto_servers::{Kafka, KafkaSettings, Protocol, Proxy, ScratchFolder, free_port};

#[test]
fn a_broker_through_its_life() {
    let folder = ScratchFolder::create("kafka").unwrap();
    let proxy_port = free_port().unwrap();
    let settings = KafkaSettings { proxy_port: Some(proxy_port), ..KafkaSettings::default() };
    let mut kafka = Kafka::start_with(folder.path(), settings).unwrap();
    let servers = kafka.bootstrap_servers();
    assert_eq!(create_topic(kafka.address(), "kept").unwrap(), 0);
    assert_eq!(create_topic(kafka.address(), "kept").unwrap(), TOPIC_ALREADY_EXISTS);

    let proxy = Proxy::start_on(proxy_port, kafka.behind_proxy(), Protocol::Opaque).unwrap();
    assert_eq!(create_topic(proxy.address(), "kept").unwrap(), TOPIC_ALREADY_EXISTS);
    assert_eq!(
        advertised_port(proxy.address()).unwrap(),
        proxy_port,
        "who comes through the proxy is told to stay"
    );
    assert_eq!(advertised_port(kafka.address()).unwrap(), kafka.address().port());

    kafka.pause().unwrap();
    assert!(create_topic(kafka.address(), "paused").is_err(), "a paused broker answered");
    kafka.resume().unwrap();

    kafka.kill().unwrap();
    assert_eq!(kafka.pid(), None);
    kafka.start_again().unwrap();
    assert_eq!(kafka.bootstrap_servers(), servers);
    assert_eq!(create_topic(kafka.address(), "kept").unwrap(), TOPIC_ALREADY_EXISTS);

    kafka.stop().unwrap();
    assert!(TcpStream::connect(kafka.address()).is_err());
}

const METADATA: i16 = 3;
const CREATE_TOPICS: i16 = 19;
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// Asks in Kafka's protocol (CreateTopics, version 2) and answers the topic's error code.
fn create_topic(broker: SocketAddr, name: &str) -> std::io::Result<i16> {
    let mut body = (1_i32.to_be_bytes()).to_vec();
    body.extend((name.len() as i16).to_be_bytes());
    body.extend(name.as_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(20_000_i32.to_be_bytes());
    body.push(0);
    let answer = ask(broker, CREATE_TOPICS, 2, &body)?;
    // Throttle time, number of topics, the name's length and the name stand before the code.
    let code_at = 4 + 4 + 2 + name.len();
    Ok(i16::from_be_bytes(answer[code_at..code_at + 2].try_into().unwrap()))
}

/// The port under which the broker says that it can be reached (Metadata, version 4).
fn advertised_port(broker: SocketAddr) -> std::io::Result<u16> {
    let answer = ask(broker, METADATA, 4, &[0; 5])?;
    // Throttle time, number of brokers, node id, the host's length and the host stand before the
    // port.
    let host_bytes = u16::from_be_bytes(answer[12..14].try_into().unwrap()) as usize;
    let port_at = 14 + host_bytes;
    Ok(i32::from_be_bytes(answer[port_at..port_at + 4].try_into().unwrap()) as u16)
}

/// One request; answers what follows the correlation id.
fn ask(broker: SocketAddr, key: i16, version: i16, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut request = [key.to_be_bytes(), version.to_be_bytes()].concat();
    request.extend(7_i32.to_be_bytes());
    request.extend((-1_i16).to_be_bytes());
    request.extend(body);
    let mut stream = TcpStream::connect(broker)?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    stream.write_all(&(request.len() as i32).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}
