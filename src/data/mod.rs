//! Data sets.
/// stub
#[derive(Debug, thiserror::Error)]
#[error("data")]
pub struct DataError;
impl DataError {
    /// stub
    pub fn hint(&self) -> Option<String> {
        None
    }
}
