//! Types and checks of every kind, as text.

use super::{check, columns, literal};
use crate::entity::{
    Field, boolean, bytes, choice, country, currency, date, decimal, duration, email, file, geo,
    instant, integer, json, link, money, percent, price, quantity, rate, rrule, slug, text,
    text_list,
};

#[track_caller]
fn column(field: Field, expect_type: &str, expect_check: &str) {
    assert_eq!(columns(&field)[0].sql_type, expect_type);
    assert_eq!(check(&field).unwrap_or_default(), expect_check);
}

#[test]
fn kinds_have_types_and_checks() {
    column(text("x"), "text", "char_length(x) <= 300");
    column(slug("x"), "text", "x ~ '^[a-z0-9][a-z0-9_-]{0,62}$'");
    column(email("x"), "text", "char_length(x) <= 254 and position('@' in x) > 1");
    column(boolean("x"), "boolean", "");
    column(integer("x", 0, i64::MAX), "bigint", "x >= 0");
    column(integer("x", i64::MIN, 9), "bigint", "x <= 9");
    column(integer("x", -1, 9), "bigint", "x between -1 and 9");
    column(integer("x", i64::MIN, i64::MAX), "bigint", "");
    column(decimal("x", 6), "numeric(28,6)", "");
    column(percent("x"), "numeric(7,4)", "x between 0 and 100");
    column(rate("x"), "numeric(28,10)", "");
    column(quantity("x", 3), "numeric(28,3)", "");
    column(duration("x"), "bigint", "x between -3155760000 and 3155760000");
    column(file("x"), "uuid", "");
    column(rrule("x"), "text", "char_length(x) <= 1000");
    column(currency("x"), "text", "x ~ '^[A-Z]{3}$'");
    column(country("x"), "text", "x ~ '^[A-Z]{2}$'");
    column(date("x"), "date", "");
    column(instant("x"), "timestamp with time zone", "");
    column(choice("x", &["a", "it's"]), "text", "x in ('a', 'it''s')");
    column(link("x_id", "a.b"), "uuid", "");
    column(json("x"), "jsonb", "octet_length(x::text) <= 65536");
    column(bytes("x", 32), "bytea", "octet_length(x) <= 32");
    column(text_list("x", 5), "text[]", "cardinality(x) <= 5 and array_position(x, null) is null");
}

#[test]
fn money_is_two_columns_that_stand_or_fall_together() {
    let field = money("fee").required();
    let names: Vec<_> =
        columns(&field).into_iter().map(|c| (c.name, c.sql_type, c.not_null)).collect();
    let expect = [("fee", "numeric(19,4)", true), ("fee_currency", "text", true)];
    assert_eq!(names, expect.map(|(n, t, r)| (n.to_owned(), t.to_owned(), r)));
    assert_eq!(
        check(&field).unwrap(),
        "(fee is null) = (fee_currency is null) and fee_currency ~ '^[A-Z]{3}$'"
    );
}

#[test]
fn a_price_is_kept_like_money() {
    assert_eq!(columns(&price("fee")), columns(&money("fee")));
    assert_eq!(check(&price("fee")), check(&money("fee")));
}

#[test]
fn a_place_is_two_columns_that_stand_or_fall_together() {
    let field = geo("site");
    let names: Vec<_> =
        columns(&field).into_iter().map(|c| (c.name, c.sql_type, c.not_null)).collect();
    let expect = [("site", "numeric(10,7)", false), ("site_longitude", "numeric(10,7)", false)];
    assert_eq!(names, expect.map(|(n, t, r)| (n.to_owned(), t.to_owned(), r)));
    assert_eq!(
        check(&field).unwrap(),
        "(site is null) = (site_longitude is null) and site between -90 and 90 \
         and site_longitude between -180 and 180"
    );
}

#[test]
fn literals_are_quoted() {
    assert_eq!(literal("it's"), "'it''s'");
    assert_eq!(literal(""), "''");
}
