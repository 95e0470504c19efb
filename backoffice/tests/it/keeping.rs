//! No table of the machinery and no global one grows without somebody having said how long its rows
//! stay, or why that is no trouble; and every rule finds its rows by an index.

use kernel::entity::{Keeping, Scope};

use crate::{database, registry};

#[test]
fn every_table_that_grows_by_itself_says_how_long_its_rows_stay() {
    let unsaid: Vec<&str> = registry()
        .entities()
        .filter(|entity| entity.scope != Scope::Tenant)
        .filter(|entity| match entity.keeping {
            Keeping::Unsaid => true,
            Keeping::Kept(why) => why.is_empty(),
            Keeping::Swept(rules) => rules.is_empty(),
        })
        .map(|entity| entity.name)
        .collect();
    assert_eq!(unsaid, [""; 0], "say it with .retention(&[…]) or .kept(\"why\")");
}

#[tokio::test]
async fn every_rule_finds_its_rows_by_an_index() {
    let admin = database().await.superuser().await.unwrap();
    // What little there is would be read as a whole, which tells nothing.
    admin.batch("set enable_seqscan = off").await.unwrap();
    let mut rules = 0;
    for entity in registry().entities() {
        for (place, rule) in entity.retentions().iter().enumerate() {
            let only = if rule.only.is_empty() { "true" } else { rule.only };
            let empties = rule.empties.iter().map(|column| format!("{column} is not null"));
            let empties: Vec<String> = empties.collect();
            let full = if empties.is_empty() { "true".to_owned() } else { empties.join(" or ") };
            let (table, after) = (entity.name, rule.after);
            let sql = format!(
                "explain select id from {table} where {after} < now() and {after} is not null \
                    and {only} and ({full}) order by {after} limit 1000 for update skip locked"
            );
            let plan = admin.query(&sql, &[]).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            let index = format!("{table}_sweep{place}_idx");
            let served = plan.iter().any(|line| line.contains(&format!("{table}_sweep")));
            assert!(served, "{index} does not serve {sql}: {plan:#?}");
            rules += 1;
        }
    }
    println!("rules of retention: {rules}");
    assert!(rules > 10);
}
