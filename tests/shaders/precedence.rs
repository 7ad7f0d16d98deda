//! WGSL requires parentheses between some operators: `a >> b & c` is not a valid expression. naga parses it like C, but
//! browsers reject it, so this test checks the shaders.
//!
//! The rules are those of the grammar (<https://www.w3.org/TR/WGSL/#expression-grammar>), for the operators between two
//! parentheses. `&`, `|` and `^` each combine only unary expressions and themselves. Shifts are not chained, but may be
//! compared. Comparisons are not chained. `&&` and `||` each combine only with themselves.

use std::fmt::Write;

use crate::launched::texts;

/// An open bracket: its closing character, and the operators at its level since the last comma or other separator.
struct Level {
    close: char,
    operators: Vec<String>,
}

/// Keywords after which `-`, `*` and `&` are unary operators.
const KEYWORDS: [&str; 6] = ["return", "if", "while", "switch", "case", "else"];

/// Binary operators, the longer ones first.
const OPERATORS: [&str; 18] = [
    "&&", "||", "==", "!=", "<=", ">=", "<<", ">>", "&", "|", "^", "<", ">", "+", "-", "*", "/",
    "%",
];

/// Tokens that end an expression, the longer ones first. Compound assignments begin like operators.
const ENDS: [&str; 20] = [
    "<<=", ">>=", "->", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", ",", ";", "{",
    "}", ":", "@", "=",
];

/// Returns true for names after which `<` opens a list of types.
fn takes_types(word: &str) -> bool {
    let is_sized =
        |name: &str| word.strip_prefix(name).is_some_and(|n| n.starts_with(['2', '3', '4']));
    ["array", "ptr", "atomic", "bitcast", "var"].contains(&word)
        || is_sized("vec")
        || is_sized("mat")
}

/// Returns the numbers of the lines that mix operators without the required parentheses, each with the operators.
fn mixed(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut levels = vec![Level { close: '\0', operators: Vec::new() }];
    // `is_operand` is true after an operand, and `word` is that operand's name.
    let (mut is_operand, mut word) = (false, "");
    for (ix, line) in text.lines().enumerate() {
        let mut rest = line.split("//").next().unwrap_or_default();
        let mut end = |operators: &mut Vec<String>| {
            if !is_grammatical(operators) {
                found.push((ix + 1, operators.join(" ")));
            }
            operators.clear();
        };
        while let Some(c) = rest.chars().next() {
            let level = levels.last_mut().expect("the outermost level is never closed");
            let starts =
                |tokens: &[&'static str]| tokens.iter().copied().find(|t| rest.starts_with(t));
            let length;
            if c.is_whitespace() {
                length = c.len_utf8();
            } else if c.is_alphanumeric() || c == '_' || c == '.' {
                let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
                // `1e-5` is one number.
                let exponent = |at: usize| {
                    c.is_ascii_digit()
                        && !rest.starts_with("0x")
                        && rest[..at].ends_with(['e', 'E'])
                };
                let ends = |(at, c): &(usize, char)| !(is_part(*c) || (*c == '-' && exponent(*at)));
                length = rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at);
                word = &rest[..length];
                if ["let", "var", "const", "for"].contains(&word) {
                    end(&mut level.operators);
                }
                is_operand = !KEYWORDS.contains(&word);
            } else if c == '(' || c == '[' || (c == '<' && takes_types(word)) {
                let close = if c == '(' {
                    ')'
                } else if c == '[' {
                    ']'
                } else {
                    '>'
                };
                levels.push(Level { close, operators: Vec::new() });
                (length, is_operand, word) = (1, false, "");
            } else if c == level.close {
                end(&mut level.operators);
                levels.pop();
                // A value in brackets is an operand. The list of types of `vec4<f32>` is not, but `(` follows it, so
                // this does not matter.
                (length, is_operand, word) = (1, true, "");
            } else if let Some(token) =
                starts(&ENDS).filter(|t| t.len() > 1 || !starts_longer(rest, t))
            {
                end(&mut level.operators);
                (length, is_operand, word) = (token.len(), false, "");
            } else if let Some(token) = starts(&OPERATORS) {
                if is_operand {
                    level.operators.push(token.to_string());
                }
                (length, is_operand, word) = (token.len(), false, "");
            } else {
                (length, is_operand, word) = (c.len_utf8(), false, "");
            }
            rest = &rest[length..];
        }
    }
    assert_eq!(levels.len(), 1, "brackets that are never closed: {text}");
    found
}

/// Returns true if a longer operator begins here: `==` does not begin with the token `=`.
fn starts_longer(rest: &str, token: &str) -> bool {
    OPERATORS.iter().any(|operator| operator.len() > token.len() && rest.starts_with(operator))
}

/// Returns true if operators may stand at one level in this order.
fn is_grammatical(operators: &[String]) -> bool {
    let is =
        |set: &'static [&'static str]| move |operator: &String| set.contains(&operator.as_str());
    let all_same = operators.windows(2).all(|pair| pair[0] == pair[1]);
    if operators.iter().any(is(&["&", "|", "^"])) {
        return all_same;
    }
    let logical: Vec<_> = operators.iter().filter(|o| is(&["&&", "||"])(o)).collect();
    if logical.windows(2).any(|pair| pair[0] != pair[1]) {
        return false;
    }
    let is_relation = is(&["==", "!=", "<", ">", "<=", ">="]);
    operators.split(is(&["&&", "||"])).all(|part| {
        let n_relations = part.iter().filter(|o| is_relation(o)).count();
        let is_shift = is(&["<<", ">>"]);
        let sides = part.split(|o| is_relation(o));
        n_relations <= 1 && { sides }.all(|side| side.len() < 2 || !side.iter().any(&is_shift))
    })
}

