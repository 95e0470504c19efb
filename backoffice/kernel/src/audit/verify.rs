//! Recomputes what the seals say, as the role that passes row-level security, in one snapshot.

use std::collections::BTreeSet;

use jiff::Timestamp;
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
    /// Changes whose digest was recomputed, values and head.
    pub changes: u64,
    /// Changes whose values were erased: the head is proved by the digest that the values had.
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
    /// The values or the head of a change are not those that were written, or its values went without
    /// an entry that tells it. `seal` is none while it waits for one.
    Altered { change: Uuid, seal: Option<i64> },
    /// A change is gone that is sealed, or that waits for a seal.
    Missing { change: Uuid, seal: Option<i64> },
    /// The digests no longer make the seal: a change's digest, the order or the seal was rewritten.
    BrokenSeal { seal: i64 },
    /// A seal's number or predecessor does not follow.
    BrokenChain { seal: i64 },
    /// A change that no seal names and that does not wait for one.
    Inserted { change: Uuid },
    /// A head that was kept elsewhere is not in the chain any more: the log was cut off before it, or
    /// written anew with all its digests.
    Rewritten { seal: i64 },
    /// The organization is there and its log is not: every one has begun with entries.
    Emptied,
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
            Self::Rewritten { seal } => json!({"fault": "rewritten", "seal": seal}),
            Self::Emptied => json!({"fault": "emptied"}),
        }
    }
}

/// A head that an earlier report told. Only what was kept outside the database shows that all of a
/// log, digests and seals with it, was written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub org: Uuid,
    pub seal: i64,
    /// In hexadecimal digits.
    pub digest: String,
}

impl Head {
    /// The heads of a report as `Report::show` wrote it; what is wrong with it otherwise.
    pub fn of_report(report: &Value) -> std::result::Result<Vec<Self>, String> {
        let all = report["organizations"].as_array().ok_or("organizations: must be a list")?;
        let mut heads = Vec::new();
        for (place, one) in all.iter().enumerate() {
            let at = |what: &str| format!("organizations.{place}.{what}");
            let org = one["organization"].as_str().and_then(|text| Uuid::try_parse(text).ok());
            let org = org.ok_or_else(|| at("organization: must be a UUID"))?;
            let head = &one["head"];
            if head.is_null() {
                continue;
            }
            let seal = head["seal"].as_i64().ok_or_else(|| at("head.seal: must be a number"))?;
            let digest = head["digest"].as_str().filter(|text| text.len() == 2 * DIGEST);
            let digest = digest.ok_or_else(|| at("head.digest: must be a digest"))?.to_owned();
            heads.push(Self { org, seal, digest });
        }
        Ok(heads)
    }
}

/// Verifies one organization's log, or every one's. `url` is the migrate role's.
pub async fn verify(url: &Secret, org: Option<Uuid>) -> Result<Report> {
    verify_since(url, org, &[]).await
}

/// The same, and that each head of an earlier report still stands in its organization's chain.
pub async fn verify_since(url: &Secret, org: Option<Uuid>, heads: &[Head]) -> Result<Report> {
    let admin = Admin::connect(url).await?;
    // One snapshot: what commits meanwhile is not half seen.
    admin.batch("begin isolation level repeatable read read only").await?;
    let orgs = admin.query(&organizations_sql(&admin).await?, &[&org]).await?;
    let mut organizations = Vec::with_capacity(orgs.len());
    for row in orgs {
        organizations.push(organization(&admin, row.try_get(0)?).await?);
    }
    for head in heads.iter().filter(|head| org.is_none_or(|org| org == head.org)) {
        let sql =
            "select encode(digest, 'hex') from change_seals where org_id = $1 and number = $2";
        let found = admin.query(sql, &[&head.org, &head.seal]).await?;
        let stands = match found.first() {
            Some(row) => row.try_get::<_, String>(0)?.eq_ignore_ascii_case(&head.digest),
            None => false,
        };
        if !stands {
            let fault = Some(Fault::Rewritten { seal: head.seal });
            match organizations.iter_mut().find(|report: &&mut OrgReport| report.org == head.org) {
                Some(report) => report.fault = report.fault.take().or(fault),
                None => {
                    organizations.push(OrgReport { org: head.org, fault, ..OrgReport::default() })
                }
            }
        }
    }
    admin.batch("rollback").await?;
    admin.close().await;
    Ok(Report { organizations })
}

/// Organizations by their own table where there is one: a log that lost all of one is noticed. Those
/// that only the log knows come too.
async fn organizations_sql(admin: &Admin) -> Result<String> {
    let there = "select to_regclass('public.organizations') is not null";
    let listed = match admin.query_one(there, &[]).await?.try_get(0)? {
        true => "select id from organizations union ",
        false => "",
    };
    Ok(format!(
        "select id from ({listed}select org_id from changes union select org_id from change_seals) \
             as every (id) \
          where $1::uuid is null or id = $1 order by id"
    ))
}

