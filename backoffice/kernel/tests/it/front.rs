//! What stands in front of the API: rate limits, proxies, foreign pages, headers, bounds of requests
//! and connections.

use std::sync::Arc;
use std::time::Duration;

use kernel::clock::{ManualClock, SystemClock};
use kernel::error::Code;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hall::{House, Seen};

async fn house(given: &[(&str, &str)]) -> House {
    House::with(Arc::new(SystemClock), given).await
}

/// A house at full price, where time stands.
async fn limited() -> (Arc<ManualClock>, House) {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with(clock.clone(), &[("RATE_LIMIT_PERCENT", "100")]).await;
    (clock, house)
}

#[tokio::test]
async fn a_credential_has_a_tenth_of_what_its_organization_has() {
    let (clock, house) = limited().await;
    let first = house.get("/places").await.is(200);
    assert_eq!(
        first.header("ratelimit-policy"),
        "\"credential\";q=100;w=60, \"organization\";q=1000;w=60"
    );
    assert_eq!(first.header("ratelimit"), "\"credential\";r=99;t=1, \"organization\";r=999;t=1");
    for _ in 1..100 {
        house.get("/places").await.is(200);
    }
    let refused = house.get("/places").await.refuses(Code::TooManyRequests, &[]);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit"), "\"credential\";r=0;t=60");
    // Before anything is done: a body that is no JSON is not even read as such.
    house.post("/places", json!({})).await.refuses(Code::TooManyRequests, &[]);
    // Another token of the organization has its own tenth, another organization all of its own.
    let grants = json!([{"grant": "*", "rights": ["*"], "scope": "all"}]);
    let second = house.org.issue(grants).await.unwrap();
    let seen = Seen::of(house.plain("GET", "/api/v1/places").bearer_auth(second.expose())).await;
    assert_eq!(
        seen.is(200).header("ratelimit"),
        "\"credential\";r=99;t=1, \"organization\";r=899;t=7"
    );
    let stranger = house.stranger().await;
    let token = stranger.token.expose();
    let seen = Seen::of(house.plain("GET", "/api/v1/places").bearer_auth(token)).await.is(200);
    assert!(seen.header("ratelimit").contains("\"organization\";r=999;"));
    clock.advance(Duration::from_secs(60));
    house.get("/places").await.is(200);
}

