//! Texts that are odd: marks, line ends, sizes, depths; and texts that are anything at all.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use verdigris::manifest::set::{FILE_MAX, assemble, parse_bytes, parse_file};

use super::{PROD, read, service, told};

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(
        told(&read(&[("a.yaml", text), ("prod.yaml", PROD)])).trim(),
        expected
    );
}

#[test]
fn marks_and_line_ends_of_all_kinds_are_read() {
    let stock = service("stock");
    let carts = service("carts");
    let texts = [
        format!("\u{feff}{stock}"),
        stock.replace('\n', "\r\n"),
        format!("%YAML 1.2\n---\n{stock}...\n# the end\n"),
        format!("# first\n\n---\n# nothing\n---\n{stock}\n---\n\n--- # second\n{carts}"),
        stock.replace("metadata: ", "\"metadata\": "),
    ];
    for text in texts {
        check(&text, "");
        assert!(
            !read(&[("a.yaml", &text), ("prod.yaml", PROD)])
                .services
                .is_empty(),
            "{text}"
        );
    }
    check("", "");
    check("# nothing to see\n", "");
}

#[test]
fn positions_are_right_in_later_documents_and_odd_encodings() {
    let bad = service("stock").replace("python3.13", "'pythön'");
    let expected = |line: usize| {
        format!(
            "a.yaml:{line}:12: spec.runtime: no runtime `pythön` on both clouds (help: write one of: python3.10, python3.11, python3.12, python3.13, nodejs20, nodejs22, nodejs24, executable)"
        )
    };
    check(&bad, &expected(5));
    check(&format!("\u{feff}{bad}"), &expected(5));
    check(&bad.replace('\n', "\r\n"), &expected(5));
    check(&format!("# größer 🦀\n--- # 🦀\n{bad}"), &expected(7));
    check(&format!("{}---\n{bad}", service("carts")), &expected(14));
    let set = read(&[("a.yaml", &format!("# 🦀\n{bad}"))]);
    let text = format!("# 🦀\n{bad}");
    let fault = &set.faults[0];
    assert_eq!(&text[fault.offset..fault.offset + fault.length], "'pythön'");
}

#[test]
fn a_text_over_several_lines_may_hold_what_looks_like_a_mark() {
    let body = "  build: |\n    ---\n    make\n    --- x\n";
    check(&(service("stock") + body), "");
}

#[test]
fn sizes_and_depths_have_limits() {
    let long = format!("{}  build: {}\n", service("stock"), "x".repeat(20_000));
    check(
        &long,
        "a.yaml:9:10: a text of 20000 bytes is too long (help: at most 16384 bytes; put it into a file of the source)",
    );
    let deep = format!("a: {}{}\n", "[".repeat(30), "]".repeat(30));
    check(
        &deep,
        "a.yaml:1:27: nested more than 24 levels deep (help: write it flatter)",
    );
    let large = "#".repeat(FILE_MAX + 1);
    check(
        &large,
        "a.yaml:1:1: the file has 65537 bytes, and 65536 are allowed (help: split it; several files are fine)",
    );
    let bytes = parse_bytes("a.yaml", b"kind: \xff");
    assert_eq!(
        bytes.faults()[0].to_string(),
        "a.yaml:1:1: is no text: byte 6 is not UTF-8 (help: save it as UTF-8)"
    );
}

/// The parser's worst cases, at the size that a file may have. Seconds would mean that a file can stop the daemon.
#[test]
fn the_largest_bad_files_are_read_in_bounded_time() {
    let texts = [
        "[".repeat(FILE_MAX),
        "{".repeat(FILE_MAX),
        "- ".repeat(FILE_MAX / 2),
        "? ".repeat(FILE_MAX / 2),
        "a: &a b\n".repeat(FILE_MAX / 8),
        format!("k: {}", "&a ".repeat(FILE_MAX / 3 - 3)),
        "---\n:\n".repeat(FILE_MAX / 6),
        "x: 1\n".repeat(FILE_MAX / 5),
        format!("kind: Service\nspec: {{{}}}", "a: 1, ".repeat(9_000)),
        format!(
            "kind: Service\nspec: {{{}}}",
            (0..4_000).map(|n| format!("k{n}: 1, ")).collect::<String>()
        ),
    ];
    for text in texts {
        let start = tokio::time::Instant::now();
        let file = parse_file("a.yaml", &text);
        let took = start.elapsed();
        assert!(!file.faults().is_empty());
        assert!(took.as_secs() < 60, "{text:.20} took {took:?}");
    }
}

#[test]
fn a_thousand_faults_are_told_in_part() {
    let many: String = (0..1000)
        .map(|number| format!("  colour{number}: x\n"))
        .collect();
    let set = read(&[("a.yaml", &(service("stock") + &many)), ("prod.yaml", PROD)]);
    assert_eq!(set.faults.len(), 51);
    let last = set
        .faults
        .iter()
        .find(|fault| fault.field.is_empty())
        .unwrap();
    assert_eq!(
        last.message,
        "950 more faults in this document are not shown"
    );
}

/// Parts that together often are nearly a manifest.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "apiVersion: verdigris.dev/v1alpha1\n",
        "kind: Service\n",
        "kind: Environment\n",
        "kind: Gate\n",
        "metadata: { name: a }\n",
        "metadata:\n  name: b\n",
        "spec:\n",
        "  functions:\n",
        "    api: { handler: app:app }\n",
        "  runtime: python3.13\n",
        "  rollout: { gates: [ { http: { path: / } } ] }\n",
        "  env: { A: 1 }\n",
        "---\n",
        "...\n",
        "&a ",
        "*a\n",
        "<<: *a\n",
        "- ",
        "? ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "|\n",
        ">-\n",
        "'",
        "\"",
        "\t",
        "\r\n",
        "!t ",
        "%",
        "#",
        "\u{feff}",
        "🦀",
        "é",
        "\0",
        "\u{85}",
        "\u{2028}",
        "  ",
    ]);
    prop_oneof![8 => words.prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_and_its_faults_point_into_it(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        let file = parse_file("a.yaml", &text);
        let files = BTreeMap::from([("a.yaml".to_owned(), Arc::new(file))]);
        for fault in assemble(&files).faults {
            prop_assert!(text.get(fault.offset..fault.offset + fault.length).is_some(), "{fault} in {text:?}");
            prop_assert!(fault.line >= 1 && fault.column >= 1);
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _file = parse_bytes("a.yaml", &bytes);
    }
}
