//! A settings file. If settings can be read and resolved, the written recipe must give the same recipe when it is read
//! again.

use arbitrary::Arbitrary;
use wgrad::data::{Dataset, ReadOptions, Source, Split};
use wgrad::train::{Recipe, Settings};

/// Keys of settings, some in two spellings. New keys are added at the end, because the inputs in `fuzz/corpus/` refer
/// to keys by position.
const KEYS: [&str; 34] = [
    "epochs",
    "batch-size",
    "batch_size",
    "width",
    "max-lr",
    "max_lr",
    "seed",
    "data",
    "data-dir",
    "device",
    "kernels",
    "memory-limit",
    "out",
    "pct-start",
    "div-factor",
    "final-div-factor",
    "anneal",
    "no-crop",
    "no-flip",
    "no-cutout",
    "label-smoothing",
    "weight-decay",
    "validation",
    "patience",
    "checkpoint-every",
    "clip-grad-norm",
    "ema",
    "on-nan",
    "jitter-brightness",
    "jitter-contrast",
    "jitter-saturation",
    "weights",
    "weights-sha256",
    "coarse",
];

/// Words, each a valid value of at least one key.
const WORDS: [&str; 14] = [
    "auto", "cifar10", "shapes", "cpu", "naive", "default", "linear", "cos", "1GiB", "find", "10m",
    "-1", "skip", "stop",
];

#[derive(Arbitrary, Debug)]
enum Key<'a> {
    Known(u8),
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Small(u8),
    Integer(i64),
    Part(u16),
    Float(f64),
    Truth(bool),
    Word(u8),
    Text(&'a str),
    /// TOML text, verbatim.
    Toml(&'a str),
}

#[derive(Arbitrary, Debug)]
struct Config<'a> {
    lines: Vec<(Key<'a>, Value<'a>)>,
}

fn build(config: Config<'_>) -> Vec<u8> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let line = |(key, value): &(Key<'_>, Value<'_>)| {
        let key = match key {
            Key::Known(ix) => KEYS[usize::from(*ix) % KEYS.len()].to_string(),
            Key::Any(key) => quoted(key),
        };
        let value = match value {
            Value::Small(n) => n.to_string(),
            Value::Integer(n) => n.to_string(),
            Value::Part(n) => format!("{:?}", f64::from(*n) / 65536.0),
            Value::Float(x) => format!("{x:?}").to_lowercase(),
            Value::Truth(truth) => truth.to_string(),
            Value::Word(ix) => quoted(WORDS[usize::from(*ix) % WORDS.len()]),
            Value::Text(text) => quoted(text),
            Value::Toml(text) => (*text).to_string(),
        };
        format!("{key} = {value}\n")
    };
    config.lines.iter().take(40).map(line).collect::<String>().into_bytes()
}

/// Returns a dataset of 1,000 labels without image bytes, which this target does not read.
fn dataset(name: &'static str) -> Dataset {
    let source = Source::from_name(name).expect("a dataset");
    let spec = source.dataset().spec(ReadOptions::default());
    let split = Split { labels: vec![0; 1000], ..Split::new(spec.size) };
    Dataset {
        name,
        description: String::new(),
        dir: None,
        validation: Split::new(spec.size),
        spec,
        train: split.clone(),
        test: split,
        warnings: Vec::new(),
        whole: None,
        known: None,
    }
}

/// Reads and resolves settings, writes the recipe as a file, and reads and resolves this file. Both recipes must be
/// equal.
pub fn run(data: &[u8]) {
    let Some(bytes) = super::file(data, build) else { return };
    let Ok(text) = String::from_utf8(bytes) else { return };
    let settings = match Settings::parse(&text) {
        Ok(settings) => settings,
        Err(reason) => return assert!(!reason.to_string().is_empty()),
    };
    for name in ["cifar10", "cifar100", "mnist", "shapes"] {
        let Ok(recipe) = Recipe::resolve(&settings, &dataset(name)) else { continue };
        let written = recipe.to_toml();
        let again = Settings::parse(&written).unwrap_or_else(|e| panic!("{e}\n{written}"));
        let again = Recipe::resolve(&again, &dataset(name));
        let again = again.unwrap_or_else(|error| panic!("{error}\n{written}"));
        assert_eq!(again.to_toml(), written, "from {text:?}");
    }
}
