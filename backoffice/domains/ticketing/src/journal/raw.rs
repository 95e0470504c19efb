//! Raw entries first: a page is checked against the chain and stored with the cursor in one
//! transaction, under a lock on the cursor's row. A page that was stored before changes nothing; an
//! entry with another hash stops the event.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use inventory::entry::{Entry, Hash, Head};
use inventory::log::DataKey;
use kernel::cx::Cx;
use kernel::error::{Error, Result};
use serde::Deserialize;
use uuid::Uuid;

use crate::secrets;

/// A page of the journal feed.
#[derive(Debug, Deserialize)]
pub struct Page {
    pub event: Uuid,
    pub entries: Vec<Entry>,
    /// Data keys of the orders that the entries name, base64.
    #[serde(default)]
    pub keys: BTreeMap<Uuid, String>,
    /// Durable end of the event's journal at the gate.
    pub head: Head,
}

/// Where the event's stored journal ends after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    UpTo(Head),
    /// A person has to look; nothing more is read of this event.
    Stopped {
        cause: String,
    },
}

/// The cursor's row of an event, locked.
pub(super) struct Cursor {
    pub(super) head: Head,
    pub(super) projected_seq: u64,
    pub(super) stopped: Option<String>,
}

/// Stores what is new of `page`. The caller commits.
pub async fn store(cx: &Cx, page: &Page) -> Result<Stored> {
    let cursor = lock(cx, page.event).await?;
    if let Some(cause) = cursor.stopped {
        return Ok(Stored::Stopped { cause });
    }
    let fresh = match chain(cx, page, cursor.head).await? {
        Ok(fresh) => fresh,
        Err(cause) => {
            stop(cx, page.event, &cause).await?;
            return Ok(Stored::Stopped { cause });
        }
    };
    keep_keys(cx, page).await?;
    let Some(last) = fresh.last() else { return Ok(Stored::UpTo(cursor.head)) };
    let head = last.head();
    insert(cx, page.event, &fresh).await?;
    cx.execute(
        "update gate_cursors set seq = $2, hash = $3 where id = $1",
        &[&page.event, &signed(head.seq)?, &head.hash.0.as_slice()],
    )
    .await?;
    Ok(Stored::UpTo(head))
}

/// Stops an event: told once, loudly; a person decides how it goes on.
pub(super) async fn stop(cx: &Cx, event: Uuid, cause: &str) -> Result<()> {
    tracing::error!(%event, cause, "the journal of an event was stopped");
    cx.service().metrics().count("journal_stopped", 1);
    cx.execute(
        "update gate_cursors set state = 'stopped', cause = $2 where id = $1",
        &[&event, &cause],
    )
    .await?;
    Ok(())
}

/// The cursor's row, made where there is none, locked until the transaction ends.
pub(super) async fn lock(cx: &Cx, event: Uuid) -> Result<Cursor> {
    let genesis = Head::genesis(event);
    cx.execute(
        "insert into gate_cursors (id, event_id, hash) values ($1, $1, $2) \
         on conflict (org_id, id) do nothing",
        &[&event, &genesis.hash.0.as_slice()],
    )
    .await?;
    let row = cx
        .query_one(
            "select seq, hash, projected_seq, state, cause from gate_cursors \
              where id = $1 for update",
            &[&event],
        )
        .await?;
    let stopped = row.try_get::<_, String>(3)? == "stopped";
    let cause: Option<String> = row.try_get(4)?;
    Ok(Cursor {
        head: Head { seq: unsigned(row.try_get(0)?)?, hash: hash(row.try_get(1)?)? },
        projected_seq: unsigned(row.try_get(2)?)?,
        stopped: stopped.then(|| cause.unwrap_or_default()),
    })
}

/// The entries after `head`, each checked to follow the one before; the inner error says how the
/// page contradicts what is stored.
async fn chain<'p>(
    cx: &Cx,
    page: &'p Page,
    mut head: Head,
) -> Result<std::result::Result<Vec<&'p Entry>, String>> {
    let stored_seq = head.seq;
    let mut fresh = Vec::new();
    for entry in &page.entries {
        if entry.seq <= stored_seq {
            if known_hash(cx, page.event, entry.seq).await? != Some(entry.hash()) {
                let cause = format!("entry {} came again with another hash", entry.seq);
                return Ok(Err(cause));
            }
        } else if entry.follows(head) {
            head = entry.head();
            fresh.push(entry);
        } else if entry.seq == head.seq.saturating_add(1) {
            return Ok(Err(format!("entry {} does not follow entry {}", entry.seq, head.seq)));
        } else {
            return Ok(Err(format!("entry {} came after entry {}", entry.seq, head.seq)));
        }
    }
    Ok(Ok(fresh))
}

async fn known_hash(cx: &Cx, event: Uuid, seq: u64) -> Result<Option<Hash>> {
    let sql = "select hash from gate_journal where event_id = $1 and seq = $2";
    let row = cx.query_opt(sql, &[&event, &signed(seq)?]).await?;
    row.map(|row| hash(row.try_get(0)?)).transpose()
}

async fn insert(cx: &Cx, event: Uuid, entries: &[&Entry]) -> Result<()> {
    let mut seqs = Vec::with_capacity(entries.len());
    for entry in entries {
        seqs.push(signed(entry.seq)?);
    }
    let prev_hashes: Vec<&[u8]> = entries.iter().map(|e| e.prev_hash.0.as_slice()).collect();
    let hashes: Vec<[u8; 32]> = entries.iter().map(|entry| entry.hash().0).collect();
    let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
    let ats: Vec<i64> = entries.iter().map(|entry| entry.at.0).collect();
    let versions: Vec<i64> = entries.iter().map(|entry| i64::from(entry.v)).collect();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    let data: Vec<&str> = entries.iter().map(|entry| entry.data.get()).collect();
    cx.execute(
        "insert into gate_journal (event_id, seq, prev_hash, hash, at_ms, v, kind, data) \
         select $1, e.* from unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::bigint[], \
                $6::bigint[], $7::text[], $8::text[]) as e",
        &[&event, &seqs, &prev_hashes, &hashes, &ats, &versions, &kinds, &data],
    )
    .await?;
    Ok(())
}

/// Data keys are sealed at rest; one that was erased here is not brought back by an old page.
async fn keep_keys(cx: &Cx, page: &Page) -> Result<()> {
    if page.keys.is_empty() {
        return Ok(());
    }
    let master = secrets::master(cx.service())?;
    for (order, text) in &page.keys {
        let bytes = BASE64.decode(text.as_bytes()).ok();
        let key = bytes
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .map(DataKey)
            .ok_or_else(|| Error::internal(format!("the data key of order {order} is no key")))?;
        let sealed = secrets::seal_data_key(&master, page.event, *order, &key)?;
        cx.execute(
            "insert into order_data_keys (id, event_id, sealed_key) values ($1, $2, $3) \
             on conflict (org_id, id) do nothing",
            &[order, &page.event, &sealed],
        )
        .await?;
    }
    Ok(())
}

pub(super) fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::internal("a number of the journal is out of range"))
}

pub(super) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| Error::internal("a stored number is negative"))
}

fn hash(bytes: Vec<u8>) -> Result<Hash> {
    <[u8; 32]>::try_from(bytes)
        .map(Hash)
        .map_err(|_| Error::internal("a stored hash has another length"))
}
