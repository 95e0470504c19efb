use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};

use super::client_address;

const PROXY: &str = "10.0.0.1";
const INNER: &str = "10.0.0.2";

#[track_caller]
fn check(peer: &str, forwarded: Option<&str>, expect: &str) {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let mut headers = HeaderMap::new();
    if let Some(forwarded) = forwarded {
        let value = HeaderValue::from_str(forwarded).expect("a value");
        headers.insert("x-forwarded-for", value);
    }
    let trusted = [address(PROXY), address(INNER)];
    assert_eq!(client_address(address(peer), &headers, &trusted), address(expect));
}

#[test]
fn only_configured_proxies_are_believed() {
    check("203.0.113.9", None, "203.0.113.9");
    check("203.0.113.9", Some("198.51.100.1"), "203.0.113.9");
    check(PROXY, None, PROXY);
    check(PROXY, Some("198.51.100.1"), "198.51.100.1");
}

#[test]
fn the_nearest_stranger_is_the_client() {
    check(PROXY, Some("198.51.100.1, 203.0.113.9"), "203.0.113.9");
    check(PROXY, Some("198.51.100.1, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
    check(PROXY, Some("2001:db8::1"), "2001:db8::1");
}

#[test]
fn what_is_no_address_is_not_looked_behind() {
    check(PROXY, Some("198.51.100.1, unknown"), PROXY);
    check(PROXY, Some(""), PROXY);
    check(PROXY, Some("10.0.0.2"), PROXY);
}
