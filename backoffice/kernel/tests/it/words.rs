//! Search: what words find, best first, and that no words are an error.

use kernel::error::Code;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::hall::{House, PLACE, Seen, database, object};
use crate::reads::{ask, each};

pub(crate) async fn library(house: &House) {
    for (key, name, notes, contact) in [
        ("zoo", "Zoological Garden", "Animals; opened by Alexander Zürn", "zoo@example.org"),
        ("zurich", "Zürich Hallenstadion", "A large arena", "info@halle.example"),
        (
            "stadion",
            "Stadion am Park",
            "Hallenstadion is elsewhere. Ref ATL-2026/7",
            "park@example.org",
        ),
        ("club", "Kleiner Club", "", "club@example.org"),
    ] {
        let body = json!({"name": name, "key": key, "notes": notes, "contact": contact});
        house.post("/places", body).await.is(201);
    }
}

#[tokio::test]
async fn words_find_rows_best_first() {
    let house = House::open().await;
    library(&house).await;
    let stranger = house.stranger().await;
    let mut cx = stranger.begin().await.unwrap();
    cx.create(&PLACE, object(json!({"name": "Zürich of others", "key": "zurich"}))).await.unwrap();
    cx.commit().await.unwrap();
    for (words, expected) in [
        ("hallenstadion", "zurich,stadion"),
        ("zurich", "zurich"),
        ("ZÜRICH", "zurich"),
        ("zu", "zurich,zoo"),
        ("halle", "zurich,stadion"),
        ("halle stadion", ""),
        ("hallenstadion -park", "zurich"),
        ("\"stadion am\"", "stadion"),
        ("\"am stadion\"", ""),
        ("atl-2026/7", "stadion"),
        ("2026", "stadion"),
        ("club@example.org", "club"),
        ("-zoo", "club,stadion,zurich"),
        ("nothing", ""),
        ("", ""),
        ("!!! ()&|<->:*", ""),
        ("\"", ""),
        ("kleiner \"", "club"),
        ("* club", "club"),
    ] {
        let list = ask(&house, "/places", &[("q", words)]).await;
        assert_eq!(each(&list, "key"), expected, "{words}");
        let count = list["data"].as_array().unwrap().len();
        assert_eq!(list["page"]["count"], json!({"value": count, "exact": true}));
    }
    let filtered = [("q", "hallenstadion"), ("filter[key]", "stadion")];
    assert_eq!(each(&ask(&house, "/places", &filtered).await, "key"), "stadion");
    let sorted = [("q", "hallenstadion"), ("sort", "key")];
    assert_eq!(each(&ask(&house, "/places", &sorted).await, "key"), "stadion,zurich");
    let page = [("q", "hallenstadion"), ("limit", "1")];
    let first = ask(&house, "/places", &page).await;
    let next = first["page"]["next"].as_str().unwrap().to_owned();
    let second = ask(&house, "/places", &[page[0], page[1], ("cursor", &next)]).await;
    assert_eq!((each(&first, "key"), each(&second, "key")), ("zurich".into(), "stadion".into()));
    let id = house.get("/places?filter[key]=zoo").await.body["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    house.patch(&format!("/places/{id}"), json!({"name": "Tierpark"})).await.is(200);
    assert_eq!(each(&ask(&house, "/places", &[("q", "tier")]).await, "key"), "zoo");
    assert_eq!(each(&ask(&house, "/places", &[("q", "zoological")]).await, "key"), "");
    house.delete(&format!("/places/{id}")).await.is(204);
    assert_eq!(each(&ask(&house, "/places", &[("q", "tier")]).await, "key"), "");
    let seen = Seen::of(house.asks("/halls", &[("q", "x")])).await;
    seen.refuses(Code::InvalidRequest, &["q"]);
}

#[tokio::test]
async fn no_words_are_an_error() {
    let house = House::open().await;
    library(&house).await;
    let strange = [
        "'",
        "\\",
        "a:b",
        "a:*",
        "!a",
        "a & | b",
        "(",
        "<->",
        "-",
        "--",
        "-\"",
        "\"\"",
        "\u{0}a",
        "%",
        "ﷺ",
        "\u{300}",
        "😀",
        "a\"b\"c",
        "'@' & '",
        ":*:*",
        "\u{202e}x",
        "‘quoted’ –dash—",
    ];
    for words in strange {
        ask(&house, "/places", &[("q", words)]).await;
    }
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Default::default() });
    let any = proptest::string::string_regex("[ a-z\"'\\\\:*&|!()<>@-]{0,40}|\\PC{0,60}").unwrap();
    for _ in 0..200 {
        let words = any.new_tree(&mut runner).unwrap().current();
        let seen = Seen::of(house.asks("/places", &[("q", words.as_str())])).await;
        assert_eq!(seen.status, 200, "{words:?}: {}", seen.body);
    }
    let seen = Seen::of(house.asks("/places", &[("q", "x".repeat(201).as_str())])).await;
    seen.refuses(Code::InvalidRequest, &["q"]);
}

