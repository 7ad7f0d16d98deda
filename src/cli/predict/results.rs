//! The predictions for pictures, batch by batch.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use rayon::prelude::*;
use wgrad::Error;
use wgrad::base::shown::escaped_lines;
use wgrad::data::image_file::{ImageFileError, MAX_PIXELS};
use wgrad::data::{ImageSize, ImageSpec, Split, image_file};
use wgrad::device::Device;
use wgrad::nn::{NetworkConfig, WeightsFile};
use wgrad::report::thumbnail::Thumbnail;
use wgrad::train::{Evaluator, Explained, Explainer, StepError};

use super::{Args, STANDARD_INPUT};
use crate::cli::weights;

/// The results of all pictures so far.
#[derive(Default)]
pub struct Results {
    /// The pictures that were read.
    pub files: Vec<PathBuf>,
    /// The thumbnail of each picture; none without a page.
    pub thumbnails: Vec<(PathBuf, Thumbnail)>,
    /// The errors of the pictures that cannot be read.
    pub errors: Vec<String>,
    /// The logits of the pictures, `[n, classes]`.
    pub logits: Vec<f32>,
    /// The maps of the pictures; none without `--explain`.
    pub explained: Option<Explained>,
}

impl Results {
    /// Reads the pictures of a batch on all cores, and adds their results. A thumbnail's longer side has at most `side`
    /// pixels.
    pub fn add(
        &mut self,
        paths: Vec<Result<PathBuf, ImageFileError>>,
        args: &Args,
        spec: &ImageSpec,
        side: Option<usize>,
        model: &mut Model,
    ) -> anyhow::Result<()> {
        let read = |path: Result<PathBuf, _>| read(path?, spec.size, args.background.0, side);
        let images: Vec<Result<_, ImageFileError>> = paths.into_par_iter().map(read).collect();
        let first = self.files.len();
        let mut split = Split::new(spec.size);
        for image in images {
            match image {
                Ok((path, image, thumbnail)) => {
                    self.thumbnails.extend(thumbnail.map(|thumbnail| (path.clone(), thumbnail)));
                    self.files.push(path);
                    split.images.to_mut().extend(image);
                    split.labels.push(0); // The label is unknown. No code reads it.
                }
                Err(error) => {
                    print_error(&escaped_lines(&format!("error: {error}\n")));
                    self.errors.push(error.to_string());
                }
            }
        }
        let (logits, explained) = model.predict(&split).map_err(|error| counted(error, first))?;
        self.logits.extend(logits);
        match (&mut self.explained, explained) {
            (Some(all), Some(more)) => all.maps.extend(more.maps),
            (all, more) => *all = more,
        }
        Ok(())
    }
}

/// Adds the number of the pictures before a batch to the number of the picture in an error.
fn counted(error: Error, n_before: usize) -> Error {
    match error {
        Error::Step(StepError::LogitsNotFinite { image, value }) => {
            StepError::LogitsNotFinite { image: n_before + image, value }.into()
        }
        other => other,
    }
}

/// Reads a picture, and returns its path, the image of the network, and a thumbnail whose longer side has at most `side`
/// pixels; no thumbnail without a side.
fn read(
    path: PathBuf,
    size: ImageSize,
    background: [u8; 3],
    side: Option<usize>,
) -> Result<(PathBuf, Vec<u8>, Option<Thumbnail>), ImageFileError> {
    let input: Box<dyn Read> = match path.as_os_str() == STANDARD_INPUT {
        true => Box::new(io::stdin().lock()),
        false => {
            let io = |source| ImageFileError::Io { path: path.clone(), source };
            Box::new(File::open(&path).map_err(io)?)
        }
    };
    let io = |source| ImageFileError::Io { path: path.clone(), source };
    let unusable = |reason| ImageFileError::Unusable { path: path.clone(), reason };
    let bytes = image_file::bytes_of(input).map_err(io)?.map_err(unusable)?;
    let picture = image_file::decode_upright(&bytes, background, MAX_PIXELS).map_err(unusable)?;
    let thumbnail = side.map(|side| Thumbnail::of(&picture, side));
    let image = picture.input(size);
    Ok((path, image, thumbnail))
}

/// The network on a device, with the gradient of its logits for `--explain`.
pub enum Model {
    Plain(Box<Evaluator>),
    Explained(Box<Explainer>),
}

impl Model {
    pub fn new(
        device: &Device,
        args: &Args,
        weights: &WeightsFile,
        network: NetworkConfig,
        spec: &ImageSpec,
        batch_size: usize,
    ) -> anyhow::Result<Self> {
        let flags = &args.recorded;
        Ok(match args.explain {
            true => {
                let step = weights::step(weights, network, spec, flags, batch_size)?;
                let mut explainer = Explainer::new(device, &step)?;
                weights::load(&mut explainer.evaluator, weights, network)?;
                Self::Explained(Box::new(explainer))
            }
            false => Self::Plain(Box::new(weights::evaluator(
                device, weights, network, spec, flags, batch_size,
            )?)),
        })
    }

    /// Returns the logits of pictures, `[n, classes]`, and their maps with `--explain`.
    fn predict(&mut self, split: &Split) -> Result<(Vec<f32>, Option<Explained>), Error> {
        const WHOLE: &str = "no interruption";
        Ok(match self {
            Self::Plain(evaluator) => (evaluator.logits(split, &|| false)?.expect(WHOLE), None),
            Self::Explained(explainer) => {
                let mut explained = explainer.explain(split, &|| false)?.expect(WHOLE);
                (std::mem::take(&mut explained.logits), Some(explained))
            }
        })
    }
}

/// Prints a text on the standard error. A failure to print it is ignored.
fn print_error(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
