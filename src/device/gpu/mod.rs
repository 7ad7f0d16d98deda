//! The GPU device, through wgpu. (Being written.)
use super::{OpenOptions, Session};
use crate::error::Error;
use crate::tape::StateLayout;
/// Where shaders come from.
#[derive(Clone, Debug, Default)]
pub struct ShaderLibrary {}
/// An adapter, opened.
pub struct GpuDevice {}
impl GpuDevice {
    /// hardware only
    pub fn open_hardware(_: &OpenOptions) -> Result<Option<Self>, Error> {
        Ok(None)
    }
    /// any
    pub fn open(_: Option<&str>, _: &OpenOptions) -> Result<Self, Error> {
        Err(Error::NoAdapter)
    }
    /// name
    pub fn name(&self) -> String {
        String::new()
    }
    /// session
    pub fn session(&self, _: &StateLayout) -> Result<Box<dyn Session>, Error> {
        Err(Error::NoAdapter)
    }
}
