//! Pickles of each protocol, and damaged and hostile ones.

use super::*;

/// Reads a pickle in which only `known.f` is known.
fn read(bytes: &[u8]) -> Result<(Pickle<'_>, &[u8]), PickleError> {
    Pickle::read(bytes, |name| name == ("known", "f"))
}

fn error(bytes: &[u8]) -> String {
    read(bytes).expect_err("it is refused").to_string()
}

/// Returns a value as Python's `repr` writes it.
fn shown(item: Item<'_, '_>) -> String {
    let joined = |item: Item<'_, '_>| {
        let elements = item.elements().expect("elements").map(shown);
        elements.collect::<Vec<_>>().join(", ")
    };
    match item.value() {
        Value::List(_) => format!("[{}]", joined(item)),
        Value::Tuple(_) => format!("({})", joined(item)),
        Value::Dict(_) => {
            let entries = item.entries().expect("entries");
            let entries = entries.map(|[key, value]| format!("{}: {}", shown(key), shown(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Call { function, .. } => {
            let (_, arguments) = item.call().expect("a call");
            let state = item.state().map_or(String::new(), |state| format!(".{}", shown(state)));
            format!("{}.{}{}{state}", function.0, function.1, shown(arguments))
        }
        Value::Persistent(_) => format!("@{}", shown(item.persistent().expect("a reference"))),
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => format!("{float:?}"),
        other => format!("{other:?}"),
    }
}

/// Each pickle is the one that Python writes for the value, by the protocol in the comment.
#[test]
fn pickles_of_every_protocol_are_read() {
    for (pickle, expected) in [
        // 0
        (&b"(dVa\n(lI1\naI01\naL70000000000L\naF1.5\nasS'b'\nNs."[..], "{\"a\": [1, Bool(true), 70000000000, 1.5], b\"b\": None}"),
        // 1
        (b"}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01M\x00\x01J\xfe\xff\xff\xffI00\neX\x01\0\0\0bq\x03h\x02u.", "{\"a\": [1, 256, -2, Bool(false)], \"b\": [1, 256, -2, Bool(false)]}"),
        // 2
        (b"\x80\x02(K\x01\x88\x89N\x8a\x02\x00\xff\x8a\0G?\xf8\0\0\0\0\0\0t.", "(1, Bool(true), Bool(false), None, -256, 0, 1.5)"),
        (b"\x80\x02K\x01K\x02K\x03\x87\x85K\x04\x86.", "(((1, 2, 3)), 4)"),
        (b"\x80\x02c__builtin__\nset\n]K\x05a\x85R.", "[5]"),
        (b"\x80\x02c_codecs\nencode\nX\x03\0\0\0a\xc3\xbfX\x06\0\0\0latin1\x86R.", "b\"a\u{fffd}\""),
        // 3
        (b"\x80\x03B\x01\0\0\0xC\x01y\x86.", "(b\"x\", b\"y\")"),
        // 4
        (b"\x80\x04\x95\x0b\0\0\0\0\0\0\0}\x94\x8c\x01a\x94\x8f(K\x01K\x02\x90s.", "{\"a\": [1, 2]}"),
        (b"\x80\x04(K\x01K\x02\x91.", "(1, 2)"),
        (b"\x80\x04\x8c\x05known\x94\x8c\x01f\x94\x93\x94K\x01\x85R\x94N\x85b.", "known.f(1).(None)"),
        // 5
        (b"\x80\x05\x96\x02\0\0\0\0\0\0\0ab.", "b\"ab\""),
        // Python 2 passes its pairs to an OrderedDict; `_metadata` is its state.
        (b"\x80\x02ccollections\nOrderedDict\n](](U\x01aK\x01ee\x85R.", "{b\"a\": 1}"),
        (b"\x80\x02ccollections\nOrderedDict\n](U\x01aK\x01\x86U\x01bK\x02\x86e\x85R}U\x09_metadataNsb.", "{b\"a\": 1, b\"b\": 2}"),
        (b"\x80\x02U\x07storageK\x07\x86Q.", "@(b\"storage\", 7)"),
        // Instructions that only move values on the stack.
        (b"(K\x01K\x021K\x032\x86.", "(3, 3)"),
        (b"K\x01K\x020.", "1"),
    ] {
        match read(pickle) {
            Ok((found, rest)) => {
                assert_eq!((shown(found.root()).as_str(), rest.len()), (expected, 0), "{pickle:?}");
            }
            Err(error) => panic!("{error}: {expected}"),
        }
    }
}

#[test]
fn the_last_value_of_a_key_counts() {
    let (pickle, rest) = read(b"}(U\x01aK\x01X\x01\0\0\0aK\x02u.more").expect("a dictionary");
    let root = pickle.root();
    assert_eq!(root.get("a").and_then(Item::size), Some(2));
    assert!(root.get("b").is_none() && root.get("a").is_some_and(|a| a.get("a").is_none()));
    assert_eq!(rest, b"more");
}

#[test]
fn objects_of_python_are_refused_by_name() {
    for (pickle, name) in [
        (&b"cos\nsystem\n(S'ls'\ntR."[..], "os.system"),
        (b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.", "posix.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.", "os.system"),
        (b"(S'ls'\nios\nsystem\n.", "os.system"),
        (b"\x80\x02cknown\ng\n.", "known.g"),
        (b"\x80\x02cbuiltins\neval\n.", "builtins.eval"),
        (b"(icollections\nOrderedDict\n.", "collections.OrderedDict"),
    ] {
        assert_eq!(read(pickle).err(), Some(PickleError::Object(name.to_string())));
    }
    let long = [b"c", &b"x".repeat(1000)[..], b"\nf\n."].concat();
    assert!(error(&long).len() < 300, "{}", error(&long));
    for (pickle, words) in [
        (&b"\x80\x02ccollections\nOrderedDict\n)\x81."[..], "instruction 0x81 makes no plain data"),
        (b"\x82\x01.", "instruction 0x82"),
        (b"K\x01)R.", "no function"),
        (b"cknown\nf\n]R.", "no tuple"),
        (b"\x80\x06N.", "protocol 6"),
        (b"K\x01Nb.", "a state for a value that has none"),
    ] {
        assert!(error(pickle).contains(words), "{}", error(pickle));
    }
}

#[test]
fn damaged_pickles_are_errors() {
    let whole =
        b"\x80\x04\x95\x0b\0\0\0\0\0\0\0}\x94\x8c\x01a\x94(K\x01J\x02\0\0\0tsX\x01\0\0\0bF2.5\ns.";
    assert!(read(whole).is_ok());
    for n in 0..whole.len() {
        assert_eq!(read(&whole[..n]).err(), Some(PickleError::Truncated(n)));
    }
    for (pickle, words) in [
        (&b"."[..], "byte 0 of the pickle: the stack is empty"),
        (b"(.", "the stack is empty"),
        (b"K\x01(q\0.", "the stack is empty"),
        (b"t.", "no mark"),
        (b"h\x05.", "memo 5 is empty"),
        (b"}K\x01a.", "no such container"),
        (b"](K\x01K\x02u.", "no such container"),
        (b"}(K\x01u.", "a key without a value"),
        (b"\x8a\x11aaaaaaaaaaaaaaaaa.", "an integer of more than 16 bytes"),
        (b"I1x\n.", "a number that cannot be read"),
        (b"X\x01\0\0\0\xff.", "not UTF-8"),
        (b"Va\\u0041\n.", "escapes"),
        (b"Sab\n.", "without quotes"),
        (b"K\x01K\x02\x93.", "not text"),
        (b"c_codecs\nencode\nX\x03\0\0\0\xe2\x82\xacX\x06\0\0\0latin1\x86R.", "beyond Latin-1"),
        (b"c_codecs\nencode\nX\x01\0\0\0aX\x05\0\0\0utf-8\x86R.", "is not latin1"),
        (b"c_codecs\nencode\nX\x01\0\0\0a\x85R.", "is not latin1"),
        (b"c_codecs\nencode\nK\x01X\x06\0\0\0latin1\x86R.", "value is not text"),
        (b"ccollections\nOrderedDict\n](](K\x01ee\x85R.", "no pair"),
        (b"c__builtin__\nset\nK\x01\x85R.", "no list"),
    ] {
        assert!(error(pickle).contains(words), "{words}: {}", error(pickle));
    }
    for opcode in [b'X', b'B', b'T', 0x8b] {
        assert!(error(&[opcode, 0xff, 0xff, 0xff, 0xff, b'.']).contains("truncated"));
    }
    for opcode in [0x8d, 0x8e, 0x96] {
        assert!(error(&[&[opcode][..], &[0xff; 8], b"."].concat()).contains("truncated"));
    }
}

#[test]
fn values_of_any_depth_need_no_recursion() {
    let n = 1_000_000;
    let lists = [b"]".repeat(n + 1), b"a".repeat(n)].concat();
    let tuples = [b")".to_vec(), b"\x85".repeat(n)].concat();
    for instructions in [lists, tuples] {
        let pickle = [&instructions[..], b"."].concat();
        let (pickle, _) = read(&pickle).expect("nested");
        let mut depth = 0;
        let mut item = pickle.root();
        while let Some([inner]) = item.first() {
            (item, depth) = (inner, depth + 1);
        }
        assert_eq!(depth, n);
    }
    // A list that contains itself.
    let (pickle, _) = read(b"]q\0h\0a.").expect("a circle");
    assert_eq!(pickle.root().first().map(|[inner]| inner.value()), Some(pickle.root().value()));
}

#[test]
fn the_memory_of_a_pickle_is_limited() {
    assert!(read(b"K\x01r\xff\xff\xff\xffj\xff\xff\xff\xff\x86.").is_ok(), "the memo is no array");
    assert_eq!(read(&b"N".repeat(MAX_VALUES + 1)).err(), Some(PickleError::TooLarge));
    // Each list has the one before twice: 2^1000 elements for a reader that copies.
    let doubled = [b"]q\0", &b"](h\0h\0eq\0".repeat(1000)[..], b"."].concat();
    assert_eq!(read(&doubled).expect("short").0.root().elements().expect("a list").len(), 2);
    // Many copies of one long list, and of one long text.
    let list = [b"](", &b"N".repeat(1 << 16)[..], b"e\x85q\0"].concat();
    let copies = b"c__builtin__\nset\nh\0R".repeat(1 << 7);
    assert_eq!(read(&[&list[..], &copies, b"."].concat()).err(), Some(PickleError::TooLarge));
    let text = [b"X\0\0\x01\0", &b"a".repeat(1 << 16)[..], b"X\x06\0\0\0latin1\x86q\0"].concat();
    let copies = b"c_codecs\nencode\nh\0R".repeat(8);
    assert_eq!(read(&[&text[..], &copies, b"."].concat()).err(), Some(PickleError::TooLarge));
}
