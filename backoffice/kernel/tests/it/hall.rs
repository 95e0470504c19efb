//! A small registry for the engine's tests: places, halls in them, bookings with a flow. And a
//! server over it, with an organization of the test's own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use kernel::accounts::OPERATION;
use kernel::action::{Action, Answers, Args, InternalReply, InternalRoute, Loop, On, Reply};
use kernel::actor::PortalKind;
use kernel::clock::{Clock, SystemClock};
use kernel::cx::Cx;
use kernel::ddl;
use kernel::entity::{
    Check, Domain, Entity, Flow, Move, Operations, Plan, Portal, Unique, View, Weight, boolean,
    bytes, choice, country, currency, date, decimal, email, id, instant, integer,
    json as json_field, language, link, long_text, money, phone, slug, text, text_list, time_zone,
    url,
};
use kernel::error::{Code, Error, Result};
use kernel::http::Listeners;
use kernel::registry::Registry;
use kernel::service::{Service, Shutdown, Trigger};
use kernel::settings::Settings;
use kernel::testkit::{TestDb, TestOrg};
use serde_json::{Map, Value, json};
use tokio::sync::{Barrier, OnceCell, watch};
use uuid::Uuid;

pub(crate) static PLACE: Entity = Entity::new("places")
    .grant("hall.places")
    .about("Where halls are.")
    .fields(&[
        text("name").required().search(Weight::A).aliases(&["Bezeichnung"]),
        slug("key").required().once(),
        long_text("notes").search(Weight::C),
        email("contact").personal().search(Weight::B),
        phone("phone"),
        url("site"),
        boolean("open").required().default("true"),
        integer("seats", 0, 1_000_000),
        money("rent"),
        decimal("rating", 2),
        currency("currency"),
        country("country"),
        language("language"),
        time_zone("zone"),
        date("opened_on"),
        instant("opened_at"),
        choice("kind", &["theatre", "arena", "club"]),
        id("outside_id"),
        json_field("extra"),
        bytes("logo", 64),
        text_list("tags", 5),
        bytes("seal", 32).secret(),
        integer("visits", 0, i64::MAX).required().default("0").by_action(),
    ])
    .natural(&["key"])
    .uniques(&[Unique { name: "places_key_key", fields: &["key"], code: Code::AlreadyExists }])
    .checks(&[Check {
        name: "places_club_is_small",
        sql: "kind is distinct from 'club' or seats is null or seats <= 500",
        code: Code::OutOfRange,
        field: "seats",
    }]);

pub(crate) static HALL: Entity = Entity::new("halls")
    .grant("hall.halls")
    .about("A room in a place.")
    .fields(&[
        link("place_id", "hall.places").required(),
        link("inside_id", "hall.halls"),
        link("keeper_id", "accounts.users"),
        text("name").required(),
        link("near_place_id", "hall.places"),
        integer("level", 0, 1_000),
    ])
    .label("name")
    .views(&[View::Tree("inside_id")]);

static BOOKING_FLOW: Flow = Flow {
    field: "status",
    initial: "draft",
    states: &["draft", "confirmed", "canceled"],
    moves: &[
        Move::new("confirm", &["draft"], "confirmed"),
        Move::new("cancel", &["draft", "confirmed"], "canceled"),
    ],
};

pub(crate) static BOOKING: Entity = Entity::new("hall_bookings")
    .path("bookings")
    .grant("hall.bookings")
    .about("A hall for somebody.")
    .operations(Operations { read: true, create: false, patch: true, delete: true })
    .flow(&BOOKING_FLOW)
    .portal(&[Portal {
        kind: PortalKind::Attendee,
        field: "party_id",
        read: &["title", "status", "wishes", "deposit"],
        write: &["wishes"],
    }])
    .fields(&[
        link("hall_id", "hall.halls").required().once().cascade(),
        text("title").required(),
        id("party_id").by_action(),
        text("wishes"),
        money("deposit"),
        text("remarks").personal(),
        choice("status", &["draft", "confirmed", "canceled"])
            .required()
            .default("'draft'")
            .by_action(),
    ]);

