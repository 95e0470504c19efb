//! A house of three tables, as wide as usual ones, and its rows.

use std::sync::Arc;

use kernel::clock::SystemClock;
use kernel::entity::{
    Domain, Entity, Group, Unique, Weight, boolean, choice, date, email, instant, integer, link,
    long_text, money, percent, slug, text,
};
use kernel::error::Code;
use kernel::registry::Registry;
use kernel::service::Service;
use kernel::testkit::{TestDb, TestOrg, settings};

pub static SHELVES: Entity = Entity::new("shelves")
    .grant("bench.shelves")
    .group(Group::Assets)
    .label("name")
    .about("Where goods stand.")
    .fields(&[slug("code").required(), text("name").required()])
    .natural(&["code"])
    .uniques(&[Unique { name: "shelves_code_key", fields: &["code"], code: Code::AlreadyExists }]);

pub static MAKERS: Entity = Entity::new("makers")
    .grant("bench.makers")
    .group(Group::Assets)
    .label("name")
    .about("Who makes goods.")
    .fields(&[slug("code").required(), text("name").required()])
    .natural(&["code"])
    .uniques(&[Unique { name: "makers_code_key", fields: &["code"], code: Code::AlreadyExists }]);

pub static GOODS: Entity = Entity::new("goods")
    .grant("bench.goods")
    .group(Group::Assets)
    .label("name")
    .about("Something that stands on a shelf.")
    .fields(&[
        slug("code").required(),
        text("name").required(),
        email("contact"),
        integer("pieces", 0, 1_000_000),
        money("worth"),
        percent("tax"),
        date("bought_on"),
        instant("counted_at"),
        choice("state", &["new", "used", "broken"]),
        boolean("lent").required().default("false"),
        link("shelf_id", "bench.shelves").required(),
        link("maker_id", "bench.makers"),
    ])
    .natural(&["code"])
    .uniques(&[Unique { name: "goods_code_key", fields: &["code"], code: Code::AlreadyExists }]);

pub static NOTES: Entity = Entity::new("notes")
    .grant("bench.notes")
    .group(Group::Assets)
    .label("title")
    .about("Words that are searched.")
    .fields(&[
        text("title").required().search(Weight::A),
        long_text("body").search(Weight::B),
        link("keeper_id", "accounts.users"),
    ])
    .indexes(&[&["keeper_id"]]);

pub static DOMAIN: Domain =
    Domain { name: "bench", entities: &[&SHELVES, &MAKERS, &GOODS, &NOTES], ..Domain::EMPTY };

/// A service over a database of its own, with one organization.
pub struct House {
    pub db: TestDb,
    pub service: Service,
    pub org: TestOrg,
}

impl House {
    pub async fn open(purpose: &str) -> Self {
        let domains =
            &[&kernel::accounts::DOMAIN, &kernel::work::DOMAIN, &kernel::lists::DOMAIN, &DOMAIN];
        let registry = Registry::new(domains).expect("the descriptors are good").leak();
        let script = kernel::ddl::script(registry);
        let db = TestDb::create(purpose, &[&script]).await.expect("a database can be made");
        let service = Service::new(registry, settings(&db), Arc::new(SystemClock))
            .expect("a service can be built");
        let org = TestOrg::open(&service).await.expect("an organization can be opened");
        Self { db, service, org }
    }

    /// `goods` rows on a few shelves.
    pub async fn fill(&self, goods: i64) {
        let admin = self.db.superuser().await.expect("the superuser can connect");
        let org = &self.org.id;
        for table in ["shelves", "makers"] {
            let sql = format!(
                "insert into {table} (org_id, id, code, name)
                 select $1, gen_random_uuid(), '{table}-' || n, 'One of {table} ' || n
                   from generate_series(1, 20) n"
            );
            admin.execute(&sql, &[org]).await.expect("rows can be put in");
        }
        let sql = "insert into goods (org_id, id, code, name, contact, pieces, worth, worth_currency,
                       tax, bought_on, counted_at, state, shelf_id, maker_id)
                   select $1, gen_random_uuid(), 'g-' || n, 'Moving light \"' || n || '\"',
                       'g' || n || '@example.org', n % 1000, n % 5000 + 0.5, 'EUR', 19,
                       date '2026-01-01' + (n % 300)::int, now(), 'used',
                       (select id from shelves where org_id = $1 and code = 'shelves-' || n % 20 + 1),
                       (select id from makers where org_id = $1 and code = 'makers-' || n % 20 + 1)
                     from generate_series(1, $2::bigint) n";
        admin.execute(sql, &[org, &goods]).await.expect("rows can be put in");
        admin.batch("analyze").await.expect("statistics can be taken");
        admin.close().await;
    }
}
