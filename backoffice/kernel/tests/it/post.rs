//! The letter box of the tests: all houses of the process write into one directory, and a test reads
//! what went to the addresses that it made up.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use data_encoding::BASE64;
use kernel::jobs::{SYSTEM, drain};

use crate::hall::House;

/// One for the process: a queue is the database's, so any house may send any house's mail.
pub(crate) static BOX: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("atlvs-mail-{}", std::process::id())));
/// Longest wait for a mail; then the test fails.
const WAIT: Duration = Duration::from_secs(20);
/// Base64 of 32 bytes.
pub(crate) const MASTER_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// Texts of the mails to this address, oldest first.
pub(crate) async fn letters(house: &House, address: &str) -> Vec<String> {
    sent(house, address).await;
    let mut found = Vec::new();
    let Ok(files) = std::fs::read_dir(&*BOX) else { return Vec::new() };
    for file in files {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "eml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains(&format!("\r\nTo: {address}\r\n")) {
            let (_, body) = text.split_once("\r\n\r\n").unwrap();
            let body = BASE64.decode(body.replace("\r\n", "").as_bytes()).unwrap();
            let sent = std::fs::metadata(&path).unwrap().modified().unwrap();
            found.push((sent, String::from_utf8(body).unwrap()));
        }
    }
    found.sort();
    found.into_iter().map(|(_, text)| text).collect()
}

/// Waits until nothing to this address is on its way: another house may have taken it.
async fn sent(house: &House, address: &str) {
    let all = async {
        loop {
            // Mail about a person alone belongs to no organization.
            for org in [house.org.id, SYSTEM] {
                drain(&house.service, org).await.unwrap();
            }
            let work = house.service.work().await.unwrap();
            let sql = "select count(*) from messages where recipient = $1 and status = 'queued'";
            let waiting: i64 = work.query_one(sql, &[&address]).await.unwrap().get(0);
            work.rollback().await.unwrap();
            if waiting == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, all).await.expect("the mail leaves");
}

/// The secret in the last mail to this address.
#[track_caller]
pub(crate) fn secret_in(letters: &[String]) -> String {
    let last = letters.last().expect("a mail came");
    let line = last.lines().find(|line| line.contains('_') && !line.contains(' '));
    line.expect("the mail holds a secret").rsplit('#').next().unwrap().to_owned()
}
