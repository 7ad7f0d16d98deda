//! Tests of folders of pictures, and helpers that write them.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{PictureFolder, PicturesError, reading};
use crate::data::{DataError, Dataset, HeldOut, ReadOptions, shapes};

mod caching;
mod layouts;
mod unreadable;

/// A folder of pictures, and a folder for decoded ones.
struct Folder {
    root: TempDir,
}

impl Folder {
    fn new() -> Self {
        let root = TempDir::new().expect("a folder");
        fs::create_dir(root.path().join("data")).expect("made");
        Self { root }
    }

    /// Returns a folder of pictures with these paths.
    fn with(files: &[&str]) -> Self {
        let folder = Self::new();
        files.iter().zip(0..).for_each(|(file, seed)| folder.draw(file, seed));
        folder
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn cache(&self) -> PathBuf {
        self.root.path().join("cache")
    }

    fn write(&self, file: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    /// Writes a picture of 32 x 32 pixels.
    fn draw(&self, file: impl AsRef<Path>, seed: u64) {
        self.write(file, png(&shapes::draw_train(seed, 1).image(0), [32, 32]));
    }

    fn read(&self, options: ReadOptions) -> Result<Dataset, DataError> {
        let folder = PictureFolder::at(&self.path()).expect("text");
        reading::read(folder, options, Some(&self.cache()))
    }

    fn error(&self, options: ReadOptions) -> String {
        self.read(options).expect_err("it was accepted").to_string()
    }
}

/// Options for pictures of 32 x 32 pixels, all in the training part.
fn all_training() -> ReadOptions<'static> {
    ReadOptions { side: Some(32), held_out: Some(HeldOut::NONE), ..ReadOptions::default() }
}

/// Returns a PNG of a picture, `[3, rows, columns]` bytes.
fn png(planes: &[u8], [rows, columns]: [usize; 2]) -> Vec<u8> {
    let n = rows * columns;
    let rgb: Vec<u8> = (0..n).flat_map(|ix| [0, 1, 2].map(|c| planes[c * n + ix])).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&rgb).expect("pixels");
    writer.finish().expect("an end");
    bytes
}

/// Returns the files of the training pictures.
fn files(dataset: &Dataset) -> Vec<&Path> {
    dataset.train.files.iter().map(PathBuf::as_path).collect()
}
