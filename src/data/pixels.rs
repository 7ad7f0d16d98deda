//! The bytes of many images: in memory, or in a file that is mapped into memory.

use std::fmt;
use std::ops::Deref;

#[cfg(feature = "runs")]
use {memmap2::Mmap, std::ops::Range, std::sync::Arc};

/// The bytes of many images. A copy of mapped bytes shares the mapping.
#[derive(Clone)]
pub enum Pixels {
    /// Bytes in memory.
    Memory(Vec<u8>),
    /// A range of the bytes of a mapped file. The operating system reads a page of the file at its first use, and may
    /// drop the page later.
    #[cfg(feature = "runs")]
    Mapped(Arc<Mmap>, Range<usize>),
}

impl Pixels {
    /// Returns the bytes in memory, which can be changed. Mapped bytes are copied first; the file does not change.
    pub fn to_mut(&mut self) -> &mut Vec<u8> {
        #[cfg(feature = "runs")]
        if let Self::Mapped(..) = self {
            *self = Self::Memory(self.to_vec());
        }
        match self {
            Self::Memory(bytes) => bytes,
            #[cfg(feature = "runs")]
            Self::Mapped(..) => unreachable!("the bytes were copied"),
        }
    }
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            #[cfg(feature = "runs")]
            Self::Mapped(file, range) => &file[range.clone()],
        }
    }
}

impl From<Vec<u8>> for Pixels {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Memory(bytes)
    }
}

impl Default for Pixels {
    /// Returns no bytes.
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl PartialEq for Pixels {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Pixels {}

impl fmt::Debug for Pixels {
    /// Prints the number of bytes only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({} bytes)", self.len())
    }
}