async fn organization(admin: &Admin, org: Uuid) -> Result<OrgReport> {
    let mut report = OrgReport { org, ..OrgReport::default() };
    let mut sealed = BTreeSet::new();
    let mut previous = vec![0_u8; DIGEST];
    loop {
        let after = report.head.as_ref().map_or(0, |(number, _)| *number);
        let row = admin
            .query(
                "select number, members, previous, digest, id, created_at from change_seals \
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
            id: row.try_get(4)?,
            at: row.try_get(5)?,
        };
        let fault = match seal.number == after + 1 && seal.previous == previous {
            true => one(admin, &seal, &mut report).await?,
            false => Some(Fault::BrokenChain { seal: seal.number }),
        };
        report.seals += 1;
        report.head = Some((seal.number, data_encoding::HEXLOWER.encode(&seal.digest)));
        let twice = !seal.members.iter().all(|member| sealed.insert(*member));
        let fault = fault.or(twice.then_some(Fault::BrokenSeal { seal: seal.number }));
        report.fault = report.fault.or(fault);
        previous = seal.digest;
    }
    unsealed(admin, &sealed, &mut report).await?;
    if report.changes + report.redacted + report.pending == 0 {
        report.fault = report.fault.or(Some(Fault::Emptied));
    }
    Ok(report)
}

struct Seal {
    id: Uuid,
    at: Timestamp,
    number: i64,
    members: Vec<Uuid>,
    previous: Vec<u8>,
    digest: Vec<u8>,
}

fn members(bytes: &[u8]) -> Vec<Uuid> {
    bytes.chunks_exact(ID).filter_map(|id| Uuid::from_slice(id).ok()).collect()
}

/// Whether a change is what was written: its digest, and the entry that tells when its values went.
const INTACT: &str = "(c.digest = change_digest(c) \
     and (c.salt is null \
          or c.values_digest = change_values_digest(c.salt, c.before, c.after, c.reason)) \
     and (c.salt is null) = (c.erased_at is not null) \
     and (c.erased_at is null \
          or c.before is null and c.after is null and c.reason is null \
             and exists (select from changes e \
                          where e.org_id = c.org_id and e.table_name = c.table_name \
                            and e.row_id = c.row_id and e.op = 'erase' and e.at = c.erased_at)))";

/// Digests of the changes, then the seal over them.
async fn one(admin: &Admin, seal: &Seal, report: &mut OrgReport) -> Result<Option<Fault>> {
    let sql = format!(
        "select given.id, c.digest, c.erased_at is not null, {INTACT} \
           from unnest($2::uuid[]) with ordinality as given (id, place) \
           left join changes c on c.org_id = $1 and c.id = given.id order by given.place"
    );
    let rows = admin.query(&sql, &[&report.org, &seal.members]).await?;
    let mut chained = Vec::with_capacity(rows.len() * (ID + DIGEST));
    for row in &rows {
        let change: Uuid = row.try_get(0)?;
        let Some(digest) = row.try_get::<_, Option<&[u8]>>(1)? else {
            return Ok(Some(Fault::Missing { change, seal: Some(seal.number) }));
        };
        if !row.try_get::<_, Option<bool>>(3)?.unwrap_or(false) {
            return Ok(Some(Fault::Altered { change, seal: Some(seal.number) }));
        }
        match row.try_get(2)? {
            true => report.redacted += 1,
            false => report.changes += 1,
        }
        chained.extend_from_slice(change.as_bytes());
        chained.extend_from_slice(digest);
    }
    let sql = "select seal_digest($1, $2, $3, $4, $5, $6) = $7";
    let Seal { id, at, number, previous, digest, .. } = seal;
    let row =
        admin.query_one(sql, &[&report.org, id, number, at, previous, &chained, digest]).await?;
    Ok(match row.try_get(0)? {
        true => None,
        false => Some(Fault::BrokenSeal { seal: seal.number }),
    })
}

/// Changes that no seal names wait in the outbox, or somebody put them there.
async fn unsealed(admin: &Admin, sealed: &BTreeSet<Uuid>, report: &mut OrgReport) -> Result<()> {
    let rows =
        admin.query("select id from changes where org_id = $1 order by id", &[&report.org]).await?;
    let mut waiting: Vec<Uuid> = Vec::new();
    for row in &rows {
        let change = row.try_get(0)?;
        if !sealed.contains(&change) {
            waiting.push(change);
        }
    }
    let sql = format!(
        "select c.id, exists (select from outbox o where o.change_id = c.id), {INTACT} \
           from changes c where c.org_id = $1 and c.id = any($2) order by c.id"
    );
    for row in &admin.query(&sql, &[&report.org, &waiting]).await? {
        let change: Uuid = row.try_get(0)?;
        let fault = match (row.try_get(1)?, row.try_get::<_, Option<bool>>(2)?) {
            (true, Some(true)) => None,
            (true, _) => Some(Fault::Altered { change, seal: None }),
            (false, _) => Some(Fault::Inserted { change }),
        };
        report.pending += u64::from(fault.is_none());
        report.fault = report.fault.take().or(fault);
    }
    let sql = "select o.change_id from outbox o \
                where o.org_id = $1 and o.change_id is not null \
                  and not exists (select from changes c where c.org_id = $1 and c.id = o.change_id) \
                order by o.change_id limit 1";
    if let Some(row) = admin.query(sql, &[&report.org]).await?.first() {
        let change = row.try_get(0)?;
        report.fault = report.fault.take().or(Some(Fault::Missing { change, seal: None }));
    }
    Ok(())
}
