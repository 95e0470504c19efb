//! Search: what words find, best first, and that no words are an error.

use kernel::error::Code;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::hall::{House, PLACE, Seen, object};
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
    // A filter that leaves nothing of what was found: there may be more.
    let query = [("q", "lamp"), ("filter[words][contains]", "chair")];
    let page = crate::reads::ask_as(&house, &all, "/notices", &query).await.is(200).body;
    assert_eq!(page["page"]["count"], json!({"value": 0, "exact": false}));
}
