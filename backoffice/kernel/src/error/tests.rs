use super::*;

#[test]
fn the_table_is_sorted_and_its_names_are_unique() {
    let keys: Vec<(u16, &str)> =
        Code::ALL.iter().map(|code| (code.status(), code.name())).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(keys, sorted);
    for code in Code::ALL {
        assert_eq!(Code::parse(code.name()), Some(*code), "{} stands there twice", code.name());
        assert!((400..600).contains(&code.status()));
    }
}

#[test]
fn a_problem_shows_what_the_caller_may_read_and_nothing_else() {
    let error = Error::field(Code::Required, "name", "a value is required").with_context("secret");
    let problem = error.problem(Uuid::nil());
    assert_eq!(problem["status"], 422);
    assert_eq!(problem["type"], "/problems/required");
    assert_eq!(problem["errors"][0]["field"], "name");
    assert!(!problem.to_string().contains("secret"));
    assert!(!error.to_string().contains("secret"));
    assert!(error.log_text().contains("secret"));
}