#[tokio::test]
async fn no_word_is_passed_over() {
    let house = House::open().await;
    library(&house).await;
    let many = "zoological garden ".repeat(10);
    for (words, found) in
        [(many.clone(), 1), (format!("{many}-animals"), 0), (format!("{many}elsewhere"), 0)]
    {
        let seen = ask(&house, "/places", &[("q", words.as_str())]).await;
        assert_eq!(seen["data"].as_array().unwrap().len(), found, "{words}");
    }
    // As many words as there can be.
    ask(&house, "/places", &[("q", "a ".repeat(100).as_str())]).await;
}

/// More rows have the word than a search lists, and few of them are the caller's.
#[tokio::test]
async fn the_best_are_those_of_the_rows_in_reach() {
    const OWN: usize = 30;
    let house = House::open().await;
    let cx = house.org.begin().await.unwrap();
    // The more often a word stands there, the better.
    let sql = "insert into notices (words, keeper_id)
               select repeat('lamp ', n) || 'post', $1 from generate_series(1, $2::int) n";
    let others = "insert into notices (words) select repeat('lamp ', 1 + n % 40) || 'post'
                    from generate_series(1, 1500) n";
    cx.execute(others, &[]).await.unwrap();
    cx.execute(sql, &[&house.org.owner, &i32::try_from(OWN).unwrap()]).await.unwrap();
    cx.commit().await.unwrap();
    let token = async |scope: &str| {
        let grants = json!([{"grant": "hall.notices", "rights": ["read"], "scope": scope}]);
        house.org.issue(grants).await.unwrap()
    };
    let lamps = |page: &serde_json::Value| -> Vec<usize> {
        let rows = page["data"].as_array().unwrap();
        rows.iter().map(|row| row["words"].as_str().unwrap().matches("lamp").count()).collect()
    };
    let own = token("own").await;
    let query = [("q", "lamp"), ("limit", "20")];
    let first = crate::reads::ask_as(&house, &own, "/notices", &query).await.is(200).body;
    assert_eq!(lamps(&first), (11..=OWN).rev().collect::<Vec<_>>());
    assert_eq!(first["page"]["count"], json!({"value": OWN, "exact": true}));
    let next = first["page"]["next"].as_str().unwrap();
    let query = [query[0], query[1], ("cursor", next)];
    let second = crate::reads::ask_as(&house, &own, "/notices", &query).await.is(200).body;
    assert_eq!(lamps(&second), (1..=10).rev().collect::<Vec<_>>());
    assert_eq!(second["page"]["count"], json!({"value": OWN, "exact": true}));
    let query = [("q", "lamp"), ("limit", "20"), ("include", "keeper_id")];
    crate::reads::ask_as(&house, &own, "/notices", &query)
        .await
        .refuses(Code::InvalidRequest, &["include"]);
    let all = token("all").await;
    let query = [("q", "lamp"), ("limit", "30")];
    let page = crate::reads::ask_as(&house, &all, "/notices", &query).await.is(200).body;
    assert_eq!(lamps(&page), vec![40; 30]);
    assert_eq!(page["page"]["count"], json!({"value": 1_000, "exact": false}));
    // Not one of the best thousand passes the filter: every row that has the word is looked at.
    let query = [("q", "lamp"), ("filter[words][contains]", "chair")];
    let page = crate::reads::ask_as(&house, &all, "/notices", &query).await.is(200).body;
    assert_eq!(page["page"]["count"], json!({"value": 0, "exact": true}));
}

