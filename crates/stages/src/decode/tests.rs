//! Records and what becomes of them, as tables of cases.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Int32Type, Int64Type, TimestampMicrosecondType,
};

use super::{CsvLayout, Decoded, Decoder};
use duto_definition::{
    ColumnType, Field, Kind, RecordDefinition, Rules, Source, Span, TextCleaning,
};
use duto_ground::batch::{Batch, Place};
use duto_ground::index::RecordIndex;

fn field(name: &str, kind: Kind) -> Field {
    let (name, required) = name.strip_suffix('?').map_or((name, true), |name| (name, false));
    Field { name: name.to_owned(), required, kind, rules: Rules::default(), span: Span::default() }
}

fn scalar(name: &str, column_type: ColumnType) -> Field {
    field(name, Kind::Scalar(column_type))
}

fn list(name: &str, element: Kind) -> Field {
    field(name, Kind::List(Box::new(field("item", element))))
}

fn not_negative(mut field: Field) -> Field {
    field.rules.minimum = Some("0".to_owned());
    field
}

fn decoder(fields: Vec<Field>, cleaning: TextCleaning) -> Decoder {
    let source = Source { max_record_bytes: 1 << 20, max_depth: 64, ..Source::default() };
    Decoder::of_record(&RecordDefinition { fields }, cleaning, &source)
}

/// The sales record.
fn sales() -> Decoder {
    let item = vec![
        not_negative(scalar("qty", ColumnType::Integer)),
        not_negative(scalar("value_unit", ColumnType::Numeric(None))),
        scalar("item_id?", ColumnType::BigInt),
        scalar("item?", ColumnType::Text),
    ];
    decoder(
        vec![scalar("order_number", ColumnType::BigInt), list("order_items", Kind::Object(item))],
        TextCleaning::default(),
    )
}

fn one_field(field: Field) -> Decoder {
    decoder(vec![field], TextCleaning::default())
}

fn batch_of(payloads: &[Option<&[u8]>]) -> Batch {
    let mut batch = Batch::default();
    for (offset, payload) in (0..).zip(payloads) {
        batch.push(
            Place { partition: 0, offset, leader_epoch: 0, timestamp_ms: 0 },
            None,
            *payload,
            None,
        );
    }
    batch
}

fn decode(decoder: &Decoder, body: &[u8]) -> Decoded {
    decoder.decode(&batch_of(&[Some(body)]))
}

/// The path, the rule and the reason of a record that must be refused.
fn refusal(decoder: &Decoder, body: &[u8]) -> (String, String, String) {
    let decoded = decode(decoder, body);
    assert_eq!(decoded.rows.num_rows(), 0, "{}", String::from_utf8_lossy(body));
    let reject = decoded.rejects.into_iter().next().unwrap();
    assert_eq!(decoder.problems(body).first(), Some(&reject), "{}", String::from_utf8_lossy(body));
    (reject.path, reject.rule, reject.reason)
}

