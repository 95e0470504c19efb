//! What the public listener is told from outside: proxies in front of it, foreign pages that may
//! call it, how generous it is. Knows no HTTP framework.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::Reader;
use crate::http::REQUESTS_MAX;

#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// `TRUSTED_PROXIES`: networks (`10.0.0.0/8,::1`) whose word on the caller's address and scheme
    /// is taken. None by default: then the caller is whoever connects.
    pub proxies: Vec<Network>,
    /// `TRUSTED_PROXY_HEADER`: the one header that those proxies write, `x-forwarded-for` (default,
    /// with `x-forwarded-proto`) or `forwarded` (RFC 7239). The other one is never read, because a
    /// proxy that does not know a header passes on what the caller put there.
    pub proxy_header: ProxyHeader,
    /// `CORS_ORIGINS`: origins of foreign pages that may call with the user's cookie. None by
    /// default; `*` is refused.
    pub cors_origins: Vec<String>,
    /// `RATE_LIMIT_PERCENT`: per cent of every rate limit that this process grants, default 100.
    /// Each process counts for itself: of n processes behind one balancer, each gets 100/n.
    pub rate_percent: NonZeroU32,
    /// `CONNECTIONS_PER_ADDRESS`: open connections of one IPv4 address or IPv6 network of 64 bits,
    /// default 128; trusted proxies are not counted. One more is closed at once.
    pub connections_per_address_max: usize,
    /// `REQUESTS_PER_ADDRESS`: requests that one such address, as the trusted proxies saw it, has
    /// worked on at once, bodies on their way included; default 64, a quarter of all places. One
    /// more is answered 429.
    pub requests_per_address_max: usize,
    /// `BODY_WAIT_S`: seconds from the head of a request to the end of its body, default 10; then
    /// 408.
    pub body_wait: Duration,
}

const RATE_PERCENT_DEFAULT: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
const CONNECTIONS_PER_ADDRESS_DEFAULT: usize = 128;
const REQUESTS_PER_ADDRESS_DEFAULT: usize = REQUESTS_MAX / 4;
/// Whatever one address does, as much is left for others.
const REQUESTS_PER_ADDRESS_MAX: usize = REQUESTS_MAX / 2;
const BODY_WAIT_DEFAULT_S: u64 = 10;
/// More seconds than this are a mistake: the whole request has less.
const BODY_WAIT_MAX_S: u64 = 60;

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            proxies: Vec::new(),
            proxy_header: ProxyHeader::XForwardedFor,
            cors_origins: Vec::new(),
            rate_percent: RATE_PERCENT_DEFAULT,
            connections_per_address_max: CONNECTIONS_PER_ADDRESS_DEFAULT,
            requests_per_address_max: REQUESTS_PER_ADDRESS_DEFAULT,
            body_wait: Duration::from_secs(BODY_WAIT_DEFAULT_S),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    XForwardedFor,
    Forwarded,
}

impl FromStr for ProxyHeader {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err(()),
        }
    }
}

/// An address range in CIDR notation (RFC 4632); a bare address is the range of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: Ipv6Addr,
    /// Of the address as IPv6; an IPv4 range lies below `::ffff:0:0/96`.
    mask: u128,
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        u128::from(as_v6(address)) & self.mask == u128::from(self.address) & self.mask
    }
}

/// IPv4 as IPv4-mapped IPv6, so that `::ffff:10.0.0.1` and `10.0.0.1` are one address.
fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let (most, above) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let bits: u32 = bits.map_or(Ok(most), str::parse).map_err(|_| ())?;
        if most < bits {
            return Err(());
        }
        let mask = u128::MAX.checked_shl(128_u32.saturating_sub(above + bits)).unwrap_or(0);
        Ok(Self { address: as_v6(address), mask })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.mask.count_ones())
    }
}

impl HttpSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let fallback = Self::default();
        let proxies = reader.list("TRUSTED_PROXIES", "networks like 10.0.0.0/8, by comma");
        let header = reader.parsed("TRUSTED_PROXY_HEADER", "x-forwarded-for or forwarded");
        let percent = reader.parsed("RATE_LIMIT_PERCENT", "a whole number above 0");
        let connections: Option<std::num::NonZeroUsize> =
            reader.parsed("CONNECTIONS_PER_ADDRESS", "a number of connections above 0");
        let requests = reader.parsed("REQUESTS_PER_ADDRESS", "a number of requests");
        if requests.is_some_and(|most| !(1..=REQUESTS_PER_ADDRESS_MAX).contains(&most)) {
            reader
                .faults
                .push(format!("REQUESTS_PER_ADDRESS must be 1 to {REQUESTS_PER_ADDRESS_MAX}"));
        }
        let wait = reader.parsed("BODY_WAIT_S", "a number of seconds");
        if wait.is_some_and(|seconds| !(1..=BODY_WAIT_MAX_S).contains(&seconds)) {
            reader.faults.push(format!("BODY_WAIT_S must be 1 to {BODY_WAIT_MAX_S}"));
        }
        let origins: Vec<Origin> =
            reader.list("CORS_ORIGINS", "origins like https://example.org, by comma, never *");
        Self {
            proxies,
            proxy_header: header.unwrap_or(fallback.proxy_header),
            cors_origins: origins.into_iter().map(|origin| origin.0).collect(),
            rate_percent: percent.unwrap_or(fallback.rate_percent),
            connections_per_address_max: connections
                .map_or(fallback.connections_per_address_max, std::num::NonZeroUsize::get),
            requests_per_address_max: requests.unwrap_or(fallback.requests_per_address_max),
            body_wait: wait.map_or(fallback.body_wait, Duration::from_secs),
        }
    }
}

/// An origin as browsers write it (RFC 6454, 6.1): scheme, host, port where it is not the scheme's.
struct Origin(String);

impl FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let plain = |host: &str| {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
        };
        match host {
            Some(host) if plain(host) => Ok(Self(text.to_ascii_lowercase())),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests;
