//! Python's pickles, read as plain data; no code runs.
//!
//! A pickle is a program for a small machine with a stack. Most instructions build numbers, text, bytes and containers.
//! Others name a Python object (`module.name`) and call it. [`Pickle::read`] makes a [`Value::Call`] of such a call,
//! with function and arguments, and calls nothing. Its caller has a list of the functions that a file format needs,
//! and interprets the calls; every other name of an object is an error. `machine.rs` runs the instructions.
//!
//! All values are in one list and refer to one another by [`Id`]. Values of any depth, and values that contain
//! themselves, so need no recursion, neither to build nor to drop them.

use std::borrow::Cow;

mod code;
mod machine;
#[cfg(test)]
mod tests;

/// The largest number of values and instructions of a pickle. CIFAR-100, with a name for each image, has 200,000.
const MAX_VALUES: usize = 1 << 22;

/// An error in a pickle.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PickleError {
    /// The pickle names a Python object that is not plain data and not on the caller's list.
    #[error("{0}: a Python object that is not plain data; nothing of it is read or run")]
    Object(String),
    /// The pickle ends before its last instruction.
    #[error("the pickle is truncated: it ends at byte {0}, before its last instruction")]
    Truncated(usize),
    /// An instruction is unknown, or it does not fit the values before it.
    #[error("byte {at} of the pickle: {problem}")]
    Instruction {
        /// The offset of the instruction, in bytes.
        at: usize,
        /// The problem of the instruction.
        problem: String,
    },
    /// The pickle has more values than a file of weights or images needs.
    #[error("the pickle has more than {MAX_VALUES} values")]
    TooLarge,
}

/// The name of a Python object: module and name.
pub type Name<'a> = (&'a str, &'a str);

/// The number of a value in the list of a pickle's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Id(u32);

/// A value of a pickle.
#[derive(Clone, PartialEq, Debug)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 16 bytes.
    Int(i128),
    /// A number in floating point.
    Float(f64),
    /// A `str`.
    Text(&'a str),
    /// A `bytes` or `bytearray`, or a `str` of Python 2.
    Bytes(Cow<'a, [u8]>),
    /// A `list` or a `set`.
    List(Vec<Id>),
    /// A `tuple` or a `frozenset`.
    Tuple(Vec<Id>),
    /// The keys and values of a `dict` or `OrderedDict`. If a key is there twice, the last value counts.
    Dict(Vec<(Id, Id)>),
    /// A Python object, of which only the name is read.
    Global(Name<'a>),
    /// The call of a Python object, which nothing has run.
    Call {
        /// The object's name.
        function: Name<'a>,
        /// The tuple of the arguments.
        arguments: Id,
        /// The value that Python would give to `__setstate__` of the result.
        state: Option<Id>,
    },
    /// A reference to a value outside the pickle. `torch.save` refers to the contents of tensors in this way.
    Persistent(Id),
}

/// The values of a pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the beginning of `bytes`, and returns it with the bytes behind it. `is_known` returns true
    /// for the objects that the caller interprets.
    ///
    /// # Errors
    /// If the pickle is damaged or too large, or names an object that is not known.
    pub fn read(
        bytes: &'a [u8],
        is_known: impl Fn(Name<'_>) -> bool,
    ) -> Result<(Self, &'a [u8]), PickleError> {
        machine::run(bytes, &is_known)
    }

    /// Returns the value that the whole pickle makes.
    pub fn root(&self) -> Item<'_, 'a> {
        Item { pickle: self, id: self.root }
    }

    /// Returns all values, in the order in which the pickle makes them.
    pub fn items(&self) -> impl Iterator<Item = Item<'_, 'a>> {
        (0..self.values.len() as u32).map(|ix| Item { pickle: self, id: Id(ix) })
    }
}

/// A value of a pickle, with access to the values that it contains.
#[derive(Clone, Copy, Debug)]
pub struct Item<'p, 'a> {
    pickle: &'p Pickle<'a>,
    id: Id,
}

impl<'p, 'a> Item<'p, 'a> {
    /// Returns the value.
    pub fn value(self) -> &'p Value<'a> {
        &self.pickle.values[self.id.0 as usize]
    }

    /// Returns a text, also one that Python 2 has written; None for another value.
    pub fn text(self) -> Option<&'p str> {
        match self.value() {
            Value::Text(text) => Some(text),
            Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Returns an integer; None for another value.
    pub fn int(self) -> Option<i128> {
        match self.value() {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// Returns an integer in the range of `usize`; None for another value.
    pub fn size(self) -> Option<usize> {
        self.int()?.try_into().ok()
    }

    /// Returns bytes; None for another value.
    pub fn bytes(self) -> Option<&'p [u8]> {
        match self.value() {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the elements of a list or tuple; None for another value.
    pub fn elements(self) -> Option<impl ExactSizeIterator<Item = Item<'p, 'a>> + Clone> {
        match self.value() {
            Value::List(ids) | Value::Tuple(ids) => Some(ids.iter().map(move |&id| self.at(id))),
            _ => None,
        }
    }

    /// Returns the first N elements of a list or tuple; None for another value, or fewer elements.
    pub fn first<const N: usize>(self) -> Option<[Self; N]> {
        match self.value() {
            Value::List(ids) | Value::Tuple(ids) => {
                ids.first_chunk().map(|ids| ids.map(|id| self.at(id)))
            }
            _ => None,
        }
    }

    /// Returns the keys and values of a dictionary; None for another value.
    pub fn entries(self) -> Option<impl DoubleEndedIterator<Item = [Item<'p, 'a>; 2]>> {
        match self.value() {
            Value::Dict(pairs) => {
                Some(pairs.iter().map(move |&(key, value)| [self.at(key), self.at(value)]))
            }
            _ => None,
        }
    }

    /// Returns the value of a key in a dictionary; None for another value, or without this key.
    pub fn get(self, key: &str) -> Option<Self> {
        self.entries()?.rev().find(|[found, _]| found.text() == Some(key)).map(|[_, value]| value)
    }

    /// Returns function and arguments of a call; None for another value.
    pub fn call(self) -> Option<(Name<'a>, Self)> {
        match self.value() {
            Value::Call { function, arguments, .. } => Some((*function, self.at(*arguments))),
            _ => None,
        }
    }

    /// Returns the state that the result of a call is given; None for another value.
    pub fn state(self) -> Option<Self> {
        match self.value() {
            Value::Call { state, .. } => state.map(|id| self.at(id)),
            _ => None,
        }
    }

    /// Returns the name of a value outside the pickle; None for another value.
    pub fn persistent(self) -> Option<Self> {
        match self.value() {
            Value::Persistent(id) => Some(self.at(*id)),
            _ => None,
        }
    }

    fn at(self, id: Id) -> Self {
        Self { id, ..self }
    }
}
