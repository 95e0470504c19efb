//! Who is at the other end: the address and scheme as the last trusted hop saw them. Forged headers
//! change nothing: only trusted proxies are believed, and of what they say only the part that they
//! wrote themselves. Knows no route.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;

use super::Front;
use crate::settings::{HttpSettings, ProxyHeader};

/// Hops of one header that are looked at, from the right.
const HOPS_MAX: usize = 32;

/// The caller, as an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// The caller's own connection is encrypted.
    pub(super) https: bool,
}

pub(super) const NOBODY: Peer = Peer { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), https: false };

pub(super) fn of(request: &Request) -> Peer {
    request.extensions().get::<Peer>().copied().unwrap_or(NOBODY)
}

pub(super) async fn know(State(front): State<Front>, mut request: Request, next: Next) -> Response {
    let socket = request.extensions().get::<SocketAddr>().map(SocketAddr::ip);
    let socket = socket.unwrap_or(NOBODY.address);
    let peer = read(&front.service.settings().http, socket, request.headers());
    request.extensions_mut().insert(peer);
    next.run(request).await
}

/// Hops from the right: each is taken as long as the one that reported it is trusted.
pub(super) fn read(settings: &HttpSettings, socket: IpAddr, headers: &HeaderMap) -> Peer {
    let trusted = |address| settings.proxies.iter().any(|network| network.contains(address));
    let mut peer = Peer { address: plain(socket), https: false };
    if !trusted(socket) {
        return peer;
    }
    let hops = match settings.proxy_header {
        ProxyHeader::XForwardedFor => x_forwarded(headers),
        ProxyHeader::Forwarded => forwarded(headers),
    };
    for hop in hops.into_iter().rev().take(HOPS_MAX) {
        peer.https = hop.https;
        // An obfuscated or broken name: the one that wrote it is the last that is known.
        let Some(address) = hop.address else { return peer };
        peer.address = plain(address);
        if !trusted(address) {
            return peer;
        }
    }
    peer
}

/// What one proxy wrote: from whom it had the request, and how.
struct Hop {
    address: Option<IpAddr>,
    https: bool,
}

/// `X-Forwarded-For: client, proxy`, with `X-Forwarded-Proto` beside it: one word for all hops, or
/// one for each.
fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let protocols: Vec<&str> = parts(headers, "x-forwarded-proto", ',').collect();
    let addresses: Vec<&str> = parts(headers, "x-forwarded-for", ',').collect();
    let count = addresses.len();
    let scheme = |index: usize| {
        let from_right = count.saturating_sub(index + 1);
        let own = protocols.len().checked_sub(from_right + 1).and_then(|at| protocols.get(at));
        own.or_else(|| protocols.first()).is_some_and(|scheme| is_https(scheme))
    };
    let hops = addresses.iter().enumerate();
    hops.map(|(index, text)| Hop { address: node(text), https: scheme(index) }).collect()
}

/// `Forwarded: for=192.0.2.60;proto=https, for="[2001:db8::1]:443"` (RFC 7239).
fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let element = |text: &str| {
        let mut hop = Hop { address: None, https: false };
        for pair in text.split(';') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => hop.address = node(value),
                "proto" => hop.https = is_https(value),
                _ => {}
            }
        }
        hop
    };
    parts(headers, "forwarded", ',').map(element).collect()
}

/// The members of a list header, over all its lines, in their order.
fn parts<'a>(headers: &'a HeaderMap, name: &str, by: char) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(move |line| line.split(by)).map(str::trim)
}

/// An address with or without port: `192.0.2.1:80`, `[2001:db8::1]:443`, `2001:db8::1`.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(socket.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn is_https(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https")
}

/// IPv4 behind an IPv6 listener is IPv4.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests;
