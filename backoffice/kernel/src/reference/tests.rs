use super::*;

fn reference() -> Reference {
    Reference::new(Registry::new(&[&crate::accounts::DOMAIN]).unwrap().leak())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_operation_has_a_place_that_links_lead_to() {
    let reference = reference();
    let index = text(reference.index());
    let links: Vec<&str> = index
        .split("<li><a href=\"/docs/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| link.contains('#'))
        .collect();
    assert!(links.len() > 15, "{}", links.len());
    for link in links {
        let (resource, id) = link.split_once('#').unwrap();
        let page = text(&reference.resource(resource).unwrap());
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{link}");
    }
    assert!(reference.resource("nothing").is_none());
    assert!(reference.resource("").is_none());
}

#[test]
fn a_search_finds_all_its_words_and_shows_them_harmlessly() {
    let reference = reference();
    let found = text(&reference.found("session Delete"));
    assert!(found.contains("/docs/sessions#delete_sessions_current"), "{found}");
    assert!(!found.contains("#get_sessions\""));
    assert!(text(&reference.found("zebra")).contains("0 found"));
    let hostile = text(&reference.found("\"><script>alert(1)</script>"));
    assert!(!hostile.contains("<script"), "{hostile}");
    assert!(hostile.contains("&quot;&gt;&lt;script&gt;"));
    let long = "x".repeat(100_000);
    assert!(reference.found(&long).len() < reference.index().len());
}

#[test]
fn pages_need_no_script_and_their_policy_names_their_style() {
    let reference = reference();
    for page in [text(reference.index()), text(&reference.resource("sessions").unwrap())] {
        for foreign in ["<script", " on", "style=\"", "http://", "https://"] {
            let tags: Vec<&str> = page.split('<').filter(|tag| !tag.starts_with("style")).collect();
            let inside = tags.iter().filter_map(|tag| tag.split('>').next());
            assert!(!inside.clone().any(|tag| tag.contains(foreign)), "{foreign}");
        }
        let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let digest = data_encoding::BASE64.encode(&Sha256::digest(style));
        assert!(content_security_policy().contains(&format!("style-src 'sha256-{digest}'")));
    }
}

#[test]
fn a_call_can_be_copied() {
    let page = text(&reference().resource("organizations").unwrap());
    assert!(page.contains("curl -X POST &quot;$ATLVS/api/v1/organizations&quot;"), "{page}");
    assert!(page.contains("Authorization: Bearer $TOKEN"));
    assert!(page.contains("&quot;slug&quot;: &quot;main&quot;"));
    let page = text(&reference().resource("sessions").unwrap());
    assert!(page.contains("$ATLVS/api/v1/sessions/&lt;id&gt;"));
}
