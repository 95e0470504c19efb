use super::*;

#[test]
fn a_server_that_is_gone_without_a_word_is_noticed() {
    let url = Secret::new("postgres://atlvs_app@10.0.0.1/atlvs");
    let config = config(&url, "app").unwrap();
    assert_eq!(config.get_connect_timeout(), Some(&CONNECT_WAIT));
    assert_eq!(config.get_tcp_user_timeout(), Some(&UNANSWERED_MAX));
    assert!(config.get_keepalives());
    assert_eq!(config.get_keepalives_idle(), KEEPALIVE_IDLE);
    assert_eq!(config.get_keepalives_interval(), Some(KEEPALIVE_INTERVAL));
    assert_eq!(config.get_keepalives_retries(), Some(KEEPALIVE_RETRIES));
    // What is asked and unanswered ends before a request does, whose time is longer.
    let silent = KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_RETRIES;
    assert!(silent <= Duration::from_secs(30) && UNANSWERED_MAX <= silent);
}
