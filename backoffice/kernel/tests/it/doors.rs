//! The HTTP stack: bad input at every door, the operators' pages, the internal listener.

use kernel::error::Code;
use kernel::http::{BODY_BYTES_MAX, Listeners};
use kernel::service::{Service, Shutdown};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hall::{CATALOGUE_TOKEN, House, Seen};

#[tokio::test]
async fn bodies_that_are_no_json_objects_are_refused() {
    let house = House::open().await;
    let send = |body: Vec<u8>, media_type: &'static str| {
        Seen::of(house.request("POST", "/places").body(body).header("content-type", media_type))
    };
    let json_type = "application/json; charset=utf-8";
    for body in ["{", "[1]", "null", "\"x\"", "{\"a\":1e999}", "{\"a\":\"\\ud800\"}", "{} {}"] {
        send(body.into(), json_type).await.refuses(Code::MalformedJson, &[]);
    }
    send(vec![b'{', 0xff, b'}'], json_type).await.refuses(Code::MalformedJson, &[]);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    send(deep.into(), json_type).await.refuses(Code::MalformedJson, &[]);
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "", "x"] {
        send(b"{}".to_vec(), media_type).await.refuses(Code::UnsupportedMediaType, &[]);
    }
    let large = vec![b' '; BODY_BYTES_MAX + 1];
    send(large, json_type).await.refuses(Code::BodyTooLarge, &[]);
    let missing = Seen::of(house.request("POST", "/places")).await;
    missing.refuses(Code::ValidationFailed, &["name", "key"]);
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let house = House::open().await;
    let address = house.base.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /api/v1/places HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        house.org.token.expose()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, " ".repeat(64 * 1024));
    for _ in 0..17 {
        // The server may close as soon as it has seen too much.
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 64];
    let count = stream.read(&mut answer).await.unwrap();
    let line = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(line.starts_with("HTTP/1.1 413"), "{line}");
}

#[tokio::test]
async fn paths_and_methods_that_there_are_not() {
    let house = House::open().await;
    let place = house.place("doors").await;
    let cases = [
        ("GET", "/nothing".to_owned(), Code::NotFound, ""),
        ("GET", "/users".to_owned(), Code::NotFound, ""),
        ("GET", "/places/".to_owned(), Code::InvalidId, ""),
        ("GET", "/places/1".to_owned(), Code::InvalidId, ""),
        ("GET", format!("/places/{place}/nothing"), Code::NotFound, ""),
        ("GET", format!("/places/{place}/users"), Code::NotFound, ""),
        ("GET", format!("/places/{place}/halls/x/y"), Code::NotFound, ""),
        ("PUT", format!("/places/{place}"), Code::MethodNotAllowed, "GET, PATCH, DELETE"),
        ("POST", format!("/places/{place}"), Code::MethodNotAllowed, "GET, PATCH, DELETE"),
        ("DELETE", "/places".to_owned(), Code::MethodNotAllowed, "GET, POST, PUT"),
        ("GET", format!("/places/{place}/stumble"), Code::MethodNotAllowed, "POST"),
        ("GET", "/places/count".to_owned(), Code::MethodNotAllowed, "POST"),
        ("PATCH", "/sessions".to_owned(), Code::MethodNotAllowed, "POST, GET"),
    ];
    for (method, path, code, allow) in cases {
        let seen = Seen::of(house.request(method, &path)).await;
        assert_eq!(seen.header("allow"), allow, "{method} {path}");
        assert_eq!(seen.body["code"], code.name(), "{method} {path}: {}", seen.body);
    }
    for path in ["/", "/api", "/apix/v1/places", "/api/v2/places", "/API/v1/places"] {
        Seen::of(house.plain("GET", path)).await.refuses(Code::NotFound, &[]);
    }
    Seen::of(house.plain("POST", "/health")).await.refuses(Code::MethodNotAllowed, &[]);
    let head = Seen::of(house.request("HEAD", &format!("/places/{place}"))).await.is(200);
    let get = house.get(&format!("/places/{place}")).await.is(200);
    assert_eq!(head.header("etag"), get.header("etag"));
}

#[tokio::test]
async fn every_answer_has_the_headers_of_safety() {
    let house = House::open().await;
    for path in ["/health", "/api/v1/places", "/nothing", "/openapi.json"] {
        let seen = Seen::of(house.plain("GET", path)).await;
        assert_eq!(seen.header("x-content-type-options"), "nosniff", "{path}");
        // What is the same for everybody may be kept, and asked for again by its tag.
        let kept = if path == "/openapi.json" { "public, no-cache" } else { "no-store" };
        assert_eq!(seen.header("cache-control"), kept);
        assert!(seen.header("content-security-policy").starts_with("default-src 'none'"));
        assert!(!seen.header("x-request-id").is_empty());
    }
}

