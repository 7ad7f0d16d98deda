//! Takes safetensors files apart and reassembles them. A file is the header's length in eight bytes, a JSON header, and
//! the tensors' bytes.

use serde_json::Value;

/// Returns the tensors of a valid file. A part is a line of JSON (name, type, shape), a zero byte, and the
/// tensor's bytes.
pub fn parts_of(file: &[u8]) -> Vec<Vec<u8>> {
    let (length, rest) = file.split_first_chunk::<8>().expect("it has a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Value = serde_json::from_slice(header).expect("it is JSON");
    let tensors = header.as_object().expect("it is an object").iter();
    let tensors = tensors.filter(|(name, _)| *name != "__metadata__").map(|(name, tensor)| {
        let offset = |ix: usize| tensor["data_offsets"][ix].as_u64().expect("a number") as usize;
        let line = serde_json::json!([name, tensor["dtype"], tensor["shape"]]).to_string();
        [line.as_bytes(), &[0], &data[offset(0)..offset(1)]].concat()
    });
    tensors.collect()
}

/// Returns a part with a vector of u32.
pub fn u32_part(name: &str, words: &[u32]) -> Vec<u8> {
    let mut part = serde_json::json!([name, "U32", [words.len()]]).to_string().into_bytes();
    part.push(0);
    part.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    part
}

/// Returns name, type, shape and bytes of a part. For a malformed part, name, type and shape are null.
pub fn split(part: &[u8]) -> ([Value; 3], &[u8]) {
    let at = part.iter().position(|&byte| byte == 0).unwrap_or(part.len());
    let line = serde_json::from_slice(&part[..at]).unwrap_or_default();
    (line, part.get(at + 1..).unwrap_or_default())
}

/// Assembles a file. `off` returns a number of bytes for a tensor's index; this number is added to the tensor's end in
/// the header. `length` is added to the header's length.
pub fn file_of(
    metadata: Option<(&str, &str)>,
    parts: &[Vec<u8>],
    off: impl Fn(usize) -> i64,
    length: i64,
) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    if let Some((key, value)) = metadata {
        entries.push(format!("\"__metadata__\":{}", serde_json::json!({ key: value })));
    }
    for (ix, part) in parts.iter().enumerate() {
        let ([name, dtype, shape], bytes) = split(part);
        let name = Value::from(name.as_str().unwrap_or("x"));
        let begin = data.len() as u64;
        data.extend(bytes);
        let end = (data.len() as u64).wrapping_add_signed(off(ix));
        entries.push(format!(
            "{name}:{{\"dtype\":{dtype},\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}"
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    let length = (header.len() as u64).wrapping_add_signed(length);
    [&length.to_le_bytes(), header.as_bytes(), &data].concat()
}
