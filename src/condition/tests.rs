//! What people write, and what they are told.

use super::*;

fn shape() -> Shape {
    let step = Shape::from([("status", Kind::Int), ("json", Kind::Any)]);
    Shape::from([
        ("status", Kind::Int),
        ("headers", Kind::map(Kind::Text)),
        ("json", Kind::Any),
        ("errors", Kind::Double),
        ("output", Kind::Text),
        ("steps", Kind::list(Kind::Record(step))),
    ])
}

fn facts() -> Facts {
    let facts = serde_json::json!({
        "status": 200, "headers": { "content-type": "application/json" }, "errors": 0.25, "output": "ok",
        "json": { "left": 3, "price": 3.0, "tags": ["a", "b"] }, "steps": [{ "status": 201, "json": null }],
    });
    facts.as_object().cloned().unwrap_or_default()
}

fn checked(text: &str) -> String {
    match Condition(text.to_owned()).check(&shape()) {
        Ok(()) => "ok".to_owned(),
        Err(BadCondition { message, help }) if help.is_empty() => message,
        Err(BadCondition { message, help }) => format!("{message} ({help})"),
    }
}

#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (text, wanted) in table {
        assert_eq!(checked(text), *wanted, "{text}");
    }
}

#[test]
fn what_may_hold_is_let_through() {
    let table = [
        ("status == 200 && json.left > 0", "ok"),
        ("status in [200, 201] || !(\"x-a\" in headers)", "ok"),
        (
            "steps.all(s, s.status < 300) && steps[0].json.id != null",
            "ok",
        ),
        ("json.items.filter(i, i.left > 0).size() >= 2", "ok"),
        ("json.items.map(i, i.left).exists(left, left > 2)", "ok"),
        ("has(json.left) ? json.left > 0 : true", "ok"),
        ("json.ok", "ok"),
        ("errors < 0.01 && status * 2 > 3", "ok"),
    ];
    check(&table);
}

#[test]
fn what_cannot_be_a_condition_is_told_before_anything_was_found() {
    let table = [
        ("", "is empty (such as `status == 200`)"),
        (
            "statu == 200",
            "`statu` is not known here (did you mean `status`?)",
        ),
        (
            "steps[0].body == \"\"",
            "there is no `body` (known here: json, status)",
        ),
        (
            "status",
            "is a whole number, and must be true or false (compare it, such as `status > 0`)",
        ),
        (
            "status == \"200\"",
            "a whole number is never text (numbers stand without quotes)",
        ),
        (
            "output > 3",
            "text has no order with a whole number (numbers stand without quotes)",
        ),
        (
            "status && true",
            "`&&` wants true or false, and has a whole number (compare it first)",
        ),
        (
            "status.code == 1",
            "`.code` asks a whole number for a field",
        ),
        (
            "errors * 100 < 1.0",
            "`*` does not go with a number and a whole number (write whole numbers as `double(x)` or `2.0` beside broken ones)",
        ),
        (
            "output.includes(\"x\")",
            "there is no function `includes` (known here: size, contains, startsWith, endsWith, matches, int, uint, double, string, bool, bytes, type, dyn, min, max, isNaN, isInf)",
        ),
        (
            "status.contains(\"2\")",
            "`contains` wants text, and has a whole number (`x in list` looks into a list, `string(x)` makes text of a number)",
        ),
        (
            "\"o\" in output",
            "`in` looks into lists and maps, and has text (`text.contains(\"part\")` looks into a text)",
        ),
        (
            "steps.all(s, s.statu == 200)",
            "there is no `statu` (did you mean `status`?)",
        ),
    ];
    check(&table);
}

#[test]
fn what_is_no_cel_says_where_it_stops_being_it() {
    let table = [
        (
            "status == 200 and errors == 0.0",
            "is no CEL expression from `and errors == 0.0` on (column 15) (CEL writes `&&`, `||` and `!`)",
        ),
        (
            "status ==",
            "is no CEL expression: it ends too early (such as `status == 200 && latencyMs < 300`)",
        ),
        (
            "status = 200",
            "is no CEL expression from `= 200` on (column 8) (such as `status == 200 && latencyMs < 300`)",
        ),
    ];
    check(&table);
}

#[test]
fn conditions_hold_or_do_not_or_say_why_nobody_can_tell() {
    let table = [
        (
            "status == 200 && json.left > 0",
            "true; json is {\"left\":3,\"price\":3.0,\"tags\":[\"a\",\"b\"]}, status is 200",
        ),
        ("status > 200", "false; status is 200"),
        ("json.left == json.price && status < 200.5", "true"),
        ("json.left + 1 == 4 && json.tags.size() == 2", "true"),
        (
            "\"content-type\" in headers && headers[\"content-type\"].startsWith(\"application/\")",
            "true",
        ),
        ("json.right > 0", "there is no `right`"),
        ("has(json.right) && json.right > 0", "false"),
        ("json.tags > 0", "`>` does not go with list and int"),
        ("json.left", "it came out as int, and must be true or false"),
        (
            "json.tags[7] == \"a\"",
            "a list ends before the place it asks for",
        ),
        ("status / (json.left - 3) == 1", "it divides by zero"),
        (
            "output.matches(\"^o.$\") && steps.exists(s, s.status == 201)",
            "true",
        ),
    ];
    for (text, wanted) in table {
        let Judged { holds, found } = judge(&Condition(text.to_owned()), &facts());
        let told = match holds {
            Ok(holds) => format!("{holds}; {found}"),
            Err(why) => why,
        };
        assert!(told.starts_with(wanted), "{text}: {told}");
    }
}

#[test]
fn harmful_expressions_are_refused_and_none_takes_long() {
    let sum = |count: usize| format!("1{} > 0", "+1".repeat(count));
    let brackets = |count: usize| format!("{}1{} == 1", "[".repeat(count), "]".repeat(count));
    let both = |count: usize| format!("{}1{} > 0", "(1+".repeat(count), ")".repeat(count));
    let macros = |count: usize| format!("{}true{}", "[1].all(x,".repeat(count), ")".repeat(count));
    for text in [
        sum(24),
        brackets(7),
        both(5),
        macros(7),
        sum(1000),
        brackets(1000),
        "!(".repeat(99),
    ] {
        assert_eq!(
            checked(&text),
            "is too long or too deeply nested (use a `command` gate for it)",
            "{text}"
        );
    }
    for text in [
        sum(20),
        both(4),
        macros(5),
        format!("true{}", "&&true".repeat(100)),
    ] {
        assert_eq!(checked(&text), "ok", "{text}");
    }
    checked(&brackets(5));
    let items: Vec<i64> = (0..20_000).collect();
    let mut facts = facts();
    facts.insert("json".to_owned(), items.into());
    let cubed = Condition("json.all(a, json.all(b, json.all(c, a + b + c >= 0)))".to_owned());
    let told = judge(&cubed, &facts).holds;
    assert_eq!(
        told,
        Err("there is too much in the answer for it to go through".to_owned())
    );
    let once = Condition("json.all(a, a >= 0)".to_owned());
    assert_eq!(judge(&once, &facts).holds, Ok(true));
}

proptest::proptest! {
    #[test]
    fn any_text_is_checked_and_judged(text in "([a-z]{1,6}|status|json|[0-9]|[-+*/%<>=!&|?:.,()\\[\\]{}\"' ]|\\PC){0,24}") {
        let condition = Condition(text);
        let _told = condition.check(&shape());
        judge(&condition, &facts());
    }
}