#[tokio::test]
async fn operators_see_life_readiness_and_figures() {
    let house = House::open().await;
    house.place("counted").await;
    let health = Seen::of(house.plain("GET", "/health")).await.is(200);
    assert_eq!(health.body, json!({"status": "alive"}));
    let ready = Seen::of(house.plain("GET", "/ready")).await.is(200);
    assert_eq!(ready.body, json!({"status": "ready"}));
    Seen::of(house.plain("GET", "/metrics")).await.refuses(Code::NotFound, &[]);
    let text = house.to_internal("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let line = "atlvs_backoffice_requests_total{route=\"places\",method=\"POST\",status=\"201\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains(&house.org.id.to_string()));
    let document = Seen::of(house.plain("GET", "/openapi.json")).await.is(200).body;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/places/{id}/halls"]["post"].is_object());
}

#[tokio::test]
async fn without_a_database_the_service_is_alive_and_says_what_is_missing() {
    let house = House::open().await;
    let mut settings = house.service.settings().clone();
    // Nobody listens on port 1.
    settings.database.app_url =
        kernel::settings::Secret::new("postgres://atlvs_app:hunter2@127.0.0.1:1/none");
    let clock = std::sync::Arc::new(kernel::clock::SystemClock);
    let service = Service::new(crate::hall::registry(), settings, clock).unwrap();
    let listeners = Listeners::bind(&service).await.unwrap();
    let base = format!("http://{}", listeners.public().unwrap());
    let (trigger, shutdown) = Shutdown::new();
    let served = service.clone();
    let server = tokio::spawn(async move { listeners.serve(&served, shutdown).await });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Seen::of(http.get(format!("{base}/health"))).await.is(200);
    let ready = Seen::of(http.get(format!("{base}/ready"))).await.is(503);
    assert_eq!(ready.body["status"], "not ready");
    assert!(!ready.body.to_string().contains("hunter2"));
    let token = house.org.token.expose();
    let call = Seen::of(http.get(format!("{base}/api/v1/places")).bearer_auth(token)).await;
    call.refuses(Code::Unavailable, &[]);
    drop(http);
    trigger.end();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_internal_listener_knows_its_peer() {
    let house = House::open().await;
    let path = "/internal/v1/echo";
    let body = json!({"a": 1});
    let send = |method: &'static str, path: &'static str, token: &str| {
        Seen::of(house.to_internal(method, path).bearer_auth(token).json(&body))
    };
    assert_eq!(send("POST", path, CATALOGUE_TOKEN).await.is(200).body, body);
    let none = Seen::of(house.to_internal("POST", path).json(&body)).await;
    none.refuses(Code::Unauthenticated, &[]);
    let cut = &CATALOGUE_TOKEN[..CATALOGUE_TOKEN.len() - 1];
    send("POST", path, cut).await.refuses(Code::Unauthenticated, &[]);
    send("POST", path, house.org.token.expose()).await.refuses(Code::Unauthenticated, &[]);
    let refused = send("GET", path, CATALOGUE_TOKEN).await.refuses(Code::MethodNotAllowed, &[]);
    assert_eq!(refused.header("allow"), "POST");
    send("GET", "/internal/v1/nothing", CATALOGUE_TOKEN).await.refuses(Code::NotFound, &[]);
    // Neither listener answers for the other.
    Seen::of(house.plain("POST", path).bearer_auth(CATALOGUE_TOKEN))
        .await
        .refuses(Code::NotFound, &[]);
    send("GET", "/api/v1/places", CATALOGUE_TOKEN).await.refuses(Code::NotFound, &[]);
}

#[tokio::test]
async fn shutdown_answers_what_was_accepted() {
    let house = House::open().await;
    let place = house.place("slow").await;
    let listeners = Listeners::bind(&house.service).await.unwrap();
    let base = format!("http://{}", listeners.public().unwrap());
    let (trigger, shutdown) = Shutdown::new();
    let served = house.service.clone();
    let server = tokio::spawn(async move { listeners.serve(&served, shutdown).await });
    // Holds the row, so that the call is under way when the signal comes.
    let cx = house.org.begin().await.unwrap();
    let id: uuid::Uuid = place.parse().unwrap();
    cx.query("select id from places where id = $1 for update", &[&id]).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http
        .patch(format!("{base}/api/v1/places/{place}"))
        .bearer_auth(house.org.token.expose())
        .json(&json!({"seats": 9}));
    let call = tokio::spawn(Seen::of(request));
    // Whom the call waits for is asked anew each time: a transaction sees one picture of it.
    let holder: i32 = cx.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let waiting = "select count(*) from pg_stat_activity where $1 = any(pg_blocking_pids(pid))";
    loop {
        let look = house.org.begin().await.unwrap();
        if look.query_one(waiting, &[&holder]).await.unwrap().get::<_, i64>(0) > 0 {
            break;
        }
    }
    trigger.end();
    cx.rollback().await.unwrap();
    let seen = call.await.unwrap().is(200);
    assert_eq!(seen.body["seats"], 9);
    server.await.unwrap().unwrap();
    assert!(http.get(format!("{base}/health")).send().await.is_err(), "still listening");
    assert_ne!(seen.body, Value::Null);
}