#[test]
fn a_bad_sale_is_refused_with_its_reason() {
    let item = |item: &str| {
        format!(r#"{{"order_number":1,"order_items":[{{"qty":1,"value_unit":1}},{item}]}}"#)
    };
    for (body, path, rule, reason) in [
        (
            r#"{"wrong_field":"no_order_number"}"#.into(),
            "order_number",
            "missing",
            "order_number is missing",
        ),
        (
            r#"{"order_number":null,"order_items":[]}"#.into(),
            "order_number",
            "null",
            "order_number must not be null",
        ),
        (
            r#"{"order_number":true,"order_items":[]}"#.into(),
            "order_number",
            "type",
            "order_number must be an integer, got true",
        ),
        (
            r#"{"order_number":"1","order_items":[]}"#.into(),
            "order_number",
            "type",
            "order_number must be an integer, got \"1\"",
        ),
        (
            r#"{"order_number":1.5,"order_items":[]}"#.into(),
            "order_number",
            "type",
            "order_number must be an integer, got 1.5",
        ),
        (
            r#"{"order_number":9223372036854775808,"order_items":[]}"#.into(),
            "order_number",
            "range",
            "order_number must be between -9223372036854775808 and 9223372036854775807, got \
                9223372036854775808",
        ),
        (
            r#"{"order_number":1,"order_items":{}}"#.into(),
            "order_items",
            "type",
            "order_items must be a list, got {}",
        ),
        (
            r#"{"order_number":1,"order_items":[],"order_number":1}"#.into(),
            "order_number",
            "duplicate_key",
            "order_number is given more than once",
        ),
        (
            r#"{"order_number":1,"order_items":[],"order\u005fnumber":1}"#.into(),
            "order_number",
            "duplicate_key",
            "order_number is given more than once",
        ),
        (item("null"), "order_items[1]", "null", "order_items[1] must not be null"),
        (item("[]"), "order_items[1]", "type", "order_items[1] must be an object, got []"),
        (
            item("{\"qty\":1}"),
            "order_items[1].value_unit",
            "missing",
            "order_items[1].value_unit is missing",
        ),
        (
            item("{\"qty\":true,\"value_unit\":1}"),
            "order_items[1].qty",
            "type",
            "order_items[1].qty must be an integer, got true",
        ),
        (
            item("{\"qty\":-1,\"value_unit\":1}"),
            "order_items[1].qty",
            "minimum",
            "order_items[1].qty must be at least 0, got -1",
        ),
        (
            item("{\"qty\":1,\"value_unit\":-0.01}"),
            "order_items[1].value_unit",
            "minimum",
            "order_items[1].value_unit must be at least 0, got -0.01",
        ),
        (
            item("{\"qty\":1,\"value_unit\":1e400}"),
            "order_items[1].value_unit",
            "range",
            "order_items[1].value_unit must have at most 20 digits before the point, got 1e400",
        ),
        (
            item("{\"qty\":1,\"value_unit\":0.0000000000000000001}"),
            "order_items[1].value_unit",
            "scale",
            "order_items[1].value_unit must have at most 18 decimals, got 0.0000000000000000001",
        ),
        (
            item("{\"qty\":1,\"value_unit\":1,\"qty\":1}"),
            "order_items[1].qty",
            "duplicate_key",
            "order_items[1].qty is given more than once",
        ),
    ] {
        let body: String = body;
        assert_eq!(
            refusal(&sales(), body.as_bytes()),
            (path.into(), rule.into(), reason.into()),
            "{body}"
        );
    }
}

#[test]
fn a_broken_document_is_refused_whole() {
    let large = vec![b'['; 10 << 20];
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    let beyond = format!("the record is {} bytes long, at most {} are allowed", 10 << 20, 1 << 20);
    for (body, rule, reason) in [
        (&b""[..], "empty", "the record is empty"),
        (b"not JSON", "json", "the record is not JSON: expected a value at byte 0"),
        (
            b"{\"order_number\":1,\"order_items\":[]}x",
            "json",
            "the record is not JSON: expected the end of the record at byte 35",
        ),
        (
            b"{\"order_number\":1,\"order_items\":[",
            "json",
            "the record is not JSON: expected a value at byte 33",
        ),
        (
            b"{\"order_number\":tru,\"order_items\":[]}",
            "json",
            "the record is not JSON: expected a value at byte 16",
        ),
        (
            b"{\"order_number\":NaN,\"order_items\":[]}",
            "json",
            "the record is not JSON: expected a value at byte 16",
        ),
        (
            b"{\"other\":01,\"order_number\":1,\"order_items\":[]}",
            "json",
            "the record is not JSON: expected ',' or '}' at byte 10",
        ),
        (
            b"{\"other\":\"\\ud800\",\"order_number\":1,\"order_items\":[]}",
            "surrogate",
            "the record is not Unicode: a lone surrogate at byte 10",
        ),
        (
            b"{\"order_number\":1,\"order_items\":[],\"a\":\"\xff\"}",
            "utf8",
            "the record is not UTF-8: bad byte at 40",
        ),
        (
            b"\xef\xbb\xbf{\"order_number\":1,\"order_items\":[]}",
            "json",
            "the record is not JSON: it begins with a byte order mark",
        ),
        (b"[1, 2]", "type", "the record must be an object, got [1, 2]"),
        (b"\"{}\"", "type", "the record must be an object, got \"{}\""),
        (b"null", "type", "the record must be an object, got null"),
        (deep.as_bytes(), "depth", "the record is nested deeper than 64 levels"),
        (&large, "size", &beyond),
    ] {
        assert_eq!(
            refusal(&sales(), body),
            (String::new(), rule.into(), reason.into()),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    let rejects = sales().decode(&batch_of(&[None])).rejects;
    assert_eq!(
        (rejects[0].rule.as_str(), rejects[0].reason.as_str()),
        ("tombstone", "the record has no payload, it is a tombstone")
    );
}

#[test]
fn what_is_not_declared_is_not_looked_at() {
    for body in [
        r#"{"order_number":1,"order_items":[],"a":1,"a":2,"b":{"order_number":[1e400,"\u0000"]}}"#,
        " \n{ \"order_items\" : [ ] , \"order_number\" : 10e-1 }\r\n\t",
        r#"{"order\u005fnumber":1,"order_items":[]}"#,
    ] {
        let decoded = decode(&sales(), body.as_bytes());
        assert_eq!(decoded.rejects, [], "{body}");
        assert_eq!(decoded.rows.column(0).as_primitive::<Int64Type>().values(), &[1]);
        assert_eq!(sales().problems(body.as_bytes()), []);
    }
}

#[test]
fn values_of_each_type_are_taken_or_refused() {
    use ColumnType as T;
    for (column_type, value, refused) in [
        (T::Boolean, "true", None),
        (T::Boolean, "1", Some(("type", "v must be true or false, got 1"))),
        (T::SmallInt, "-32768", None),
        (T::SmallInt, "32768", Some(("range", "v must be between -32768 and 32767, got 32768"))),
        (T::Integer, "2e1", None),
        (T::Integer, "0", None),
        (T::Integer, "-0", None),
        (T::Integer, "07", Some(("json", "the record is not JSON: expected ',' or '}' at byte 6"))),
        (
            T::Integer,
            "-07",
            Some(("json", "the record is not JSON: expected ',' or '}' at byte 7")),
        ),
        (T::Integer, "-", Some(("json", "the record is not JSON: expected a digit at byte 6"))),
        (T::BigInt, "-9223372036854775808", None),
        (T::BigInt, "0.0000000000000000001e19", None),
        (T::Integer, "2.0", None),
        (T::Integer, "2.5", Some(("type", "v must be an integer, got 2.5"))),
        (
            T::Integer,
            "1e400",
            Some(("range", "v must be between -2147483648 and 2147483647, got 1e400")),
        ),
        (T::Integer, "1e-400", Some(("type", "v must be an integer, got 1e-400"))),
        (T::Numeric(Some((5, 2))), "999.99", None),
        (
            T::Numeric(Some((5, 2))),
            "1000",
            Some(("range", "v must have at most 3 digits before the point, got 1000")),
        ),
        (
            T::Numeric(Some((5, 2))),
            "1.005",
            Some(("scale", "v must have at most 2 decimals, got 1.005")),
        ),
        (T::Numeric(None), "\"1\"", Some(("type", "v must be a number, got \"1\""))),
        (T::Numeric(None), "99999999999999999999", None),
        (
            T::Numeric(None),
            "100000000000000000000",
            Some((
                "range",
                "v must have at most 20 digits before the point, got 100000000000000000000",
            )),
        ),
        (T::Real, "1e39", Some(("range", "v must be within the range of REAL, got 1e39"))),
        (T::DoublePrecision, "1e39", None),
        (
            T::DoublePrecision,
            "1e400",
            Some(("range", "v must be within the range of DOUBLE PRECISION, got 1e400")),
        ),
        (T::Text, "1", Some(("type", "v must be a text, got 1"))),
        (T::Text, r#""a\u0000""#, Some(("nul", "v must not hold a NUL character"))),
        (
            T::Text,
            r#""\udead""#,
            Some(("surrogate", "the record is not Unicode: a lone surrogate at byte 6")),
        ),
        (T::Varchar(3), r#""\u00e3\u00e3\u00e3""#, None),
        (
            T::Varchar(3),
            r#""abcd""#,
            Some(("max_length", "v must have at most 3 characters, got 4")),
        ),
        (T::Date, r#""2024-02-29""#, None),
        (
            T::Date,
            r#""2023-02-29""#,
            Some(("range", "v must be a time that exists, got \"2023-02-29\"")),
        ),
        (T::Date, "20240229", Some(("type", "v must be a date such as 2024-05-20, got 20240229"))),
        (
            T::Timestamp,
            r#""2024-05-20T24:61:00Z""#,
            Some(("range", "v must be a time that exists, got \"2024-05-20T24:61:00Z\"")),
        ),
        (T::Timestamptz, r#""2025-10-12T08:15Z""#, None),
        (
            T::Timestamptz,
            r#""soon""#,
            Some(("type", "v must be a time such as 2024-05-20T10:00:00Z, got \"soon\"")),
        ),
        (T::Uuid, r#""{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}""#, None),
        (
            T::Uuid,
            r#""a0eebc99-9c0b-4ef8-bb6d""#,
            Some(("type", "v must be a UUID, got \"a0eebc99-9c0b-4ef8-bb6d\"")),
        ),
        (T::Time, r#""08:30""#, None),
        (
            T::Time,
            r#""08:30-03""#,
            Some(("type", "v must be a time of day such as 08:30:00, got \"08:30-03\"")),
        ),
        (T::Time, "830", Some(("type", "v must be a time of day such as 08:30:00, got 830"))),
        (T::Jsonb, "[1, {\"a\": \"\\\\u0000\"}]", None),
        (T::Jsonb, r#"{"a\u0000":1}"#, Some(("nul", "v must not hold a NUL character"))),
        (
            T::Jsonb,
            "[1e131072]",
            Some(("range", "v must not hold a number beyond the range of NUMERIC")),
        ),
        (T::Bytea, r#""Zm9v""#, None),
        (T::Bytea, r#""Zm9""#, Some(("type", "v must be base64 text, got \"Zm9\""))),
    ] {
        let body = format!("{{\"v\":{value}}}");
        let decoder = one_field(scalar("v", column_type));
        match refused {
            None => {
                assert_eq!(decode(&decoder, body.as_bytes()).rejects, [], "{column_type} {value}")
            }
            Some((rule, reason)) => {
                let (_, found_rule, found) = refusal(&decoder, body.as_bytes());
                assert_eq!(
                    (found_rule.as_str(), found.as_str()),
                    (rule, reason),
                    "{column_type} {value}"
                );
            }
        }
    }
}

#[test]
fn values_stand_in_their_columns() {
    use ColumnType as T;
    let fields = vec![
        scalar("number?", T::Numeric(None)),
        scalar("price?", T::Numeric(Some((10, 2)))),
        scalar("real?", T::Real),
        scalar("day?", T::Date),
        scalar("time?", T::Timestamptz),
        scalar("id?", T::Uuid),
        scalar("document?", T::Jsonb),
        scalar("bytes?", T::Bytea),
        scalar("yes?", T::Boolean),
    ];
    let body = br#"{"number":500.10,"price":1e2,"real":0.1,"day":"1970-01-02","time":"1970-01-01T01:00:00.000001+01:00",
        "id":"A0EEBC999C0B4EF8BB6D6BB9BD380A11","document": {"b": [1.50, "\u00e3"]} ,"bytes":"AP8=","yes":true}"#;
    let rows = decoder(fields, TextCleaning::default())
        .decode(&batch_of(&[Some(body), Some(b"{}"), Some(br#"{"number":null}"#)]))
        .rows;
    assert_eq!(
        rows.column(0).as_primitive::<Decimal128Type>().value(0),
        500_100_000_000_000_000_000
    );
    assert_eq!(rows.column(1).as_primitive::<Decimal128Type>().value(0), 10_000);
    assert_eq!(rows.column(2).as_primitive::<Float32Type>().value(0), 0.1);
    assert_eq!(rows.column(3).as_primitive::<Date32Type>().value(0), 1);
    assert_eq!(rows.column(4).as_primitive::<TimestampMicrosecondType>().value(0), 1);
    assert_eq!(rows.column(5).as_string::<i32>().value(0), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    assert_eq!(rows.column(6).as_string::<i64>().value(0), r#"{"b": [1.50, "\u00e3"]}"#);
    assert_eq!(rows.column(7).as_binary::<i32>().value(0), b"\x00\xff");
    assert!(rows.column(8).as_boolean().value(0));
    for column in rows.columns() {
        assert_eq!(
            (column.len(), column.is_null(0), column.is_null(1), column.is_null(2)),
            (3, false, true, true)
        );
    }
}

#[test]
fn texts_are_cleaned_before_they_are_checked() {
    let mut name = scalar("name", ColumnType::Text);
    name.rules.max_length = Some(4);
    name.rules.min_length = Some(1);
    let cleaning = TextCleaning { trim: true, remove_nul: true, max_length: Some(5) };
    let decoder = decoder(vec![name], cleaning);
    for (body, text) in [
        (&br#"{"name":"  ab\u0000c "}"#[..], Some("abc")),
        (br#"{"name":"abcdefgh"}"#, None),
        (br#"{"name":" \u0000 "}"#, None),
    ] {
        let rows = decode(&decoder, body).rows;
        assert_eq!(
            (rows.num_rows() == 1)
                .then(|| rows.column(0).as_string::<i32>().value(0).to_owned())
                .as_deref(),
            text
        );
    }
}

#[test]
fn a_bad_record_leaves_no_trace_wherever_it_stands() {
    let good = |number: i64| {
        let items = (0..number % 4)
            .map(|qty| format!(r#"{{"qty":{qty},"value_unit":{qty}.5,"item":"item é {qty}"}}"#))
            .collect::<Vec<_>>();
        format!(r#"{{"order_number":{number},"order_items":[{}]}}"#, items.join(","))
    };
    let bad = [
        r#"{"order_number":77,"order_items":[{"qty":7,"value_unit":7,"item":"gone"},{"qty":7,"value_unit":7,"item":"gone","item_id":7},{"qty":7}]}"#,
        r#"{"order_items":[{"qty":7,"value_unit":7}]}"#,
        r#"{"order_items":[{"item":"gone","qty":7,"value_unit":7},{"item":"cut"#,
    ];
    let records: Vec<String> = (0..9).map(good).collect();
    let expected = sales()
        .decode(&batch_of(
            &records.iter().map(|record| Some(record.as_bytes())).collect::<Vec<_>>(),
        ))
        .rows;
    for bad in bad {
        for place in 0..=records.len() {
            let mut mixed: Vec<Option<&[u8]>> =
                records.iter().map(|record| Some(record.as_bytes())).collect();
            mixed.insert(place, Some(bad.as_bytes()));
            mixed.insert(place, None);
            let decoded = sales().decode(&batch_of(&mixed));
            assert_eq!(decoded.rows, expected, "{bad} at {place}");
            assert_eq!(
                decoded.rejects.iter().map(|reject| reject.record.place()).collect::<Vec<_>>(),
                [place, place + 1]
            );
            let kept: Vec<usize> =
                (0..mixed.len()).filter(|index| ![place, place + 1].contains(index)).collect();
            assert_eq!(
                decoded.record.iter().map(|record| record.place()).collect::<Vec<_>>(),
                kept
            );
        }
    }
}

#[test]
fn objects_and_lists_may_be_null_and_nested() {
    let address = Kind::Object(vec![
        scalar("city", ColumnType::Text),
        list("lines?", Kind::Scalar(ColumnType::Text)),
    ]);
    let grid = Kind::List(Box::new(list("item", Kind::Scalar(ColumnType::Integer))));
    let decoder =
        decoder(vec![field("address?", address), field("grid?", grid)], TextCleaning::default());
    let decoded = decoder.decode(&batch_of(&[
        Some(br#"{"address":{"city":"Natal","lines":["a","b"]},"grid":[[1,2],[]]}"#),
        Some(b"{}"),
        Some(br#"{"grid":null,"address":{"city":"Acre","lines":null}}"#),
        Some(br#"{"grid":[[1,null]]}"#),
    ]));
    let rejects: Vec<_> = decoded
        .rejects
        .iter()
        .map(|reject| (reject.record.number(), reject.reason.as_str()))
        .collect();
    assert_eq!(rejects, [(3, "grid[0][1] must not be null")]);
    let address = decoded.rows.column(0).as_struct();
    assert_eq!((address.is_null(0), address.is_null(1), address.is_null(2)), (false, true, false));
    assert_eq!(
        address.column(0).as_string::<i32>().iter().collect::<Vec<_>>(),
        [Some("Natal"), Some(""), Some("Acre")]
    );
    let lines = address.column(1).as_list::<i32>();
    assert_eq!((lines.value(0).len(), lines.is_null(1), lines.is_null(2)), (2, true, true));
    let grid = decoded.rows.column(1).as_list::<i32>();
    let first = grid.value(0);
    assert_eq!(first.as_list::<i32>().value(0).as_primitive::<Int32Type>().values(), &[1, 2]);
    assert_eq!((first.len(), grid.is_null(1), grid.is_null(2)), (2, true, true));
}

#[test]
fn all_problems_of_a_body_are_found_in_order() {
    let body =
        br#"{"order_items":[{"qty":true,"value_unit":-1},7,{"qty":1,"qty":2,"value_unit":"x","item_id":1.5}],"order_items":[],"other":[]}"#;
    let problems: Vec<String> =
        sales().problems(body).into_iter().map(|reject| reject.reason).collect();
    assert_eq!(
        problems,
        [
            "order_items[0].qty must be an integer, got true",
            "order_items[0].value_unit must be at least 0, got -1",
            "order_items[1] must be an object, got 7",
            "order_items[2].qty is given more than once",
            "order_items[2].value_unit must be a number, got \"x\"",
            "order_items[2].item_id must be an integer, got 1.5",
            "order_items is given more than once",
            "order_number is missing",
        ]
    );
    let cut = br#"{"order_number":true,"order_items":[1"#;
    let problems: Vec<String> =
        sales().problems(cut).into_iter().map(|reject| reject.rule).collect();
    assert_eq!(problems, ["type", "type", "json"]);
}

#[test]
fn lists_have_lengths_and_texts_have_enums() {
    let mut items = list("items", Kind::Scalar(ColumnType::Integer));
    (items.rules.min_length, items.rules.max_length) = (Some(1), Some(2));
    let mut kind = scalar("kind", ColumnType::Text);
    kind.rules.allowed = vec!["view".to_owned(), "buy".to_owned()];
    let decoder = decoder(vec![items, kind], TextCleaning::default());
    for (body, reasons) in [
        (r#"{"items":[1],"kind":"buy"}"#, vec![]),
        (r#"{"items":[],"kind":"b\u0075y"}"#, vec!["items must have at least 1 elements, got 0"]),
        (
            r#"{"items":[1,2,true],"kind":"x"}"#,
            vec![
                "items[2] must be an integer, got true",
                "items must have at most 2 elements, got 3",
                "kind must be one of view, buy, got \"x\"",
            ],
        ),
    ] {
        assert_eq!(
            decoder
                .problems(body.as_bytes())
                .into_iter()
                .map(|reject| reject.reason)
                .collect::<Vec<_>>(),
            reasons,
            "{body}"
        );
    }
}

#[test]
fn a_record_without_fields_still_counts_its_rows() {
    let decoded = decoder(Vec::new(), TextCleaning::default()).decode(&batch_of(&[
        Some(b"{\"a\":1}"),
        Some(b"[]"),
        Some(b"{}"),
    ]));
    let rows: RecordBatch = decoded.rows;
    assert_eq!(
        (rows.num_rows(), numbers(&decoded.record), decoded.rejects.len()),
        (2, vec![0, 2], 1)
    );
}

#[test]
fn a_text_is_taken_for_the_number_that_it_holds_where_the_file_says_so() {
    let coerced = |name: &str, column_type| {
        let mut field = scalar(name, column_type);
        field.rules.coerce = true;
        field
    };
    let decoder = decoder(
        vec![
            coerced("id", ColumnType::Integer),
            coerced("price?", ColumnType::Numeric(Some((6, 2)))),
            coerced("good?", ColumnType::Boolean),
            coerced("ratio?", ColumnType::DoublePrecision),
        ],
        TextCleaning::default(),
    );
    for (body, id) in [
        (r#"{"id": 1333}"#, 1333),
        (r#"{"id": "1333"}"#, 1333),
        (r#"{"id": " 001333 ", "price": "+01.50", "good": "Yes", "ratio": "1e3"}"#, 1333),
        (r#"{"id": "1333.0", "price": ".5", "good": "0", "ratio": "-0.25"}"#, 1333),
        (r#"{"id": "-\u0037", "price": "00", "good": true}"#, -7),
        (r#"{"id": "0", "price": "-000"}"#, 0),
    ] {
        let decoded = decode(&decoder, body.as_bytes());
        assert_eq!(decoded.rejects, [], "{body}");
        assert_eq!(decoded.rows.column(0).as_primitive::<Int32Type>().value(0), id, "{body}");
    }
    for (body, reason) in [
        (r#"{"id": ""}"#, "id must be an integer, got \"\""),
        (r#"{"id": "12x"}"#, "id must be an integer, got \"12x\""),
        (r#"{"id": "nan"}"#, "id must be an integer, got \"nan\""),
        (r#"{"id": "2.5"}"#, "id must be an integer, got 2.5"),
        (
            r#"{"id": "3000000000"}"#,
            "id must be between -2147483648 and 2147483647, got 3000000000",
        ),
        (r#"{"id": "true"}"#, "id must be an integer, got true"),
        (r#"{"id": true}"#, "id must be an integer, got true"),
        (r#"{"id": null}"#, "id must not be null"),
        (r#"{"id": 1, "price": "1.555"}"#, "price must have at most 2 decimals, got 1.555"),
        (r#"{"id": 1, "good": "maybe"}"#, "good must be true or false, got \"maybe\""),
    ] {
        assert_eq!(refusal(&decoder, body.as_bytes()).2, reason, "{body}");
    }
}

#[test]
fn the_lines_of_a_file_are_records() {
    let mut fields = vec![scalar("id", ColumnType::Integer), scalar("from", ColumnType::Text)];
    fields.iter_mut().for_each(|field| field.rules.coerce = true);
    let columns = [Some("from".to_owned()), Some("id".to_owned())];
    let decoder = decoder(fields, TextCleaning { trim: true, ..TextCleaning::default() });
    let decoder = decoder.of_lines(CsvLayout::new(b';', vec![String::new()], &columns));
    let decoded = decoder.decode(&batch_of(&[
        Some("\" São Paulo; SP\";7".as_bytes()),
        Some(b";8"),
        Some(b"Natal;x"),
        Some(b"Natal"),
        Some(b"\"Natal;9"),
        Some(b"nan; 10 "),
    ]));
    let texts: Vec<_> = decoded.rows.column(1).as_string::<i32>().iter().flatten().collect();
    assert_eq!((texts, numbers(&decoded.record)), (vec!["São Paulo; SP", "nan"], vec![0, 5]));
    let reasons: Vec<_> = decoded
        .rejects
        .iter()
        .map(|reject| (reject.record.number(), reject.rule.as_str(), reject.reason.as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            (1, "null", "from must not be null"),
            (2, "type", "id must be an integer, got \"x\""),
            (3, "csv", "the line has 1 value, the heading has 2"),
            (4, "csv", "a quote is opened on the line and never closed"),
        ]
    );
}

fn numbers(records: &[RecordIndex]) -> Vec<u32> {
    records.iter().map(|record| record.number()).collect()
}
