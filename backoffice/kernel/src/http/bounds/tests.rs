use axum::http::HeaderValue;

use super::*;

#[track_caller]
fn check(accept: &[&'static str], expected: bool) {
    let mut headers = HeaderMap::new();
    for line in accept {
        headers.append(header::ACCEPT, HeaderValue::from_static(line));
    }
    assert_eq!(acceptable(&headers), expected, "{accept:?}");
}

#[test]
fn accept_is_read_as_rfc_9110_says() {
    check(&[], true);
    check(&[""], true);
    check(&["*/*"], true);
    check(&["application/json"], true);
    check(&["Application/JSON; q=0.5"], true);
    check(&["application/*"], true);
    check(&["text/html, application/xhtml+xml, */*;q=0.8"], true);
    check(&["application/problem+json"], true);
    check(&["image/png", "application/json"], true);
    check(&["image/png"], false);
    check(&["application/xml"], false);
    check(&["application/xml, */*;q=0"], false);
    check(&["application/xml, */*;q=0.001"], true);
    check(&["application/json;q=0"], false);
    check(&["*/*, application/json;q=0, application/problem+json;q=0.000, text/*;q=0"], false);
    check(&["no type at all"], true);
}