#[tokio::test]
async fn who_shows_no_good_credential_is_counted_by_address() {
    let (clock, house) = limited().await;
    let strangers = [
        ("GET", "/api/v1/places", None),
        ("GET", "/api/v1/nothing", None),
        ("POST", "/api/v1/sessions", None),
        ("OPTIONS", "/api/v1/places", None),
        ("GET", "/api/v1/places", Some("atlvs_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")),
        ("GET", "/api/v1/places", Some("nonsense")),
    ];
    for (turn, (method, path, token)) in strangers.iter().cycle().take(300).enumerate() {
        let mut request = house.plain(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let seen = Seen::of(request).await;
        assert_ne!(seen.status, 429, "{turn}: {method} {path}");
        let left = format!("\"address\";r={};", 299 - turn);
        assert!(seen.header("ratelimit").starts_with(&left), "{}", seen.header("ratelimit"));
    }
    for (method, path, token) in strangers {
        let mut request = house.plain(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let refused = Seen::of(request).await.refuses(Code::TooManyRequests, &[]);
        assert_eq!(refused.header("retry-after"), "1", "{method} {path}");
    }
    // Nobody is locked out by strangers at the same address.
    house.get("/places").await.is(200);
    // Probes come at their own pace from one address and are asked outside of all limits.
    Seen::of(house.plain("GET", "/health")).await.is(200);
    clock.advance(Duration::from_secs(60));
    Seen::of(house.plain("GET", "/api/v1/places")).await.refuses(Code::Unauthenticated, &[]);
}

/// Each of these can cost somebody a letter or be a guess: 20 a minute for one address together,
/// whatever else was shown.
#[tokio::test]
async fn what_goes_by_mail_is_counted_tightly_by_address() {
    let trusting = [("TRUSTED_PROXIES", "127.0.0.1"), ("RATE_LIMIT_PERCENT", "100")];
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with(clock.clone(), &trusting).await;
    let guess = json!({"secret": "none"});
    let nobody = json!({"email": "nobody@example.org"});
    let ways = [
        ("/password-resets", nobody.clone(), 202),
        ("/password-resets/use", json!({"secret": "none", "password": "a long new one"}), 404),
        ("/invitations/look", guess.clone(), 404),
        ("/invitations/accept", guess.clone(), 404),
        (
            "/portal/sign-ins",
            json!({"organization": "x", "kind": "vendor", "email": "a@example.org"}),
            202,
        ),
        ("/portal/sessions", guess, 404),
    ];
    let from = async |address: &str, path: &str, body: &serde_json::Value, token: Option<&str>| {
        let request = house.plain("POST", &format!("/api/v1{path}")).json(body);
        let request = request.header("x-forwarded-for", address);
        Seen::of(token.into_iter().fold(request, |request, token| request.bearer_auth(token))).await
    };
    for (turn, (path, body, status)) in ways.iter().cycle().take(20).enumerate() {
        let seen = from("192.0.2.1", path, body, None).await.is(*status);
        let left = format!("\"by-mail\";r={};", 19 - turn);
        assert!(seen.header("ratelimit").contains(&left), "{}", seen.header("ratelimit"));
    }
    for (path, body, status) in &ways {
        for token in [None, Some("nonsense"), Some(house.org.token.expose())] {
            let refused = from("192.0.2.1", path, body, token).await;
            let refused = refused.refuses(Code::TooManyRequests, &[]);
            assert_eq!(refused.header("retry-after"), "3", "{path}");
        }
        from("192.0.2.2", path, body, None).await.is(*status);
    }
    // What is not by mail goes on: somebody else at this address signs in.
    let body = json!({"email": house.org.email, "password": kernel::testkit::PASSWORD});
    from("192.0.2.1", "/sessions", &body, None).await.is(201);
    clock.advance(Duration::from_secs(3));
    from("192.0.2.1", "/password-resets", &nobody, None).await.is(202);
    from("192.0.2.1", "/password-resets", &nobody, None).await.refuses(Code::TooManyRequests, &[]);
    clock.advance(Duration::from_secs(60));
    from("192.0.2.1", "/password-resets", &nobody, None).await.is(202);
}

/// A secret beside a password proves nothing: it does not put off the count until the work is done.
#[tokio::test]
async fn a_sign_in_is_counted_before_its_password_is_tried() {
    let (_, house) = limited().await;
    let body = json!({"email": house.org.email, "password": kernel::testkit::PASSWORD});
    let signed = Seen::of(house.plain("POST", "/api/v1/sessions").json(&body)).await.is(201);
    for _ in 1..300 {
        Seen::of(house.plain("GET", "/api/v1/places")).await.refuses(Code::Unauthenticated, &[]);
    }
    for token in ["nonsense", house.org.token.expose()] {
        let request = house.plain("POST", "/api/v1/sessions").bearer_auth(token).json(&body);
        Seen::of(request).await.refuses(Code::TooManyRequests, &[]);
    }
    let request = house.plain("GET", "/api/v1/sessions");
    let list = Seen::of(request.bearer_auth(signed.body["token"].as_str().unwrap())).await.is(200);
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(1), "no session was opened");
}

#[tokio::test]
async fn the_address_is_what_the_trusted_proxy_saw() {
    let trusting = [
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("RATE_LIMIT_PERCENT", "100"),
        ("PUBLIC_BACKOFFICE_URL", "https://console.example.org"),
    ];
    for (given, counted_apart) in [(&trusting[..], true), (&trusting[1..], false)] {
        let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
        let house = House::with(clock, given).await;
        let from = |address: &str| {
            let request = house.plain("GET", "/api/v1/places");
            Seen::of(request.header("x-forwarded-for", format!("10.9.9.9, {address}")))
        };
        assert!(from("192.0.2.1").await.header("ratelimit").contains("r=299;"));
        let other = from("192.0.2.2").await;
        let left = if counted_apart { "r=299;" } else { "r=298;" };
        assert!(other.header("ratelimit").contains(left), "{}", other.header("ratelimit"));
        // Over TLS as the proxy says: then, and only then, the browser shall stay with TLS.
        let request = house.plain("GET", "/health").header("x-forwarded-proto", "https");
        let seen = Seen::of(request.header("x-forwarded-for", "192.0.2.1")).await;
        assert_eq!(seen.header("strict-transport-security").is_empty(), !counted_apart);
    }
}

#[tokio::test]
async fn every_answer_is_locked_down() {
    let house = house(&[]).await;
    let expected = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-permitted-cross-domain-policies", "none"),
        ("cache-control", "no-store"),
    ];
    let long = format!("/api/v1/places?x={}", "a".repeat(20_000));
    for (method, path, status) in [
        ("GET", "/health", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/health", 405),
        ("GET", "/api/v1/places", 401),
        ("OPTIONS", "/api/v1/places", 204),
        ("GET", &long, 414),
    ] {
        let seen = Seen::of(house.plain(method, path)).await.is(status);
        for (name, value) in expected {
            assert_eq!(seen.header(name), value, "{method} {path}: {name}");
        }
        assert!(seen.header("permissions-policy").contains("camera=()"));
        assert!(seen.header("strict-transport-security").is_empty(), "not over plain HTTP");
        assert!(seen.header("server").is_empty() && seen.header("x-powered-by").is_empty());
        assert_eq!(seen.header("x-request-id").len(), 36);
    }
}

#[tokio::test]
async fn foreign_pages_are_shut_out_until_they_are_listed() {
    let preflight = |house: &House, origin: &str| {
        let request = house.plain("OPTIONS", "/api/v1/places").header("origin", origin);
        Seen::of(request.header("access-control-request-method", "POST"))
    };
    let page = "https://console.example.org";
    let closed = house(&[]).await;
    let seen = preflight(&closed, page).await.is(204);
    assert!(seen.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    let open = house(&[("CORS_ORIGINS", page)]).await;
    let seen = preflight(&open, page).await.is(204);
    assert_eq!(seen.header("access-control-allow-origin"), page);
    assert_eq!(seen.header("access-control-allow-credentials"), "true");
    assert!(seen.header("access-control-allow-headers").contains("If-Match"));
    assert!(seen.header("access-control-allow-methods").contains("PATCH"));
    assert_eq!(seen.header("vary"), "Origin");
    for foreign in [
        "https://console.example.org.evil.example",
        "http://console.example.org",
        "https://evil.example",
        "null",
        "*",
    ] {
        let seen = preflight(&open, foreign).await.is(204);
        assert_eq!(seen.header("access-control-allow-origin"), "", "{foreign}");
        assert_eq!(seen.header("vary"), "Origin");
    }
    // A refusal can be read by the listed page too, and never by all.
    let request = open.plain("GET", "/api/v1/places").header("origin", page);
    let refused = Seen::of(request).await.refuses(Code::Unauthenticated, &[]);
    assert_eq!(refused.header("access-control-allow-origin"), page);
    assert!(refused.header("access-control-expose-headers").contains("RateLimit-Policy"));
}

#[tokio::test]
async fn a_cookie_changes_things_from_our_own_pages_only() {
    let page = "https://console.example.org";
    let house =
        house(&[("CORS_ORIGINS", "https://shop.example.org"), ("PUBLIC_BACKOFFICE_URL", page)])
            .await;
    let body = json!({"email": house.org.email, "password": kernel::testkit::PASSWORD});
    let signed = Seen::of(house.plain("POST", "/api/v1/sessions").json(&body)).await.is(201);
    let cookie = format!("__Host-session={}", signed.body["token"].as_str().unwrap());
    let host = house.base.trim_start_matches("http://").to_owned();
    let own = format!("http://{host}");
    let cases: &[(&[(&str, &str)], bool)] = &[
        // The browser says it itself; nothing else counts then.
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site"), ("x-requested-with", "x")], false),
        (&[("sec-fetch-site", "cross-site"), ("origin", page)], false),
        (&[("sec-fetch-site", "same-site"), ("origin", "https://shop.example.org")], true),
        (&[("origin", page)], true),
        (&[("origin", &own)], true),
        (&[("origin", "https://shop.example.org")], true),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "null")], false),
        (&[("origin", "https://evil.example"), ("x-requested-with", "x")], false),
        // Another scheme is another origin.
        (&[("origin", &own.replace("http:", "https:"))], false),
        // A forged host names no page of ours.
        (&[("origin", "http://evil.example"), ("x-forwarded-host", "evil.example")], false),
        (&[("x-requested-with", "console")], true),
        (&[("x-requested-with", "")], false),
        (&[], false),
    ];
    for (turn, (headers, allowed)) in cases.iter().enumerate() {
        let body = json!({"name": "x", "key": format!("cookie-{turn}")});
        let mut request = house.plain("POST", "/api/v1/places").header("cookie", &cookie);
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        let seen = Seen::of(request.json(&body)).await;
        match allowed {
            true => drop(seen.is(201)),
            false => drop(seen.refuses(Code::CrossSite, &[])),
        }
    }
    // Reading changes nothing, and the answer cannot be read by a foreign page.
    let request = house.plain("GET", "/api/v1/places").header("cookie", &cookie);
    Seen::of(request.header("sec-fetch-site", "cross-site")).await.is(200);
    // A bearer token is no cookie: a foreign page cannot make a browser send it.
    let request = house.request("POST", "/places").header("origin", "https://evil.example");
    Seen::of(request.json(&json!({"name": "x", "key": "bearer"}))).await.is(201);
}

