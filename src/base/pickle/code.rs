//! The bytes of a pickle, from which the machine takes opcodes and operands.

use std::str::FromStr;

use super::PickleError;

pub(super) type Result<T> = std::result::Result<T, PickleError>;

/// The bytes of a pickle, and the place up to which they are read.
pub(super) struct Code<'a> {
    bytes: &'a [u8],
    /// The offset of the next byte.
    at: usize,
    /// The offset of the latest opcode.
    instruction: usize,
}

impl<'a> Code<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, instruction: 0 }
    }

    /// Returns the number of all bytes.
    pub(super) fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the bytes that are not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Returns the error for the latest instruction.
    pub(super) fn refuse<T>(&self, problem: impl Into<String>) -> Result<T> {
        Err(PickleError::Instruction { at: self.instruction, problem: problem.into() })
    }

    /// Takes the opcode of the next instruction.
    pub(super) fn opcode(&mut self) -> Result<u8> {
        self.instruction = self.at;
        self.byte()
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, _) = self.rest().split_at_checked(n).ok_or_else(|| self.truncated())?;
        self.at += n;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("N bytes"))
    }

    /// Takes the operand that is the number of bytes of a text, of bytes or of an integer.
    pub(super) fn length(&mut self, opcode: u8) -> Result<usize> {
        let length = match opcode {
            b'C' | b'U' | 0x8a | 0x8c => self.byte()?.into(),
            0x8d | 0x8e | 0x96 => u64::from_le_bytes(self.array()?),
            _ => u32::from_le_bytes(self.array()?).into(),
        };
        // A length that exceeds `usize` also exceeds the file.
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Takes an integer of any number of bytes, in two's complement.
    pub(super) fn long(&mut self, opcode: u8) -> Result<i128> {
        let length = self.length(opcode)?;
        let bytes = self.take(length)?;
        let is_negative = bytes.last().is_some_and(|byte| byte >> 7 == 1);
        let mut wide = if is_negative { [0xff; 16] } else { [0; 16] };
        match wide.get_mut(..length) {
            Some(low) => low.copy_from_slice(bytes),
            None => return self.refuse("an integer of more than 16 bytes"),
        }
        Ok(i128::from_le_bytes(wide))
    }

    pub(super) fn text(&mut self, opcode: u8) -> Result<&'a str> {
        let bytes = match opcode {
            b'V' => self.plain_line()?,
            _ => {
                let length = self.length(opcode)?;
                self.take(length)?
            }
        };
        self.utf8(bytes)
    }

    pub(super) fn line(&mut self) -> Result<&'a str> {
        let line = self.line_bytes()?;
        self.utf8(line)
    }

    /// Takes a line without escapes. Only protocol 0 writes text in lines, and neither torch nor CIFAR uses it.
    pub(super) fn plain_line(&mut self) -> Result<&'a [u8]> {
        let line = self.line_bytes()?;
        if line.contains(&b'\\') { self.refuse("a text with escapes") } else { Ok(line) }
    }

    /// Takes a line that is a number.
    pub(super) fn number<T: FromStr>(&mut self) -> Result<T> {
        let digits = self.line()?;
        self.parsed(digits)
    }

    pub(super) fn parsed<T: FromStr>(&self, digits: &str) -> Result<T> {
        digits.parse().or_else(|_| self.refuse("a number that cannot be read"))
    }

    fn line_bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.rest().iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or_else(|| self.truncated())?)?;
        self.at += 1;
        Ok(line)
    }

    fn utf8(&self, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).or_else(|_| self.refuse("a text that is not UTF-8"))
    }

    fn truncated(&self) -> PickleError {
        PickleError::Truncated(self.bytes.len())
    }
}