pub(crate) static SEASON: Entity = Entity::new("seasons")
    .grant("hall.seasons")
    .plan(Plan::Pro)
    .about("What only some plans hold.")
    .fields(&[text("name").required()]);

pub(crate) static NOTICE: Entity = Entity::new("notices")
    .grant("hall.notices")
    .about("Words on a wall, somebody's.")
    .fields(&[text("words").required().search(Weight::A), link("keeper_id", "accounts.users")])
    .indexes(&[&["keeper_id"]]);

pub(crate) static VISIT: Entity = Entity::new("hall_visits")
    .path("visits")
    .grant("hall.visits")
    .about("Somebody came; never changed.")
    .log()
    .fields(&[link("place_id", "hall.places").required(), text("who").required().personal()]);

static ACTIONS: &[Action] = &[
    Action {
        name: "create",
        entity: &BOOKING,
        on: On::Create,
        input: &[link("hall_id", "hall.halls").required(), text("title").required()],
        answers: Answers::Row,
        about: "Books a hall.",
        run: |cx, args| Box::pin(book(cx, args)),
    },
    Action {
        name: "confirm",
        entity: &BOOKING,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "Confirms a booking.",
        run: |cx, args| Box::pin(confirm(cx, args)),
    },
    Action {
        name: "cancel",
        entity: &BOOKING,
        on: On::Row,
        input: &[text("reason").required()],
        answers: Answers::Nothing,
        about: "Changes the title, then fails: nothing may remain.",
        run: |cx, args| Box::pin(half_done(cx, args)),
    },
    Action {
        name: "stumble",
        entity: &PLACE,
        on: On::Row,
        input: &[integer("times", 0, 10).required()],
        answers: Answers::Row,
        about: "Counts a visit, then fails as a serialization failure the first `times` times.",
        run: |cx, args| Box::pin(stumble(cx, args)),
    },
    Action {
        name: "swap",
        entity: &PLACE,
        on: On::Row,
        input: &[link("with_id", "hall.places").required()],
        answers: Answers::Row,
        about: "Counts a visit here, meets the opposite swap, counts one there.",
        run: |cx, args| Box::pin(swap(cx, args)),
    },
    Action {
        name: "burst",
        entity: &PLACE,
        on: On::Row,
        input: &[],
        answers: Answers::Nothing,
        about: "Counts a visit, then panics.",
        run: |cx, args| Box::pin(burst(cx, args)),
    },
    Action {
        name: "outside",
        entity: &PLACE,
        on: On::Row,
        input: &[choice("ends", &["done", "failed", "never"]).required()],
        answers: Answers::Row,
        about: "Work that another service finishes.",
        run: |cx, args| Box::pin(outside(cx, args)),
    },
    Action {
        name: "send",
        entity: &PLACE,
        on: On::Collection,
        input: &[id("place").required()],
        answers: Answers::Object(&[id("job").required()]),
        about: "Leaves a visit to a job.",
        run: |cx, args| {
            Box::pin(async move {
                let place = args.input["place"].clone();
                Ok(Reply::Json(crate::jobs::send(cx, place).await?))
            })
        },
    },
    Action {
        name: "count",
        entity: &PLACE,
        on: On::Collection,
        input: &[],
        answers: Answers::Object(&[integer("places", 0, i64::MAX).required()]),
        about: "Counts the organization's places.",
        run: |cx, _| Box::pin(count(cx)),
    },
    Action {
        name: "touch",
        entity: &PLACE,
        on: On::Internal,
        input: &[text("note").required()],
        answers: Answers::Nothing,
        about: "For calls from other domains.",
        run: |cx, args| Box::pin(touch(cx, args)),
    },
];

async fn book(cx: &mut Cx, args: Args) -> Result<Reply> {
    Ok(Reply::Row(cx.insert(&BOOKING, args.input).await?))
}

