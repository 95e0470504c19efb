use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn settings(proxies: &str, header: &str) -> HttpSettings {
    HttpSettings {
        proxies: proxies
            .split(',')
            .filter(|it| !it.is_empty())
            .map(|it| it.parse().unwrap())
            .collect(),
        proxy_header: header.parse().unwrap(),
        ..HttpSettings::default()
    }
}

/// `lines` are header lines as they arrive; the socket is 10.0.0.1.
#[track_caller]
fn check(proxies: &str, header: &str, lines: &[(&'static str, &str)], expected: (&str, bool)) {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let peer = read(&settings(proxies, header), "10.0.0.1".parse().unwrap(), &headers);
    let expected = Peer { address: expected.0.parse().unwrap(), https: expected.1 };
    assert_eq!(peer, expected, "{lines:?}");
}

const XFF: &str = "x-forwarded-for";
const XFP: &str = "x-forwarded-proto";
const PROXY: &str = "10.0.0.0/8";

#[test]
fn nobody_is_believed_by_default() {
    check("", XFF, &[(XFF, "192.0.2.1"), (XFP, "https")], ("10.0.0.1", false));
    check("172.16.0.0/12", XFF, &[(XFF, "192.0.2.1")], ("10.0.0.1", false));
    check("", "forwarded", &[("forwarded", "for=192.0.2.1;proto=https")], ("10.0.0.1", false));
}

#[test]
fn a_trusted_proxy_names_the_caller() {
    check(PROXY, XFF, &[], ("10.0.0.1", false));
    check(PROXY, XFF, &[(XFF, "192.0.2.1"), (XFP, "https")], ("192.0.2.1", true));
    check(PROXY, XFF, &[(XFF, "192.0.2.1"), (XFP, "http")], ("192.0.2.1", false));
    check(PROXY, XFF, &[(XFF, "192.0.2.1:4711")], ("192.0.2.1", false));
    check(PROXY, XFF, &[(XFF, "[2001:db8::1]:4711")], ("2001:db8::1", false));
    check(PROXY, XFF, &[(XFF, "2001:db8::1")], ("2001:db8::1", false));
    check(PROXY, XFF, &[(XFF, "::ffff:192.0.2.1")], ("192.0.2.1", false));
    // Two proxies of ours: the inner one reports the outer one, which reports the caller.
    check(PROXY, XFF, &[(XFF, "192.0.2.1, 10.0.0.2")], ("192.0.2.1", false));
    check(PROXY, XFF, &[(XFF, "192.0.2.1"), (XFF, "10.0.0.2")], ("192.0.2.1", false));
}

#[test]
fn what_the_caller_wrote_itself_is_not_believed() {
    // The proxy appends: what stands left of its own entry came from the caller.
    check(PROXY, XFF, &[(XFF, "10.0.0.9, 192.0.2.1")], ("192.0.2.1", false));
    check(PROXY, XFF, &[(XFF, "198.51.100.7, 192.0.2.1")], ("192.0.2.1", false));
    check(PROXY, XFF, &[(XFF, "198.51.100.7"), (XFF, "192.0.2.1, 10.0.0.2")], ("192.0.2.1", false));
    // The header that the proxy does not write passes through it untouched.
    let forged = [("forwarded", "for=198.51.100.7;proto=https"), (XFF, "192.0.2.1")];
    check(PROXY, XFF, &forged, ("192.0.2.1", false));
    let forged = [("x-real-ip", "198.51.100.7"), (XFF, "192.0.2.1")];
    check(PROXY, XFF, &forged, ("192.0.2.1", false));
    // A scheme for each hop: the caller's own, on the left, is not the caller's connection.
    let forged = [(XFF, "198.51.100.7, 192.0.2.1"), (XFP, "https, http")];
    check(PROXY, XFF, &forged, ("192.0.2.1", false));
    // Names that are no addresses: the one that wrote them is the last that is known.
    for name in ["unknown", "_hidden", "", "192.0.2.1.5", "localhost", "192.0.2.1;"] {
        check(PROXY, XFF, &[(XFF, &format!("{name}, 10.0.0.2"))], ("10.0.0.2", false));
    }
}

#[test]
fn rfc_7239_is_read_as_its_examples_write_it() {
    let check = |line: &str, expected| check(PROXY, "forwarded", &[("forwarded", line)], expected);
    check("for=192.0.2.60;proto=http;by=203.0.113.43", ("192.0.2.60", false));
    check("For=\"[2001:db8:cafe::17]:4711\"", ("2001:db8:cafe::17", false));
    check("for=192.0.2.43, for=198.51.100.17", ("198.51.100.17", false));
    check("for=192.0.2.43;proto=https, for=10.0.0.2;proto=http", ("192.0.2.43", true));
    check("for=192.0.2.43;proto=https,for=198.51.100.17;proto=http", ("198.51.100.17", false));
    check("for=unknown;proto=https, for=10.0.0.2", ("10.0.0.2", true));
    check("for=_gazonk", ("10.0.0.1", false));
    check("proto=https", ("10.0.0.1", true));
}

proptest! {
    /// Whatever a caller sends, the entry that the trusted proxy appended wins.
    #[test]
    fn no_header_of_the_callers_moves_its_address(forged in "[ -~]{0,200}") {
        let mut headers = HeaderMap::new();
        headers.append(XFF, HeaderValue::from_str(&forged).unwrap());
        headers.append(XFF, HeaderValue::from_static("192.0.2.1"));
        let peer = read(&settings(PROXY, XFF), "10.0.0.1".parse().unwrap(), &headers);
        prop_assert_eq!(peer.address, "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