#[test]
fn every_shader_has_the_parentheses_that_wgsl_requires() {
    let mut complaints = String::new();
    for (text, by) in texts() {
        for (line, operators) in mixed(&text) {
            let words = text.lines().nth(line - 1).unwrap_or_default().trim();
            let _ = writeln!(complaints, "{by}: {operators} in `{words}`");
        }
    }
    assert!(complaints.is_empty(), "parentheses are missing:\n{complaints}");
}

#[test]
fn operators_without_required_parentheses_are_found() {
    for refused in [
        "return vec3<i32>(words >> vec3<u32>(8u * ix) & vec3<u32>(0xffu));",
        "return pixels[ix / 4u] >> (8u * (ix % 4u)) & 0xffu;",
        "let a = b | c & d;",
        "let a = b ^ c | d;",
        "let a = b & c + d;",
        "let a = b << c << d;",
        "let a = b + c << d;",
        "let a = b << c * d;",
        "if a & b == c { }",
        "let a = b < c == d;",
        "let a = b && c || d;",
        "let a = -1 >> 2 & 3;",
        "let a = f(x[b & c >> d], e);",
        "for (var i = 0u; i < n & 3u; i++) { }",
        "a |= b & c | d;",
        "let a = b &\n    c << d;",
    ] {
        assert_eq!(mixed(refused).len(), 1, "{refused}");
    }
    for allowed in [
        "return vec3<i32>((words >> vec3<u32>(8u * ix)) & vec3<u32>(0xffu));",
        "let a = b << 2u < c + d;",
        "let a = b < c && d >= e && f == -g;",
        "let a = b | c | d;",
        "let a: ptr<function, array<vec4<f32>, 4u * N>> = &b;",
        "let a = vec2<u32>(b >> 1u, c & 3u);",
        "a[i] <<= b & 1u;",
        "a |= b << 3u;",
        "f(&a, &b);",
        "let a = 1e-5 + 0x1e - b; // a >> b & c",
        "var<workgroup> tile: array<f32, SIZE * (SIZE + 1u)>;",
        "@compute @workgroup_size(8, 8) fn main(@builtin(local_invocation_index) ix: u32) -> bool { }",
        "let a = !b && c;",
        "let a = b == c;",
        "let a = ~b & c;",
        "let a = b & -c;",
    ] {
        assert_eq!(mixed(allowed), [], "{allowed}");
    }
}