async fn confirm(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    cx.set(&BOOKING, id, &[("status", json!("confirmed"))]).await?;
    Ok(Reply::Row(id))
}

async fn half_done(cx: &mut Cx, args: Args) -> Result<Reply> {
    cx.set(&BOOKING, args.row()?, &[("title", json!("half done"))]).await?;
    Err(Error::new(Code::Conflict, "not today"))
}

/// Tries of a call that is still failing, by place: tests run side by side.
static STUMBLES: Mutex<BTreeMap<Uuid, u64>> = Mutex::new(BTreeMap::new());

async fn visit(cx: &mut Cx, id: Uuid) -> Result<()> {
    let place = cx.load(&PLACE, id, "stumble").await?;
    let visits = place["visits"].as_i64().unwrap_or_default();
    cx.set(&PLACE, id, &[("visits", json!(visits + 1))]).await
}

async fn stumble(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    visit(cx, id).await?;
    let times = args.input["times"].as_u64().unwrap_or_default();
    let tries = {
        let mut all = STUMBLES.lock().unwrap();
        let tries = all.entry(id).or_default();
        *tries += 1;
        *tries
    };
    if tries <= times {
        cx.execute("do $$ begin raise exception using errcode = '40001'; end $$", &[]).await?;
    }
    STUMBLES.lock().unwrap().remove(&id);
    Ok(Reply::Row(id))
}

/// Two opposite swaps meet here with one row locked each, the first time.
static MEETINGS: Mutex<BTreeMap<(Uuid, Uuid), Arc<Barrier>>> = Mutex::new(BTreeMap::new());

async fn swap(cx: &mut Cx, args: Args) -> Result<Reply> {
    let here = args.row()?;
    let there: Uuid = args.input["with_id"].as_str().unwrap().parse().unwrap();
    let pair = (here.min(there), here.max(there));
    let meeting =
        MEETINGS.lock().unwrap().entry(pair).or_insert_with(|| Arc::new(Barrier::new(2))).clone();
    visit(cx, here).await?;
    // Alone (the other side runs again later) nobody comes: then there is nothing to wait for.
    let met = tokio::time::timeout(Duration::from_millis(500), meeting.wait()).await;
    if let Ok(met) = met
        && met.is_leader()
    {
        DEADLOCKS.fetch_add(1, Ordering::SeqCst);
    }
    visit(cx, there).await?;
    Ok(Reply::Row(here))
}

/// How often both sides held one row and then asked for the other's.
pub(crate) static DEADLOCKS: AtomicU32 = AtomicU32::new(0);

async fn burst(cx: &mut Cx, args: Args) -> Result<Reply> {
    visit(cx, args.row()?).await?;
    panic!("a bug, on purpose");
}

async fn outside(cx: &mut Cx, args: Args) -> Result<Reply> {
    let operation = cx.insert(&OPERATION, object(json!({"kind": "outside"}))).await?;
    let error = json!({"code": "sold_out", "detail": "Nothing left."});
    match args.input["ends"].as_str() {
        Some("done") => cx.set(&OPERATION, operation, &[("status", json!("done"))]).await?,
        Some("failed") => {
            let fields = [("status", json!("failed")), ("error", error)];
            cx.set(&OPERATION, operation, &fields).await?;
        }
        _ => {}
    }
    Ok(Reply::Await { operation, row: args.id })
}

async fn count(cx: &mut Cx) -> Result<Reply> {
    let row = cx.query_one("select count(*) from places where deleted_at is null", &[]).await?;
    let places: i64 = row.try_get(0)?;
    Ok(Reply::Json(json!({"places": places})))
}

async fn touch(cx: &mut Cx, args: Args) -> Result<Reply> {
    cx.set(&PLACE, args.row()?, &[("notes", args.input["note"].clone())]).await?;
    Ok(Reply::Nothing)
}