#[tokio::test]
async fn options_and_head_say_what_a_path_can_do() {
    let house = house(&[]).await;
    let place = house.place("options").await;
    for (path, allow) in [
        ("/places".to_owned(), "GET, POST, PUT, HEAD, OPTIONS"),
        (format!("/places/{place}"), "GET, PATCH, DELETE, HEAD, OPTIONS"),
        ("/places/count".to_owned(), "POST, OPTIONS"),
        ("/sessions".to_owned(), "POST, GET, HEAD, OPTIONS"),
    ] {
        let seen = Seen::of(house.plain("OPTIONS", &format!("/api/v1{path}"))).await.is(204);
        let mut own: Vec<&str> = seen.header("allow").split(", ").collect();
        let mut expected: Vec<&str> = allow.split(", ").collect();
        own.sort_unstable();
        expected.sort_unstable();
        assert_eq!(own, expected, "{path}");
    }
    Seen::of(house.plain("OPTIONS", "/api/v1/nothing")).await.refuses(Code::NotFound, &[]);
    for path in ["/health".to_owned(), format!("/api/v1/places/{place}")] {
        let get = Seen::of(house.plain("GET", &path).bearer_auth(house.org.token.expose())).await;
        let request = house.plain("HEAD", &path).bearer_auth(house.org.token.expose());
        let head = Seen::of(request).await.is(200);
        assert_eq!(head.body, serde_json::Value::Null);
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn what_the_caller_has_already_is_not_sent_again() {
    let house = house(&[]).await;
    let place = house.place("known").await;
    let path = format!("/places/{place}");
    let get = |path: String, known: String| {
        let request = house.request("GET", &path).header("if-none-match", known);
        async { Seen::of(request).await }
    };
    let tag = house.get(&path).await.is(200).header("etag").to_owned();
    assert!(tag.starts_with("\"1."), "{tag}");
    for (known, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"0\", {tag}"), 304),
        ("*".to_owned(), 304),
        // The version alone does not say what was shown.
        ("\"1\"".to_owned(), 200),
        ("\"2\"".to_owned(), 200),
        ("1".to_owned(), 200),
    ] {
        let seen = get(path.clone(), known.clone()).await;
        assert_eq!((seen.status, seen.header("etag")), (status, tag.as_str()), "{known}");
        assert_eq!(seen.body.is_null(), status == 304);
    }
    // Other fields of the same version are something else to see.
    let some = get(format!("{path}?fields=name"), tag.clone()).await.is(200);
    assert_ne!(some.header("etag"), tag);
    let kept = some.header("etag").to_owned();
    get(format!("{path}?fields=name"), kept.clone()).await.is(304);
    let request = house.request("PATCH", &path).header("if-none-match", &tag);
    let wrote = Seen::of(request.json(&json!({"seats": 2}))).await.is(200);
    assert_eq!(wrote.header("etag"), "\"2\"");
    get(path.clone(), tag.clone()).await.is(200);
    get(format!("{path}?fields=name"), kept).await.is(200);
    // What was read is what a write may depend on: its version, however much was shown.
    let old = house.request("PATCH", &path).header("if-match", &tag);
    Seen::of(old.json(&json!({"seats": 3}))).await.refuses(Code::VersionMismatch, &[]);
    let seen = house.get(&format!("{path}?fields=seats")).await.is(200);
    let new = house.request("PATCH", &path).header("if-match", seen.header("etag"));
    Seen::of(new.json(&json!({"seats": 3}))).await.is(200);
}

