//! The bytes of many images: in memory, or in a file that is mapped into memory.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

#[cfg(feature = "runs")]
use memmap2::Mmap;

/// The bytes of many images. A copy shares the bytes until one of the two is changed.
#[derive(Clone)]
pub enum Pixels {
    /// Bytes in memory.
    Memory(Arc<Vec<u8>>),
    /// The bytes of a mapped file. The operating system reads a page of the file at its first use, and may
    /// drop the page later.
    #[cfg(feature = "runs")]
    Mapped(Arc<Mmap>),
}

impl Pixels {
    /// Returns the bytes in memory, which can be changed. Bytes that a copy shares, and mapped ones, are copied first.
    pub fn to_mut(&mut self) -> &mut Vec<u8> {
        #[cfg(feature = "runs")]
        if let Self::Mapped(_) = self {
            *self = Self::from(self.to_vec());
        }
        match self {
            Self::Memory(bytes) => Arc::make_mut(bytes),
            #[cfg(feature = "runs")]
            Self::Mapped(_) => unreachable!("the bytes were copied"),
        }
    }
}

impl Deref for Pixels {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            #[cfg(feature = "runs")]
            Self::Mapped(file) => file,
        }
    }
}

impl From<Vec<u8>> for Pixels {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Memory(Arc::new(bytes))
    }
}

impl Default for Pixels {
    /// Returns no bytes.
    fn default() -> Self {
        Self::from(Vec::new())
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
