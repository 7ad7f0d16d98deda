//! The driver's compiled pipelines on disk. With them, the next run does not compile its pipelines again.

use std::fs;
use std::path::PathBuf;

use wgpu::Features;

use super::unchecked;
use crate::base::files::{self, FileError};
use crate::base::fingerprint::Fingerprint;

/// The cache of compiled pipelines for one adapter and driver.
pub(super) struct PipelineCache {
    cache: wgpu::PipelineCache,
    path: PathBuf,
}

impl PipelineCache {
    /// Opens the cache of a device, with the contents from earlier runs. Returns None if the backend has no cache (only
    /// Vulkan has a cache), or if `folder` is None.
    pub(super) fn open(
        device: &wgpu::Device,
        info: &wgpu::AdapterInfo,
        folder: Option<PathBuf>,
    ) -> Option<Self> {
        let key = wgpu::util::pipeline_cache_key(info)?;
        if !device.features().contains(Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder?.join(key);
        let data = fs::read(&path).ok().and_then(unsealed);
        let cache = unchecked::create_pipeline_cache(device, data.as_deref());
        Some(Self { cache, path })
    }

    /// Returns wgpu's handle of the cache.
    pub(super) fn handle(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Saves the cache to disk. A failure is only a warning, because the next process can compile again.
    pub(super) fn save(&self) {
        let Some(data) = self.cache.get_data() else { return };
        let folder = self.path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = folder
            .map_err(FileError::at(&self.path))
            .and_then(|()| files::write_whole(&self.path, &sealed(&data)));
        if let Err(error) = written {
            log::warn!("the compiled pipelines are not saved: {error}");
        }
    }
}

/// Returns the data with a checksum in front, because drivers do not check the data.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut file = Fingerprint::of([data]).to_string().into_bytes();
    file.extend_from_slice(data);
    file
}

/// Returns the data that [`sealed`] was called with; None if the checksum is wrong.
fn unsealed(mut file: Vec<u8>) -> Option<Vec<u8>> {
    let length = Fingerprint::default().to_string().len();
    let data = file.split_off(length.min(file.len()));
    (file == Fingerprint::of([&data[..]]).to_string().into_bytes()).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_data_is_rejected() {
        let file = sealed(b"compiled");
        assert_eq!(unsealed(file.clone()).as_deref(), Some(&b"compiled"[..]));
        for ix in [0, 15, 16, file.len() - 1] {
            let mut damaged = file.clone();
            damaged[ix] ^= 1;
            assert_eq!(unsealed(damaged), None, "byte {ix}");
        }
        assert_eq!(unsealed(file[..10].to_vec()), None);
        assert_eq!(unsealed(Vec::new()), None);
    }
}