#[tokio::test]
async fn the_reference_is_for_everybody_within_the_limit_of_an_address() {
    let (_, house) = limited().await;
    for path in ["/openapi.json", "/api/openapi.json", "/api/v1/openapi.json"] {
        let seen = Seen::of(house.plain("GET", path)).await.is(200);
        assert_eq!(seen.body["openapi"], "3.1.0", "{path}");
    }
    let first = Seen::of(house.plain("GET", "/docs")).await.is(200);
    assert_eq!(first.header("content-type"), "text/html; charset=utf-8");
    let policy = first.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("script") && !policy.contains("unsafe"), "{policy}");
    let tag = first.header("etag");
    let again = Seen::of(house.plain("GET", "/docs").header("if-none-match", tag)).await;
    assert_eq!((again.status, again.header("etag")), (304, tag));
    Seen::of(house.plain("GET", "/docs/places")).await.is(200);
    Seen::of(house.plain("GET", "/docs/nothing")).await.refuses(Code::NotFound, &[]);
    Seen::of(house.plain("POST", "/docs")).await.refuses(Code::MethodNotAllowed, &[]);
    for _ in 0..300 {
        Seen::of(house.plain("GET", "/docs?q=place")).await;
    }
    let refused = Seen::of(house.plain("GET", "/docs")).await;
    refused.refuses(Code::TooManyRequests, &[]);
}