/// Rows that have the words, in the order of a list, by plain SQL past every function of ours.
async fn plainly(org: uuid::Uuid, place: &str, order: &str, limit: i64) -> Vec<String> {
    let admin = database().await.superuser().await.unwrap();
    let sql = format!(
        "select id::text from notices
          where org_id = $1 and deleted_at is null and search @@ 'lamp'::tsquery and {place}
          order by {order} limit $2"
    );
    let rows = admin.query(&sql, &[&org, &limit]).await.unwrap();
    admin.close().await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Many more rows have the word than a search ranks: filters, orders and parents still give theirs.
#[tokio::test]
async fn whatever_picks_among_the_found_picks_among_all_of_them() {
    let house = House::open().await;
    let org = house.org.id;
    let admin = database().await.superuser().await.unwrap();
    // Twenty-one thousand changes would be the change log's test.
    admin.batch("set session_replication_role = replica").await.unwrap();
    let fill = "insert into notices (org_id, id, words, keeper_id)
                select $1, gen_random_uuid(),
                    case when n % 3000 = 2999 then 'lamp and chair ' || n
                         when n % 1000 = 999 then 'a ' || n || ' lamp beside others'
                         else repeat('lamp ', 1 + n % 7) || n % 2 end,
                    case when n % 10500 = 10499 then $2::uuid end
                  from generate_series(1, $3::int) n";
    let some = async |rows: i32| {
        admin.execute(fill, &[&org, &house.org.owner, &rows]).await.unwrap();
        admin.batch("analyze notices").await.unwrap();
    };
    const RANK: &str = "(ts_rank(search, 'lamp'::tsquery) * 1000000)::bigint desc, id desc";
    let keeper = house.org.owner.to_string();
    type Asked<'a> = &'a [(&'a str, &'a str)];
    let queries: [(Asked<'_>, &str, &str); 5] = [
        (&[("filter[words][contains]", "chair")], "words like '%chair%'", RANK),
        (&[("filter[keeper_id]", &keeper)], "keeper_id is not null", RANK),
        (&[("filter[words][starts]", "a ")], "words like 'a %'", RANK),
        (&[("filter[words][ends]", "0"), ("sort", "words")], "words like '%0'", "words, id"),
        (&[("sort", "words")], "true", "words, id"),
    ];
    let judge = async |cut: bool| {
        for (asked, place, order) in queries {
            for limit in ["4", "100"] {
                let query = [&[("q", "lamp"), ("limit", limit)], asked].concat();
                let page = ask(&house, "/notices", &query).await;
                let ids: Vec<&str> = page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|r| r["id"].as_str().unwrap())
                    .collect();
                // Of words that more rows have than are ranked, not all can be sorted.
                if !cut || !place.contains("'%0'") && place != "true" {
                    let plain = plainly(org, place, order, limit.parse().unwrap()).await;
                    assert_eq!(ids, plain, "{query:?}");
                }
            }
        }
    };
    some(5_000).await;
    judge(false).await;
    let all = plainly(org, "words like '%0'", RANK, 10_000).await.len();
    let query = [("q", "lamp"), ("filter[words][ends]", "0")];
    let count = &ask(&house, "/notices", &query).await["page"]["count"];
    assert_eq!(*count, json!({"value": all, "exact": true}));
    some(16_500).await;
    judge(true).await;
    // Few rows have what is filtered by: their number is known.
    let query = [("q", "lamp"), ("filter[words][contains]", "chair")];
    let all = plainly(org, "words like '%chair%'", RANK, 1_000).await.len();
    let count = &ask(&house, "/notices", &query).await["page"]["count"];
    assert_eq!(*count, json!({"value": all, "exact": true}));
    let none = [("q", "lamp"), ("filter[words][contains]", "nothing like it")];
    let count = &ask(&house, "/notices", &none).await["page"]["count"];
    assert_eq!(*count, json!({"value": 0, "exact": true}));
    admin.close().await;
}

/// Texts that the organization added are found by their words, by those who may read them.
#[tokio::test]
async fn own_fields_are_searched_where_their_definition_says_so() {
    let house = House::open().await;
    library(&house).await;
    let define = async |key: &str, more: serde_json::Value| {
        let mut body =
            object(json!({"entity": "places", "key": key, "label": key, "kind": "text"}));
        body.extend(object(more));
        house.post("/custom-fields", serde_json::Value::Object(body)).await
    };
    let motto = define("motto", json!({"searched": true})).await.is(201).id();
    define("host", json!({"searched": true, "level": "personal"})).await.is(201);
    let quiet = define("quiet", json!({})).await.is(201).id();
    let club = house.get("/places?filter[key]=club").await.body["data"][0]["id"].clone();
    let club = format!("/places/{}", club.as_str().unwrap());
    let custom =
        json!({"motto": "Per Áspera ad Astra", "host": "Grace Hopper", "quiet": "whisper"});
    house.patch(&club, json!({"custom": custom})).await.is(200);
    let keys = async |words: &str| each(&ask(&house, "/places", &[("q", words)]).await, "key");
    for (words, expected) in [
        ("aspera", "club"),
        ("ASPERA astra", "club"),
        ("\"aspera ad\"", "club"),
        ("\"ad aspera\"", ""),
        ("asp", "club"),
        ("kleiner astra", "club"),
        ("hallenstadion astra", ""),
        ("kleiner -astra", ""),
        ("hopper", "club"),
        ("whisper", ""),
        // What stands in the index is no word of anybody's.
        ("motto=aspera", ""),
        ("quiet=whisper", ""),
        ("motto", ""),
        ("mot", ""),
    ] {
        assert_eq!(keys(words).await, expected, "{words}");
    }
    house.patch(&club, json!({"custom": {"motto": "per ardua"}})).await.is(200);
    assert_eq!((keys("astra").await, keys("ardua").await), (String::new(), "club".to_owned()));
    // Said later, it holds for the rows that are there.
    house.patch(&format!("/custom-fields/{quiet}"), json!({"searched": true})).await.is(200);
    assert_eq!(keys("whisper").await, "club");
    house.post(&format!("/custom-fields/{motto}/retire"), json!({})).await.is(200);
    assert_eq!(keys("ardua").await, "");
    house.post(&format!("/custom-fields/{motto}/reinstate"), json!({})).await.is(200);
    assert_eq!(keys("ardua").await, "club");
    let open = json!([{"grant": "hall.places", "rights": ["read"], "levels": ["open"]}]);
    let open = house.org.issue(open).await.unwrap();
    for (words, expected) in [("hopper", ""), ("ardua", "club")] {
        let seen = crate::reads::ask_as(&house, &open, "/places", &[("q", words)]).await;
        assert_eq!(each(&seen.is(200).body, "key"), expected, "{words}");
    }
    let told = house.get("/meta/places").await.is(200).body;
    let fields = told["custom_fields"].as_array().unwrap();
    assert!(fields.iter().all(|field| field["searched"] == json!(true)), "{fields:?}");
    for (key, more, code) in [
        ("size", json!({"kind": "integer", "searched": true}), Code::InvalidValue),
        ("pay", json!({"level": "confidential", "searched": true}), Code::InvalidValue),
        ("room", json!({"entity": "halls", "searched": true}), Code::InvalidValue),
    ] {
        let seen = define(key, more).await;
        assert_eq!(seen.body["errors"][0]["code"], code.name());
        seen.refuses(Code::ValidationFailed, &["searched"]);
    }
}
