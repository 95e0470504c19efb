//! Recomputes what the seals say, as the role that passes row-level security, in one snapshot.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::Admin;
use crate::error::Result;
use crate::settings::Secret;

/// Bytes of a digest and of an id.
const DIGEST: usize = 32;
const ID: usize = 16;

/// What was found, by organization.
#[derive(Debug)]
pub struct Report {
    pub organizations: Vec<OrgReport>,
}

#[derive(Debug, Default)]
pub struct OrgReport {
    pub org: Uuid,
    pub seals: u64,
    /// Changes whose digest was recomputed.
    pub changes: u64,
    /// Changes whose values were erased: their digest stands in the chain and cannot be recomputed.
    pub redacted: u64,
    /// Committed and not sealed yet.
    pub pending: u64,
    /// Number and digest of the last seal: who keeps them elsewhere notices a log cut off behind.
    pub head: Option<(i64, String)>,
    pub fault: Option<Fault>,
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The values or the head of a change are not those that were written.
    Altered { change: Uuid, seal: i64 },
    /// A sealed change is gone.
    Missing { change: Uuid, seal: i64 },
    /// The digests no longer make the seal: a change's digest, the order or the seal was rewritten.
    BrokenSeal { seal: i64 },
    /// A seal's number or predecessor does not follow.
    BrokenChain { seal: i64 },
    /// A change that no seal names and that does not wait for one.
    Inserted { change: Uuid },
}

impl Report {
    pub fn is_whole(&self) -> bool {
        self.organizations.iter().all(|org| org.fault.is_none())
    }

    pub fn show(&self) -> Value {
        json!({
            "whole": self.is_whole(),
            "organizations": self.organizations.iter().map(OrgReport::show).collect::<Vec<_>>(),
        })
    }
}

impl OrgReport {
    fn show(&self) -> Value {
        json!({
            "organization": self.org,
            "seals": self.seals,
            "changes": self.changes,
            "redacted": self.redacted,
            "pending": self.pending,
            "head": self.head.as_ref().map(|(number, digest)| json!({"seal": number, "digest": digest})),
            "fault": self.fault.as_ref().map(Fault::show),
        })
    }
}

impl Fault {
    fn show(&self) -> Value {
        match self {
            Self::Altered { change, seal } => {
                json!({"fault": "altered", "change": change, "seal": seal})
            }
            Self::Missing { change, seal } => {
                json!({"fault": "missing", "change": change, "seal": seal})
            }
            Self::BrokenSeal { seal } => json!({"fault": "broken_seal", "seal": seal}),
            Self::BrokenChain { seal } => json!({"fault": "broken_chain", "seal": seal}),
            Self::Inserted { change } => json!({"fault": "inserted", "change": change}),
        }
    }
}

/// Verifies one organization's log, or every one's. `url` is the migrate role's.
pub async fn verify(url: &Secret, org: Option<Uuid>) -> Result<Report> {
    let admin = Admin::connect(url).await?;
    // One snapshot: what commits meanwhile is not half seen.
    admin.batch("begin isolation level repeatable read read only").await?;
    let orgs = admin
        .query(
            "select distinct org_id from (select org_id from changes union all \
                                          select org_id from change_seals) as all_of_them \
              where $1::uuid is null or org_id = $1 order by org_id",
            &[&org],
        )
        .await?;
    let mut organizations = Vec::with_capacity(orgs.len());
    for row in orgs {
        organizations.push(organization(&admin, row.try_get(0)?).await?);
    }
    admin.batch("rollback").await?;
    admin.close().await;
    Ok(Report { organizations })
}

async fn organization(admin: &Admin, org: Uuid) -> Result<OrgReport> {
    let mut report = OrgReport { org, ..OrgReport::default() };
    let mut sealed = BTreeSet::new();
    let mut previous = vec![0_u8; DIGEST];
    loop {
        let after = report.head.as_ref().map_or(0, |(number, _)| *number);
        let row = admin
            .query(
                "select number, members, previous, digest from change_seals \
                  where org_id = $1 and number > $2 order by number limit 1",
                &[&org, &after],
            )
            .await?;
        let Some(row) = row.first() else { break };
        let seal = Seal {
            number: row.try_get(0)?,
            members: members(row.try_get(1)?),
            previous: row.try_get(2)?,
            digest: row.try_get(3)?,
        };
        let fault = match seal.number == after + 1 && seal.previous == previous {
            true => one(admin, &seal, &mut report).await?,
            false => Some(Fault::BrokenChain { seal: seal.number }),
        };
        report.seals += 1;
        report.head = Some((seal.number, data_encoding::HEXLOWER.encode(&seal.digest)));
        report.fault = report.fault.or(fault);
        sealed.extend(seal.members);
        previous = seal.digest;
    }
    unsealed(admin, &sealed, &mut report).await?;
    Ok(report)
}

struct Seal {
    number: i64,
    members: Vec<Uuid>,
    previous: Vec<u8>,
    digest: Vec<u8>,
}

fn members(bytes: &[u8]) -> Vec<Uuid> {
    bytes.chunks_exact(ID).filter_map(|id| Uuid::from_slice(id).ok()).collect()
}

/// Digests of the changes, then the seal over them.
async fn one(admin: &Admin, seal: &Seal, report: &mut OrgReport) -> Result<Option<Fault>> {
    let rows = admin
        .query(
            "select given.id, c.digest, c.erased_at is not null, \
                    c.erased_at is not null or c.digest = change_digest(c) \
               from unnest($2::uuid[]) with ordinality as given (id, place) \
               left join changes c on c.org_id = $1 and c.id = given.id order by given.place",
            &[&report.org, &seal.members],
        )
        .await?;
    let mut chained = Vec::with_capacity(rows.len() * (ID + DIGEST));
    for row in &rows {
        let change: Uuid = row.try_get(0)?;
        let Some(digest) = row.try_get::<_, Option<&[u8]>>(1)? else {
            return Ok(Some(Fault::Missing { change, seal: seal.number }));
        };
        if !row.try_get::<_, Option<bool>>(3)?.unwrap_or(false) {
            return Ok(Some(Fault::Altered { change, seal: seal.number }));
        }
        match row.try_get(2)? {
            true => report.redacted += 1,
            false => report.changes += 1,
        }
        chained.extend_from_slice(change.as_bytes());
        chained.extend_from_slice(digest);
    }
    let sql = "select seal_digest($1, $2, $3, $4) = $5";
    let given = [&seal.previous, &chained, &seal.digest];
    let row =
        admin.query_one(sql, &[&report.org, &seal.number, given[0], given[1], given[2]]).await?;
    Ok(match row.try_get(0)? {
        true => None,
        false => Some(Fault::BrokenSeal { seal: seal.number }),
    })
}

/// Changes that no seal names wait in the outbox, or somebody put them there.
async fn unsealed(admin: &Admin, sealed: &BTreeSet<Uuid>, report: &mut OrgReport) -> Result<()> {
    let rows = admin
        .query(
            "select c.id, exists (select from outbox o where o.change_id = c.id) from changes c \
              where c.org_id = $1 order by c.id",
            &[&report.org],
        )
        .await?;
    for row in &rows {
        let change: Uuid = row.try_get(0)?;
        if sealed.contains(&change) {
            continue;
        }
        match row.try_get(1)? {
            true => report.pending += 1,
            false => {
                report.fault = report.fault.take().or(Some(Fault::Inserted { change }));
            }
        }
    }
    Ok(())
}