#[tokio::test]
async fn requests_beyond_bounds_are_refused_in_words() {
    let house = house(&[]).await;
    let asks =
        |name: &str, value: &str| Seen::of(house.request("GET", "/places").header(name, value));
    asks("accept", "image/png").await.refuses(Code::NotAcceptable, &[]);
    asks("accept", "application/xml;q=0.9, application/json;q=0.1").await.is(200);
    asks("x-long", &"a".repeat(32 * 1024)).await.refuses(Code::HeadersTooLarge, &[]);
    let mut many = house.request("GET", "/places");
    for number in 0..70 {
        many = many.header(format!("x-{number}"), "1");
    }
    Seen::of(many).await.refuses(Code::HeadersTooLarge, &[]);
    let long = "a".repeat(16 * 1024);
    house.get(&format!("/places?x={long}")).await.refuses(Code::UriTooLong, &[]);
    house.get(&format!("/places/{long}")).await.refuses(Code::UriTooLong, &[]);
    let pairs: Vec<(String, &str)> = (0..51).map(|n| (format!("p{n}"), "1")).collect();
    Seen::of(house.asks("/places", &pairs)).await.refuses(Code::InvalidRequest, &[]);
    house.get("/places?limit=201").await.refuses(Code::InvalidRequest, &["limit"]);
    let tests = vec![r#"{"open":true}"#; 51].join(",");
    let tests = [("where", format!("{{\"or\":[{tests}]}}"))];
    Seen::of(house.asks("/places", &tests)).await.refuses(Code::InvalidFilter, &["where"]);
    let deep = format!("{{\"extra\":{}1{}}}", "[".repeat(32), "]".repeat(32));
    let request = house.request("POST", "/places").header("content-type", "application/json");
    Seen::of(request.body(deep)).await.refuses(Code::MalformedJson, &[]);
}

/// Bytes of a raw exchange, until the server closes or `enough` was seen.
async fn exchange(house: &House, text: &str, enough: &str) -> String {
    let address = house.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        seen.extend_from_slice(&buffer[..count]);
        if String::from_utf8_lossy(&seen).contains(enough) {
            break;
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let house = house(&[("BODY_WAIT_S", "1")]).await;
    let token = house.org.token.expose();
    let head = format!(
        "POST /api/v1/places HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"name\":"
    );
    let answer = exchange(&house, &head, "request_id").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"code\":\"request_timeout\""), "{answer}");
}

