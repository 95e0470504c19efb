//! One origin in front of both services, from the table `ops/routes.tsv`: haproxy reads what
//! `ops/front` makes of it, and each path reaches the service that the table names.

use std::process::{Child, Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::json;
use system::{House, root, until};

/// The proxy; ended when dropped.
struct Front(Child);

impl Drop for Front {
    fn drop(&mut self) {
        // It may have ended by itself, which the test would have noticed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn one_origin_serves_both() {
    let house = House::up("file", &["--no-walk"]);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|it| it.local_addr())
        .expect("a port")
        .port();
    let command = Command::new(root().join("ops/front"))
        .env("ATLVS_RUN", &house.run)
        .env("FRONT_PORT", port.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("ops/front runs");
    let _front = Front(command);
    let origin = format!("http://127.0.0.1:{port}");
    until("the proxy answers", async || {
        house.client.get(format!("{origin}/health")).send().await.is_ok()
    })
    .await;

    let event = house.demo("event_id");
    let device = format!("Bearer {}", house.demo("device_token"));
    let staff = format!("Bearer {}", house.demo("api_token"));
    let ask = async |method: Method, path: &str, token: &str| {
        let request =
            house.client.request(method, format!("{origin}{path}")).header("Authorization", token);
        request.json(&json!({})).send().await.expect("an answer")
    };
    for prefix in ["/api", "/api/v1"] {
        let offer = ask(Method::GET, &format!("{prefix}/shop/events/{event}"), "").await;
        assert_eq!(offer.status(), StatusCode::OK, "{prefix}: the shop is the gate's");
        for token in [&device, &staff] {
            let path = format!("{prefix}/events/{event}/check-in/stats");
            let stats = ask(Method::GET, &path, token).await;
            assert_eq!(stats.status(), StatusCode::OK, "{path}: figures are the gate's, for both");
        }
        let scan = ask(Method::POST, &format!("{prefix}/check-in/scan"), &device).await;
        assert_eq!(scan.status(), StatusCode::BAD_REQUEST, "{prefix}: scans are the gate's");
        let types =
            ask(Method::GET, &format!("{prefix}/events/{event}/ticket-types"), &staff).await;
        assert_eq!(types.status(), StatusCode::OK, "{prefix}: ticket types are the back office's");
        let list = ask(Method::GET, &format!("{prefix}/registrations"), &staff).await;
        assert_eq!(list.status(), StatusCode::OK, "{prefix}: registrations are the back office's");
    }
}
