use crate::settings::{Network, ProxyHeader, Settings};

#[track_caller]
fn holds(network: &str, address: &str, expected: bool) {
    let network: Network = network.parse().unwrap();
    assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
}

#[test]
fn networks_hold_their_addresses() {
    holds("10.0.0.0/8", "10.255.0.1", true);
    holds("10.0.0.0/8", "11.0.0.0", false);
    holds("10.0.0.0/8", "::ffff:10.1.2.3", true);
    holds("192.0.2.7", "192.0.2.7", true);
    holds("192.0.2.7", "192.0.2.8", false);
    holds("0.0.0.0/0", "203.0.113.9", true);
    holds("0.0.0.0/0", "2001:db8::1", false);
    holds("::/0", "203.0.113.9", true);
    holds("2001:db8::/32", "2001:db8:ffff::1", true);
    holds("2001:db8::/32", "2001:db9::1", false);
    holds("2001:db8::/127", "2001:db8::2", false);
    for text in ["", "10.0.0.0/33", "::1/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "a/8"] {
        assert!(text.parse::<Network>().is_err(), "{text}");
    }
}

fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
    let lookup = |name: &str| {
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    Settings::read(&lookup).map_err(|faults| faults.to_string())
}

#[test]
fn settings_of_the_listener_are_checked() {
    let given = [
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("TRUSTED_PROXY_HEADER", "Forwarded"),
        ("CORS_ORIGINS", "https://Console.example.org, http://localhost:3000"),
        ("RATE_LIMIT_PERCENT", "50"),
        ("CONNECTIONS_PER_ADDRESS", "8"),
        ("REQUESTS_PER_ADDRESS", "5"),
        ("BODY_WAIT_S", "3"),
    ];
    let http = read(&given).unwrap().http;
    assert_eq!(http.proxies.len(), 2);
    assert_eq!(http.proxy_header, ProxyHeader::Forwarded);
    assert_eq!(http.cors_origins, ["https://console.example.org", "http://localhost:3000"]);
    assert_eq!((http.rate_percent.get(), http.connections_per_address_max), (50, 8));
    assert_eq!((http.requests_per_address_max, http.body_wait.as_secs()), (5, 3));
    let plain = read(&[]).unwrap().http;
    assert_eq!((plain.rate_percent.get(), plain.proxies.len()), (100, 0));
    for (name, value) in [
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("TRUSTED_PROXY_HEADER", "x-real-ip"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "https://example.org/path"),
        ("RATE_LIMIT_PERCENT", "0"),
        ("CONNECTIONS_PER_ADDRESS", "0"),
        ("REQUESTS_PER_ADDRESS", "0"),
        ("REQUESTS_PER_ADDRESS", "129"),
        ("BODY_WAIT_S", "0"),
        ("BODY_WAIT_S", "61"),
    ] {
        let fault = read(&[(name, value)]).unwrap_err();
        assert!(fault.contains(name), "{name}={value}: {fault}");
    }
}