#[tokio::test]
async fn what_is_no_http_is_closed() {
    let house = house(&[]).await;
    for (text, status) in [
        ("GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", "400"),
        ("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400"),
        // Two lengths, or a length beside chunks, are how requests are smuggled (RFC 9112, 6.3).
        (
            "POST /api/v1/places HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            "400",
        ),
    ] {
        let answer = exchange(&house, text, "\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{text:?}: {answer}");
    }
    let huge = format!("GET /api/v1/places?{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(60_000));
    let answer = exchange(&house, &huge, "request_id").await;
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_connections() {
    let house = house(&[("CONNECTIONS_PER_ADDRESS", "3")]).await;
    let address = house.base.trim_start_matches("http://").to_owned();
    let ask = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    let alive = async |stream: &mut TcpStream| {
        let mut buffer = [0; 1024];
        let sent = stream.write_all(ask.as_bytes()).await.is_ok();
        sent && matches!(stream.read(&mut buffer).await, Ok(1..))
    };
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        assert!(alive(&mut stream).await);
        open.push(stream);
    }
    let mut one_more = TcpStream::connect(&address).await.unwrap();
    assert!(!alive(&mut one_more).await, "the fourth is closed");
    for stream in &mut open {
        assert!(alive(stream).await, "the others stay");
    }
    drop(open);
    // Places come back as soon as the server has seen the ends.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        if alive(&mut stream).await {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "places do not come back");
    }
}

#[tokio::test]
async fn each_database_role_has_its_time_outs() {
    let house = house(&[]).await;
    let cx = house.org.begin().await.unwrap();
    let shown = async |name: &str| {
        let sql = "select current_setting($1)";
        cx.query_one(sql, &[&name]).await.unwrap().get::<_, String>(0)
    };
    assert_eq!(shown("statement_timeout").await, "15s");
    assert_eq!(shown("lock_timeout").await, "5s");
    assert_eq!(shown("idle_in_transaction_session_timeout").await, "20s");
    // And they bite: a statement over its time is 504, the same path as for a row that stays locked.
    cx.execute("set local statement_timeout = '5ms'", &[]).await.unwrap();
    let late = cx.query("select pg_sleep(5)", &[]).await.unwrap_err();
    assert_eq!(late.code(), Code::TimedOut, "{late:?}");
    let work = house.service.work().await.unwrap();
    let row = work.query_one("select current_setting('statement_timeout')", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "1min");
}

/// Slow bodies hold the share of who sends them, and nobody else's.
#[tokio::test]
async fn one_address_holds_its_own_share_of_the_places() {
    let given = [("REQUESTS_PER_ADDRESS", "3"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let house = house(&given).await;
    let address = house.base.trim_start_matches("http://").to_owned();
    let mut slow = Vec::new();
    for n in 0..3 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        // One subscriber, from three addresses of its network.
        let head = format!(
            "POST /api/v1/sessions HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 2001:db8::{n}\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let ask = async |from: &str| {
        let request = house.plain("GET", "/api/v1/places").header("x-forwarded-for", from);
        Seen::of(request.bearer_auth(house.org.token.expose())).await
    };
    // As soon as the server has read the three heads.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(8);
    let refused = loop {
        let seen = ask("2001:db8::77").await;
        if seen.status != 200 {
            break seen;
        }
        assert!(tokio::time::Instant::now() < deadline, "one address takes every place");
    };
    let refused = refused.refuses(Code::TooManyRequests, &[]);
    assert_eq!(refused.header("retry-after"), "1");
    for other in ["2001:db8:0:1::1", "192.0.2.7"] {
        ask(other).await.is(200);
    }
    drop(slow);
    while ask("2001:db8::77").await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "places do not come back");
    }
}
