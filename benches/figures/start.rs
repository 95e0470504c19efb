//! From nothing to a process that can answer, with 300 registered entities: descriptors checked, DDL
//! generated, the database compared, routes and reference built.

#![allow(clippy::expect_used, reason = "a figure whose house does not stand has nothing to say")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Figure, say, verdict};
use kernel::clock::SystemClock;
use kernel::entity::{
    Domain, Entity, Field, Group, Unique, boolean, choice, date, email, instant, integer, link,
    long_text, money, percent, slug, text,
};
use kernel::error::Code;
use kernel::registry::Registry;
use kernel::service::Service;
use kernel::testkit::{TestDb, settings};

const DOMAINS: usize = 15;
const ENTITIES_PER_DOMAIN: usize = 20;
const SECONDS_MAX: u64 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let domains = domains();
    let registry = Registry::new(&domains).expect("the descriptors are good").leak();
    let made = Instant::now();
    let db = TestDb::create("bench_start", &[&kernel::ddl::script(registry)])
        .await
        .expect("the schema can be made");
    tell("the schema made in an empty database (not counted)", made.elapsed());

    let start = Instant::now();
    let registry = Registry::new(&domains).expect("the descriptors are good").leak();
    tell("descriptors checked", start.elapsed());
    let script = kernel::ddl::script(registry);
    tell("DDL generated", start.elapsed());
    let service = Service::new(registry, settings(&db), Arc::new(SystemClock))
        .expect("a service can be built");
    let missing = kernel::startup::missing(&service).await.expect("the database answers");
    assert!(missing.is_empty(), "{missing:?}");
    tell("database compared", start.elapsed());
    let router = kernel::http::router(&service);
    let all = start.elapsed();
    tell("routes and reference built", all);
    say(&format!("{} entities, {} bytes of DDL", registry.members().len(), script.len()));
    drop(router);
    verdict(&[Figure {
        name: "start with 300 entities",
        thousandths: u64::try_from(all.as_millis()).unwrap_or(u64::MAX),
        limit: SECONDS_MAX,
        unit: "s",
    }])
}

fn tell(what: &str, since: Duration) {
    say(&format!("{:>6} ms  {what}", since.as_millis()));
}

/// Descriptors as domains have them, made up and leaked: they live as long as the process.
fn domains() -> Vec<&'static Domain> {
    let mut domains = vec![&kernel::accounts::DOMAIN];
    for domain in 0..DOMAINS {
        let entities: Vec<&'static Entity> =
            (0..ENTITIES_PER_DOMAIN).map(|number| entity(domain, number)).collect();
        let entities: &'static [&'static Entity] = entities.leak();
        let name = leak(format!("domain{domain}"));
        domains.push(Box::leak(Box::new(Domain { name, entities, ..Domain::EMPTY })));
    }
    domains
}

fn entity(domain: usize, number: usize) -> &'static Entity {
    let table = format!("d{domain}_nouns{number}");
    // Every entity but the first of a domain stands below the one before it.
    let above = number.checked_sub(1).map(|above| format!("domain{domain}.d{domain}_nouns{above}"));
    let mut fields: Vec<Field> = vec![
        slug("code").required(),
        text("name").required(),
        long_text("notes").personal(),
        email("contact").personal(),
        integer("pieces", 0, 1_000_000),
        money("worth"),
        percent("tax"),
        date("bought_on"),
        instant("counted_at"),
        choice("state", &["new", "used", "broken"]),
        boolean("lent").required().default("false"),
        link("keeper_id", "accounts.users"),
    ];
    if let Some(above) = above {
        fields.push(link("above_id", leak(above)).required());
    }
    let key: &'static [Unique] = Box::leak(Box::new([Unique {
        name: leak(format!("{table}_code_key")),
        fields: &["code"],
        code: Code::AlreadyExists,
    }]));
    let grant = leak(format!("domain{domain}.nouns{number}"));
    let entity = Entity::new(leak(table))
        .grant(grant)
        .group(Group::Assets)
        .label("name")
        .about("Made up, as wide as usual.")
        .fields(fields.leak())
        .natural(&["code"])
        .uniques(key)
        .indexes(&[&["state", "bought_on"]]);
    Box::leak(Box::new(entity))
}

fn leak(text: String) -> &'static str {
    text.leak()
}
