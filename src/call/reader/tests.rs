use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// What is read of a text that comes in pieces of this size.
fn read_in(text: &[u8], size: usize) -> Result<Vec<Message>, Malformed> {
    let mut reader = Reader::new();
    let mut messages = Vec::new();
    for piece in text.chunks(size.max(1)) {
        reader.feed(piece, &mut |message| messages.push(message))?;
    }
    reader.end().map(|()| messages)
}

fn read(text: &str) -> Result<Vec<Message>, Malformed> {
    let whole = read_in(text.as_bytes(), text.len());
    for size in [1, 2, 3, 7] {
        assert_eq!(read_in(text.as_bytes(), size), whole, "{text} by {size}");
    }
    whole
}

fn one(text: &str) -> Message {
    let messages = read(text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(messages.len(), 1, "{text}");
    messages.into_iter().next().unwrap()
}

fn text(text: &str) -> Member {
    Member::Text(text.into())
}

#[test]
fn what_counts_is_read_wherever_it_stands() {
    let call = one(
        r#" {"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"name":"inner","uri":"x",
            "method":"y","deep":[{"name":"z"}]},"_meta":{"io.modelcontextprotocol/protocolVersion":
            "2026-07-28","name":"no"},"name":"echo"}} "#,
    );
    assert_eq!(call.method.as_deref(), Some("tools/call"));
    assert_eq!(call.name, text("echo"));
    assert_eq!(call.uri, Member::Absent);
    assert_eq!(call.version, text("2026-07-28"));
    assert_eq!(call.id, Id::Number("7".into()));
    let turned = one(r#"{"params":{"uri":"file:///a"},"method":"resources/read","id":"a\"b"}"#);
    assert_eq!(turned.method.as_deref(), Some("resources/read"));
    assert_eq!(turned.uri, text("file:///a"));
    assert_eq!(turned.id, Id::Text("a\"b".into()));
    let other = one(
        r#"{"name":"x","_meta":{"name":"y"},"method":"a","params":{"name":[1],"uri":{"uri":"z"}},"id":null}"#,
    );
    assert_eq!((other.name, other.uri), (Member::Other, Member::Other));
    assert_eq!(other.id, Id::Other);
    let bare = one(r#"{"method":"a","params":null,"id":-1.5e+3}"#);
    assert_eq!(bare.id, Id::Number("-1.5e+3".into()));
    assert!(one(r#"{"id":1,"result":{"method":"a"}}"#).is_response);
    assert!(one(r#"{"id":1,"error":{"code":1}}"#).is_response);
    assert_eq!(one("{}"), Message::default());
}

#[test]
fn escapes_are_read_as_what_they_stand_for() {
    let call = one(
        r#"{"m\u0065thod":"tools\/c\u0061ll","p\u0061rams":{"n\u0061m\u0065":"\ud83d\ude00\u00e9\n\t\b\f\r\\\""}}"#,
    );
    assert_eq!(call.method.as_deref(), Some("tools/call"));
    assert_eq!(call.name, text("\u{1f600}\u{e9}\n\t\u{8}\u{c}\r\\\""));
}

#[test]
fn batches_are_read_one_by_one() {
    let messages =
        read(r#"[{"method":"a"}, {"id":1,"params":{"name":"x"},"method":"b"}]"#).unwrap();
    let methods: Vec<_> = messages.iter().map(|one| one.method.as_deref()).collect();
    assert_eq!(methods, [Some("a"), Some("b")]);
    assert!(messages.iter().all(|one| one.in_batch));
    // What the first has is nothing of the second's.
    let messages = read(r#"[{"method":"a","id":1,"params":{"name":"x"}},{"id":2}]"#).unwrap();
    assert_eq!(messages.get(1).unwrap().method, None);
    assert_eq!(messages.get(1).unwrap().name, Member::Absent);
    assert!(!one(r#"{"method":"a"}"#).in_batch);
}

/// MCP-TOOLSCOPE-a: what two readers could take for two calls is none.
#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for bad in [
        r#"{"method":"a","method":"b"}"#,
        r#"{"method":"a","m\u0065thod":"b"}"#,
        r#"{"method":"a","Method":"b"}"#,
        r#"{"METHOD":"a"}"#,
        r#"{"method":"a","param\u017f":{}}"#,
        "{\"method\":\"a\",\"param\u{17f}\":{}}",
        r#"{"method":"a","params":{"name":"x","name":"x"}}"#,
        r#"{"method":"a","params":{"name":"x","Name":"y"}}"#,
        r#"{"method":"a","params":{"uri":"x","\u0075ri":"y"}}"#,
        r#"{"method":"a","params":{},"params":{}}"#,
        r#"{"method":"a","params":{"_meta":{},"_meta":{}}}"#,
        r#"{"method":"a","params":{"_meta":{"x":1,"x":2}}}"#,
        r#"{"method":"a","x":1,"x":2}"#,
        r#"{"id":1,"id":2,"method":"a"}"#,
        r#"{"method":["a"]}"#,
        r#"{"method":null}"#,
        r#"{"method":{"method":"a"}}"#,
        r#"{"method":"a","params":[]}"#,
        r#"{"method":"a","params":"x"}"#,
        r#"{"method":"\ud800"}"#,
        r#"{"method":"\udc00"}"#,
        r#"{"method":"\ud83dx"}"#,
        r#"{"method":"\ud83d\u0041"}"#,
        r#"{"method":"\ud83d\n"}"#,
        r#"{"meth\ud83dod":1}"#,
        "[]",
        "[[]]",
        "[1]",
        r#"[{"method":"a"},[]]"#,
        "1",
        "\"a\"",
        "null",
        "",
        " ",
    ] {
        assert_eq!(read(bad), Err(Malformed), "{bad}");
    }
    // What is inside of arguments is the server's business.
    for good in [
        r#"{"method":"a","params":{"arguments":{"x":1,"x":2,"X":3,"\ud800":"\ud800"}}}"#,
        r#"{"method":"a","params":{"Method":1,"_META2":2}}"#,
        r#"{"method":"a","params":{"_meta":{"name":1,"Name":2}}}"#,
    ] {
        assert!(read(good).is_ok(), "{good}");
    }
}

#[test]
fn every_character_is_one() {
    for character in [
        '\u{7f}',
        '\u{80}',
        '\u{7ff}',
        '\u{800}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        '\u{10000}',
        '\u{3ffff}',
        '\u{40000}',
        '\u{fffff}',
        '\u{100000}',
        '\u{10ffff}',
    ] {
        let call = one(&format!(
            r#"{{"{character}":"{character}","method":"{character}"}}"#
        ));
        assert_eq!(call.method, Some(character.to_string().into()));
    }
}

#[test]
fn other_encodings_are_refused() {
    let message = r#"{"method":"a"}"#;
    let utf16: Vec<u8> = message.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf32: Vec<u8> = message.bytes().flat_map(|byte| [0, 0, 0, byte]).collect();
    let bom = ["\u{feff}", message].concat();
    for bad in [
        &utf16[..],
        &utf32,
        bom.as_bytes(),
        b"\x1f\x8b\x08",
        b"{\"method\":\"\xff\"}",
        b"{\"method\":\"\xc0\xaf\"}",
        b"{\"method\":\"\xed\xa0\x80\"}",
        b"{\"method\":\"\xf4\x90\x80\x80\"}",
        b"{\"x\":\"\xe2\x82\"}",
        // Where it does not count as well.
        b"{\"x\":\"\xed\xa0\x80\"}",
        b"{\"x\":\"\xe0\x9f\xbf\"}",
        b"{\"x\":\"\xf0\x8f\xbf\xbf\"}",
        b"{\"x\":\"\xf4\x90\x80\x80\"}",
        b"{\"x\":\"\xf5\x80\x80\x80\"}",
        b"{\"x\":\"a\nb\"}",
        b"{\"x\":\"\x00\"}",
    ] {
        assert!(
            read_in(bad, 64).is_err() && read_in(bad, 1).is_err(),
            "{bad:?}"
        );
    }
}

#[test]
fn what_is_held_is_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"method":"a","params":{{"x":{open}{close}}}}}"#)
    };
    assert!(read_in(nested(DEEPEST - 2).as_bytes(), 64).is_ok());
    assert!(read_in(nested(DEEPEST - 1).as_bytes(), 64).is_err());
    assert!(read_in(&vec![b'['; 1_000_000], 64).is_err());
    let many = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!("\"x{n}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(read_in(many(MOST_MEMBERS).as_bytes(), 64).is_ok());
    assert!(read_in(many(MOST_MEMBERS + 1).as_bytes(), 64).is_err());
    let long = |length: usize| format!(r#"{{"method":"{}"}}"#, "a".repeat(length));
    assert!(read_in(long(LONGEST_TEXT).as_bytes(), 64).is_ok());
    assert!(read_in(long(LONGEST_TEXT + 1).as_bytes(), 64).is_err());
    let arguments = format!(
        r#"{{"method":"a","params":{{"x":"{}"}}}}"#,
        "é".repeat(100_000)
    );
    assert!(read_in(arguments.as_bytes(), 4_096).is_ok());
}

/// What `serde_json` finds in a text, in the words of this reader.
fn expected(bytes: &[u8]) -> Option<Vec<Message>> {
    let text = core::str::from_utf8(bytes).ok()?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let value: Value = serde_json::from_str(text).ok()?;
    let (list, in_batch) = match value {
        Value::Array(list) if !list.is_empty() => (list, true),
        Value::Object(_) => (vec![value], false),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            return None;
        }
    };
    let member = |value: Option<&Value>| match value {
        None => Member::Absent,
        Some(Value::String(text)) => Member::Text(text.as_str().into()),
        Some(_) => Member::Other,
    };
    list.iter()
        .map(|one| {
            let object = one.as_object()?;
            let params = match object.get("params") {
                None | Some(Value::Null) => None,
                Some(params) => Some(params.as_object()?),
            };
            let of = |name: &str| params.and_then(|params| params.get(name));
            let meta = of("_meta").and_then(Value::as_object);
            Some(Message {
                id: match object.get("id") {
                    None => Id::Absent,
                    Some(Value::String(text)) => Id::Text(text.as_str().into()),
                    Some(Value::Number(number)) => Id::Number(number.to_string().into()),
                    Some(_) => Id::Other,
                },
                method: match object.get("method") {
                    None => None,
                    Some(method) => Some(method.as_str()?.into()),
                },
                name: member(of("name")),
                uri: member(of("uri")),
                version: member(
                    meta.and_then(|meta| meta.get("io.modelcontextprotocol/protocolVersion")),
                ),
                is_response: object.contains_key("result") || object.contains_key("error"),
                in_batch,
            })
        })
        .collect()
}

/// JSON of all kinds, with the members that count now and then.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from("tools/call")),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let name = prop_oneof![
            3 => proptest::sample::select(vec![
                "method", "params", "id", "name", "uri", "_meta", "result", "error", "jsonrpc",
                "io.modelcontextprotocol/protocolVersion",
            ])
            .prop_map(str::to_owned),
            1 => "[a-z\\PC]{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Whether no member is one that counts but for its case, which only this
/// reader minds.
fn is_plain(text: &str) -> bool {
    let names = [
        "METHOD", "PARAMS", "ID", "NAME", "URI", "_META", "RESULT", "ERROR", "JSONRPC",
    ];
    let folded = text.to_uppercase();
    names.iter().all(|name| {
        let lower = text.matches(&name.to_lowercase()).count();
        folded.matches(name).count() == lower
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A text without doubles says the same to this reader and to another.
    #[test]
    fn what_another_reader_reads_is_read(value in json(), size in 1_usize..40, pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        prop_assume!(is_plain(&text));
        prop_assert_eq!(read_in(text.as_bytes(), size).ok(), expected(text.as_bytes()));
    }

    /// What is no JSON to another reader is none here.
    #[test]
    fn what_is_no_json_is_refused(value in json(), place in any::<prop::sample::Index>(), byte in any::<u8>(), size in 1_usize..9) {
        let mut bytes = value.to_string().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        // JSON has no largest number; serde_json has.
        let other = serde_json::from_slice::<Value>(&bytes);
        prop_assume!(!other.is_err_and(|error| error.to_string().starts_with("number out of range")));
        if let Ok(mut messages) = read_in(&bytes, size) {
            // This reader keeps a number as it is written, the other its value.
            for message in &mut messages {
                if let Id::Number(number) = &mut message.id {
                    let value: Value = serde_json::from_str(number).unwrap();
                    *number = value.to_string().into();
                }
            }
            prop_assert_eq!(Some(messages), expected(&bytes));
        }
    }

    #[test]
    fn any_bytes_are_read_alike_in_any_pieces(bytes in prop::collection::vec(any::<u8>(), 0..80), size in 1_usize..9) {
        prop_assert_eq!(read_in(&bytes, size), read_in(&bytes, 80));
        if read_in(&bytes, 80).is_ok() {
            prop_assert!(expected(&bytes).is_some());
        }
    }

    /// However the members that count are written, they are found.
    #[test]
    fn an_escaped_name_is_the_same(escape in prop::collection::vec(any::<bool>(), 6)) {
        let name: String = "method"
            .bytes()
            .zip(escape)
            .map(|(byte, escape)| if escape { format!("\\u{byte:04X}") } else { char::from(byte).to_string() })
            .collect();
        let found = one(&format!(r#"{{"{name}":"a"}}"#)).method;
        prop_assert_eq!(found.as_deref(), Some("a"));
        let twice = format!(r#"{{"method":"a","{name}":"b"}}"#);
        prop_assert_eq!(read(&twice), Err(Malformed));
    }
}
