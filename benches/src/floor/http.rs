//! The floor's server. Knows keys and Redis, nothing of the gate.

use std::io::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use keys::KeyRing;
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use tokio::net::TcpListener;

use super::REDEEM;

struct Floor {
    ring: KeyRing,
    store: MultiplexedConnection,
}

/// Serves until it is killed; the address goes to the output as `{"listening":"http://…"}`.
pub async fn serve(ring: KeyRing, redis: &str) -> Result<(), Box<dyn std::error::Error>> {
    let client = redis::Client::open(redis)?;
    let mut store = client.get_multiplexed_async_connection().await?;
    redis::cmd("FUNCTION")
        .arg("LOAD")
        .arg("REPLACE")
        .arg(REDEEM)
        .query_async::<()>(&mut store)
        .await?;
    let router =
        Router::new().route("/scan", post(scan)).with_state(Arc::new(Floor { ring, store }));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    writeln!(
        std::io::stdout(),
        "{}",
        serde_json::json!({"listening": format!("http://{address}")})
    )?;
    axum::serve(listener, router).await?;
    Ok(())
}

async fn scan(State(floor): State<Arc<Floor>>, body: Bytes) -> Response {
    let refused = |status: StatusCode| status.into_response();
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refused(StatusCode::BAD_REQUEST);
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let Ok(presented) = keys::parse(text("credential")) else {
        return refused(StatusCode::BAD_REQUEST);
    };
    // The figures' keys are live at any time.
    let Ok(verified) = floor.ring.verify(&presented.credential, 0) else {
        return refused(StatusCode::FORBIDDEN);
    };
    let ticket = verified.claims().ticket;
    let mut store = floor.store.clone();
    let answer: Result<i64, _> = redis::cmd("FCALL")
        .arg("redeem")
        .arg(2)
        .arg(format!("floor:{ticket}"))
        .arg("floor-log")
        .arg(text("nonce"))
        .arg(text("gate"))
        .query_async(&mut store)
        .await;
    let verdict = match answer {
        Ok(1) => "admit",
        Ok(_) => "deny",
        Err(_) => return refused(StatusCode::SERVICE_UNAVAILABLE),
    };
    let reply = format!("{{\"verdict\":\"{verdict}\",\"ticket\":{ticket}}}");
    ([(header::CONTENT_TYPE, "application/json")], reply).into_response()
}
