//! The machine that runs the instructions of a pickle, of protocols 0 to 5.
//!
//! Each instruction is a byte, and its operand follows. It pushes a value, or takes values from the stack and pushes
//! another. A mark on the stack begins the elements of a container. The memo has numbered values for later use.
//! `pickletools.dis` of Python lists the instructions of a file. `code.rs` reads operands.

use std::collections::HashMap;

use super::code::{Code, Result};
use super::{Id, MAX_VALUES, Name, Pickle, PickleError, Value};

/// The protocol of the newest instructions.
const NEWEST_PROTOCOL: u8 = 5;

/// The largest part of a name in an error, in characters.
const MAX_NAME: usize = 100;

/// Runs the pickle at the beginning of `bytes`. Returns its values, and the bytes behind it.
pub(super) fn run<'a>(
    bytes: &'a [u8],
    is_known: &dyn Fn(Name<'_>) -> bool,
) -> Result<(Pickle<'a>, &'a [u8])> {
    let mut machine = Machine {
        code: Code::new(bytes),
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        n_values: 0,
        n_decoded: 0,
        is_known,
    };
    let root = loop {
        machine.n_values += 1;
        if machine.n_values > MAX_VALUES {
            return Err(PickleError::TooLarge);
        }
        match machine.code.opcode()? {
            b'.' => break machine.pop()?,
            opcode => machine.step(opcode)?,
        }
    };
    Ok((Pickle { values: machine.values, root }, machine.code.rest()))
}

struct Machine<'a, 'f> {
    code: Code<'a>,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// For each mark: the height of the stack below the mark.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
    /// The number of instructions, and of elements that were copied from one container to another.
    n_values: usize,
    /// The number of bytes that [`Machine::encoded`] has made.
    n_decoded: usize,
    is_known: &'f dyn Fn(Name<'_>) -> bool,
}