pub(crate) static DOMAIN: Domain = Domain {
    name: "hall",
    entities: &[&PLACE, &HALL, &BOOKING, &SEASON, &NOTICE, &VISIT, &crate::kinds::SPECIMEN],
    actions: ACTIONS,
    internal: &[InternalRoute {
        method: "POST",
        path: "/internal/v1/echo",
        run: |_, call| Box::pin(async move { Ok(InternalReply { status: 200, body: call.body }) }),
    }],
    jobs: crate::jobs::JOBS,
    crons: crate::background::CRONS,
    consumers: crate::background::CONSUMERS,
    loops: &[Loop { name: "beat", run: |_, shutdown| Box::pin(beat(shutdown)) }],
    ..Domain::EMPTY
};

/// Runs that the loop began.
pub(crate) static BEATS: LazyLock<watch::Sender<u32>> = LazyLock::new(|| watch::Sender::new(0));

async fn beat(mut shutdown: Shutdown) -> Result<()> {
    let mut run = 0;
    BEATS.send_modify(|beats| {
        *beats += 1;
        run = *beats;
    });
    match run {
        1 => Err(Error::internal("the first run fails")),
        2 => panic!("the second one has a bug, on purpose"),
        3 => Ok(()),
        _ => {
            shutdown.wait().await;
            Ok(())
        }
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

pub(crate) fn registry() -> &'static Registry {
    static REGISTRY: std::sync::OnceLock<&'static Registry> = std::sync::OnceLock::new();
    REGISTRY.get_or_init(|| {
        let domains =
            [&kernel::accounts::DOMAIN, &kernel::work::DOMAIN, &kernel::lists::DOMAIN, &DOMAIN];
        let domains = [&domains[..], &[&crate::imports::DOMAIN]].concat();
        Registry::new(&domains).unwrap().leak()
    })
}

pub(crate) async fn database() -> &'static TestDb {
    static DATABASE: OnceCell<TestDb> = OnceCell::const_new();
    DATABASE
        .get_or_init(|| async {
            TestDb::create("hall", &[&ddl::script(registry())]).await.unwrap()
        })
        .await
}

pub(crate) const CATALOGUE_TOKEN: &str = "a token of the internal listener";