impl<'a> Machine<'a, '_> {
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            0x80 => self.protocol(),
            // A frame only tells a reader of streams the number of bytes to fetch.
            0x95 => self.code.take(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.above_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            b'q' | b'r' | b'p' | 0x94 => self.memorise(opcode),
            b'h' | b'j' | b'g' => self.recall(opcode),
            b'c' | b'i' | 0x93 => self.global(opcode),
            b'R' => self.reduce(),
            b'b' => self.build(),
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(id));
                Ok(())
            }
            b'a' | b'e' | 0x90 | b's' | b'u' => self.fill(opcode),
            b'l' | b'd' | b't' | 0x85..=0x87 | 0x91 => self.container(opcode),
            _ => {
                let value = self.literal(opcode)?;
                self.push(value);
                Ok(())
            }
        }
    }

    fn protocol(&mut self) -> Result<()> {
        match self.code.byte()? {
            0..=NEWEST_PROTOCOL => Ok(()),
            newer => {
                self.code.refuse(format!("protocol {newer}, and {NEWEST_PROTOCOL} is the newest"))
            }
        }
    }

    /// Returns the value of an instruction that takes nothing from the stack.
    fn literal(&mut self, opcode: u8) -> Result<Value<'a>> {
        Ok(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'I' => match self.code.line()? {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                digits => Value::Int(self.code.parsed(digits)?),
            },
            b'L' => {
                let digits = self.code.line()?;
                Value::Int(self.code.parsed(digits.trim_end_matches('L'))?)
            }
            b'J' => Value::Int(i32::from_le_bytes(self.code.array()?).into()),
            b'K' => Value::Int(self.code.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.code.array()?).into()),
            0x8a | 0x8b => Value::Int(self.code.long(opcode)?),
            b'F' => Value::Float(self.code.number()?),
            b'G' => Value::Float(f64::from_be_bytes(self.code.array()?)),
            b'X' | 0x8c | 0x8d | b'V' => Value::Text(self.code.text(opcode)?),
            b'S' => match self.code.plain_line()? {
                [b'\'', text @ .., b'\''] | [b'"', text @ .., b'"'] => Value::Bytes(text.into()),
                _ => return self.code.refuse("a string without quotes"),
            },
            b'B' | b'T' | b'C' | b'U' | 0x8e | 0x96 => {
                let length = self.code.length(opcode)?;
                Value::Bytes(self.code.take(length)?.into())
            }
            b']' | 0x8f => Value::List(Vec::new()),
            b')' => Value::Tuple(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            _ => return self.code.refuse(format!("instruction {opcode:#04x} makes no plain data")),
        })
    }

    fn memorise(&mut self, opcode: u8) -> Result<()> {
        let number = match opcode {
            0x94 => self.memo.len(),
            _ => self.memo_number(opcode)?,
        };
        let top = self.top()?;
        self.memo.insert(number, top);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<()> {
        let number = self.memo_number(opcode)?;
        match self.memo.get(&number) {
            Some(&id) => self.stack.push(id),
            None => return self.code.refuse(format!("memo {number} is empty")),
        }
        Ok(())
    }

    fn memo_number(&mut self, opcode: u8) -> Result<usize> {
        match opcode {
            b'q' | b'h' => self.code.byte().map(usize::from),
            b'r' | b'j' => Ok(u32::from_le_bytes(self.code.array()?) as usize),
            _ => self.code.number(),
        }
    }

    /// Makes a container of the values above the mark, or of one, two or three values.
    fn container(&mut self, opcode: u8) -> Result<()> {
        let ids = match opcode {
            0x85..=0x87 => {
                let n = usize::from(opcode - 0x84);
                self.top_values(n)?
            }
            _ => self.above_mark()?,
        };
        let value = match opcode {
            b'l' => Value::List(ids),
            b'd' => Value::Dict(self.pairs(&ids)?),
            _ => Value::Tuple(ids),
        };
        self.push(value);
        Ok(())
    }

    /// Adds one element, or the values above the mark, to the container below.
    fn fill(&mut self, opcode: u8) -> Result<()> {
        let ids = match opcode {
            b'a' => self.top_values(1)?,
            b's' => self.top_values(2)?,
            _ => self.above_mark()?,
        };
        let pairs = if matches!(opcode, b's' | b'u') { self.pairs(&ids)? } else { Vec::new() };
        let container = self.top()?;
        match (&mut self.values[container.0 as usize], opcode) {
            (Value::List(list), b'a' | b'e' | 0x90) => list.extend(ids),
            (Value::Dict(dict), b's' | b'u') => dict.extend(pairs),
            _ => return self.code.refuse("elements of a value that is no such container"),
        }
        Ok(())
    }

    fn pairs(&self, ids: &[Id]) -> Result<Vec<(Id, Id)>> {
        match ids.as_chunks() {
            (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => self.code.refuse("a key without a value"),
        }
    }

    /// Pushes a Python object by its name, if the object is plain data or known to the caller.
    fn global(&mut self, opcode: u8) -> Result<()> {
        let name = match opcode {
            0x93 => {
                let name = self.pop_text()?;
                (self.pop_text()?, name)
            }
            _ => (self.code.line()?, self.code.line()?),
        };
        // Instruction `i` makes an object of a class by a call, and no plain data need it.
        if opcode == b'i' || !(PLAIN.contains(&name) || (self.is_known)(name)) {
            let shown = |part: &str| part.chars().take(MAX_NAME).collect::<String>();
            return Err(PickleError::Object(format!("{}.{}", shown(name.0), shown(name.1))));
        }
        self.push(Value::Global(name));
        Ok(())
    }

    fn reduce(&mut self) -> Result<()> {
        let arguments = self.pop()?;
        let function = self.pop()?;
        let Value::Global(function) = self.values[function.0 as usize] else {
            return self.code.refuse("a call of a value that is no function");
        };
        let Value::Tuple(ids) = &self.values[arguments.0 as usize] else {
            return self.code.refuse("a call whose arguments are no tuple");
        };
        let [first, second] = [0, 1].map(|ix| ids.get(ix).map(|id| id.0 as usize));
        let value = match function {
            ("collections", "OrderedDict") => Value::Dict(self.ordered(first)?),
            ("_codecs", "encode") => Value::Bytes(self.encoded([first, second])?.into()),
            (_, "bytes") if first.is_none() => Value::Bytes([].as_slice().into()),
            (_, "set") => Value::List(self.copied(first)?),
            (_, "frozenset") => Value::Tuple(self.copied(first)?),
            _ => Value::Call { function, arguments, state: None },
        };
        self.push(value);
        Ok(())
    }

    /// Returns the pairs of an `OrderedDict` whose argument is value number `list`. Python 2 passes a list of pairs;
    /// Python 3 passes nothing and adds the pairs later.
    fn ordered(&mut self, list: Option<usize>) -> Result<Vec<(Id, Id)>> {
        let ids = self.copied(list)?;
        let pair = |id: Id| match &self.values[id.0 as usize] {
            Value::List(pair) | Value::Tuple(pair) => match pair[..] {
                [key, value] => Ok((key, value)),
                _ => self.code.refuse("an element of a dictionary is no pair"),
            },
            _ => self.code.refuse("an element of a dictionary is no pair"),
        };
        ids.into_iter().map(pair).collect()
    }

    /// Returns the elements of value number `list`; no elements without a number.
    fn copied(&mut self, list: Option<usize>) -> Result<Vec<Id>> {
        match list.map(|ix| &self.values[ix]) {
            None => Ok(Vec::new()),
            // Many calls may copy one long list, so each copy counts.
            Some(Value::List(ids) | Value::Tuple(ids)) => {
                self.n_values += ids.len();
                Ok(ids.clone())
            }
            Some(_) => self.code.refuse("the elements of a container are no list"),
        }
    }

    /// Returns the bytes that `_codecs.encode` makes of a text in the encoding `latin1`: one byte of each character.
    /// Python 3 writes bytes in this form for readers of Python 2.
    fn encoded(&mut self, arguments: [Option<usize>; 2]) -> Result<Vec<u8>> {
        let [text, encoding] = arguments.map(|ix| match self.values[ix?] {
            Value::Text(text) => Some(text),
            _ => None,
        });
        let Some(text) = text else {
            return self.code.refuse("the encoded value is not text");
        };
        if encoding != Some("latin1") {
            return self.code.refuse("the encoding of a text is not latin1");
        }
        // Many calls may encode one long text. A writer encodes each text once.
        self.n_decoded += text.len();
        if self.n_decoded > self.code.n_bytes() {
            return Err(PickleError::TooLarge);
        }
        let bytes = text.chars().map(u8::try_from).collect::<std::result::Result<_, _>>();
        bytes.or_else(|_| self.code.refuse("the encoded text has characters beyond Latin-1"))
    }

    /// Gives a state to the result of a call. A dictionary has no state of use: that of an `OrderedDict` in a file of
    /// torch holds versions of modules.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let object = self.top()?;
        match &mut self.values[object.0 as usize] {
            Value::Dict(_) => Ok(()),
            Value::Call { state: of_object, .. } => {
                *of_object = Some(state);
                Ok(())
            }
            _ => self.code.refuse("a state for a value that has none"),
        }
    }

    fn push(&mut self, value: Value<'a>) {
        // The number fits, because each value takes an instruction.
        self.stack.push(Id(self.values.len() as u32));
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id> {
        Ok(self.top_values(1)?[0])
    }

    fn pop_text(&mut self) -> Result<&'a str> {
        let id = self.pop()?;
        match self.values[id.0 as usize] {
            Value::Text(text) => Ok(text),
            _ => self.code.refuse("the name of an object is not text"),
        }
    }

    fn top(&self) -> Result<Id> {
        let is_above = self.stack.len() > self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if is_above => Ok(id),
            _ => self.code.refuse("the stack is empty"),
        }
    }

    /// Takes the last `n` values from the stack.
    fn top_values(&mut self, n: usize) -> Result<Vec<Id>> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(n).filter(|&at| at >= bottom) {
            Some(at) => Ok(self.stack.split_off(at)),
            None => self.code.refuse("the stack is empty"),
        }
    }

    /// Takes the values above the last mark from the stack, and the mark.
    fn above_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => self.code.refuse("the stack has no mark"),
        }
    }
}

/// The objects whose calls make plain data. Python 2 calls the module of its built-in objects `__builtin__`.
const PLAIN: [Name<'static>; 9] = [
    ("collections", "OrderedDict"),
    // The state of PyTorch's `MultiStepLR` has one, so many checkpoints do.
    ("collections", "Counter"),
    ("_codecs", "encode"),
    ("builtins", "bytes"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("__builtin__", "bytes"),
    ("__builtin__", "set"),
    ("__builtin__", "frozenset"),
];