/// A service, its server and an organization of the test's own.
pub(crate) struct House {
    pub(crate) service: Service,
    pub(crate) org: TestOrg,
    pub(crate) base: String,
    pub(crate) internal: String,
    http: reqwest::Client,
    /// Dropped with the house: the server ends.
    _trigger: Trigger,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with_clock(Arc::new(SystemClock)).await
    }

    pub(crate) async fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::with(clock, &[]).await
    }

    /// With these settings before those of all tests.
    pub(crate) async fn with(clock: Arc<dyn Clock>, given: &[(&str, &str)]) -> Self {
        Self::on(database().await, clock, given).await
    }

    /// In a database of the test's own, where its loops meet nobody else's rows.
    pub(crate) async fn alone(purpose: &str, clock: Arc<dyn Clock>) -> (Self, TestDb) {
        let database = TestDb::create(purpose, &[&ddl::script(registry())]).await.unwrap();
        (Self::on(&database, clock, &[]).await, database)
    }

    pub(crate) async fn on(
        database: &TestDb,
        clock: Arc<dyn Clock>,
        given: &[(&str, &str)],
    ) -> Self {
        let own = |name: &str| given.iter().find(|(key, _)| *key == name);
        let lookup = |name: &str| match name {
            _ if own(name).is_some() => own(name).map(|(_, value)| (*value).to_owned()),
            "DATABASE_URL" => Some(database.app_url.expose().to_owned()),
            "DATABASE_PORTAL_URL" => Some(database.portal_url.expose().to_owned()),
            "DATABASE_MIGRATE_URL" => Some(database.migrate_url.expose().to_owned()),
            "DATABASE_WORK_URL" => Some(database.work_url.expose().to_owned()),
            "DATABASE_CONNECTIONS" => Some("4".to_owned()),
            "BACKOFFICE_PORT" | "BACKOFFICE_INTERNAL_PORT" => Some("0".to_owned()),
            "RATE_LIMIT_PERCENT" => Some("1000000".to_owned()),
            "CATALOGUE_TOKEN" => Some(CATALOGUE_TOKEN.to_owned()),
            "MAIL_DIR" => Some(crate::post::BOX.display().to_string()),
            "ATLVS_MASTER_KEY" => Some(crate::post::MASTER_KEY.to_owned()),
            _ => None,
        };
        let settings = Settings::read(&lookup).unwrap();
        let service = Service::new(registry(), settings, clock).unwrap();
        let org = TestOrg::open(&service).await.unwrap();
        let listeners = Listeners::bind(&service).await.unwrap();
        let base = format!("http://{}", listeners.public().unwrap());
        let internal = format!("http://{}", listeners.internal().unwrap());
        let (trigger, shutdown) = Shutdown::new();
        let served = service.clone();
        tokio::spawn(async move { listeners.serve(&served, shutdown).await });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { service, org, base, internal, http, _trigger: trigger }
    }

    /// A second organization in the same database.
    pub(crate) async fn stranger(&self) -> TestOrg {
        TestOrg::open(&self.service).await.unwrap()
    }

    /// A request as the owner's token, path below `/api/v1`.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.plain(method, &format!("/api/v1{path}")).bearer_auth(self.org.token.expose())
    }

    /// A GET with a query.
    pub(crate) fn asks<A: AsRef<str>, B: AsRef<str>>(
        &self,
        path: &str,
        query: &[(A, B)],
    ) -> reqwest::RequestBuilder {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1{path}", self.base)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        self.http.get(url).bearer_auth(self.org.token.expose())
    }

    /// A request without a secret, whole path.
    pub(crate) fn plain(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base))
    }

    pub(crate) fn to_internal(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.internal))
    }

    pub(crate) async fn get(&self, path: &str) -> Seen {
        Seen::of(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Seen {
        Seen::of(self.request("POST", path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Seen {
        Seen::of(self.request("PATCH", path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Seen {
        Seen::of(self.request("DELETE", path)).await
    }

    /// A place with this key; its id.
    pub(crate) async fn place(&self, key: &str) -> String {
        let seen = self.post("/places", json!({"name": key, "key": key})).await;
        seen.is(201).id()
    }

    pub(crate) async fn hall(&self, place: &str) -> String {
        let seen = self.post("/halls", json!({"name": "Hall", "place_id": place})).await;
        seen.is(201).id()
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Seen {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or(Value::Null)
        };
        let seen = Self { status, body, headers };
        seen.keeps_the_form();
        seen
    }

    /// Every problem has the members of RFC 9457 and ours; nothing internal shows.
    #[track_caller]
    fn keeps_the_form(&self) {
        if self.status < 400 {
            return;
        }
        let media_type = self.header("content-type");
        if media_type != "application/problem+json" {
            assert_eq!((self.status, media_type), (503, "application/json"), "{self:?}");
            return;
        }
        for member in ["type", "title", "status", "detail", "code", "errors", "request_id"] {
            assert!(self.body.get(member).is_some(), "no {member} in {}", self.body);
        }
        assert_eq!(self.body["status"], self.status);
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        let text = self.body.to_string();
        for word in ["SQLSTATE", "syntax error", "relation", "constraint", "panic"] {
            assert!(!text.contains(word), "{word} shows in {text}");
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// A problem with this code that names exactly these fields.
    #[track_caller]
    pub(crate) fn refuses(self, code: Code, fields: &[&str]) -> Self {
        assert_eq!(self.body["code"], code.name(), "{}", self.body);
        assert_eq!(self.status, code.status());
        let named: Vec<&str> = self.body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|fault| fault["field"].as_str())
            .collect();
        assert_eq!(named, fields, "{}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().expect("a row has an id").to_owned()
    }
}
