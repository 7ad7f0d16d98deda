//! The tools of the studies.
//!
//! | file | content |
//! |---|---|
//! | `lab.rs` | [`Lab`]: the device, images, seed and record of a study that runs |
//! | `record.rs` | [`Record`]: the measurements as named lists of numbers, and their file `study.json` |
//! | `images.rs` | [`Images`]: the images of a study, and their normalisation |
//! | `page.rs` | [`Page`]: the figures, charts, tables and findings of a study |
//! | `lesson.rs` | the text of `docs/lessons/NAME.md` as parts of the page |
//! | `training.rs` | [`Training`]: a short training run with its errors |
//! | `probe.rs` | [`Probe`]: values and gradients inside a network |
//! | `network.rs` | [`Trained`]: a network with weights that a study may edit |
//! | `shortcuts.rs` | blocks with shortcuts that only the studies have |
//! | `pixels.rs` | the gradient of each pixel of an image |
//! | `plain.rs` | a plain network with or without batch norm |
//! | `surface.rs` | the loss along the direction of its gradient |
//! | `batch_statistics.rs` | the statistics of small batches |
//! | `runs.rs` | the measurements of runs over several seeds |
//! | `cost.rs` | [`Cost`]: parameters, operations, memory and time of a network |
//! | `spread.rs` | means and spreads over seeds |
//! | `run.rs` | [`run`](fn@run): a study from its settings to its files |

pub mod batch_statistics;
mod cost;
mod images;
#[allow(clippy::module_inception)]
mod lab;
mod lesson;
mod network;
mod page;
pub mod pixels;
pub mod plain;
mod probe;
mod record;
mod run;
pub mod runs;
pub mod shortcuts;
mod spread;
pub mod surface;
mod training;

pub use cost::{Cost, step_times};
pub use images::Images;
pub use lab::{Lab, Settings, Size, Stopped};
#[cfg(test)]
pub use lesson::section;
pub use network::Trained;
pub use page::{Page, Verdict};
pub use probe::{Probe, value_of};
pub use record::Record;
pub use run::{Setup, index, open, run};
pub use spread::Spread;
pub use training::{Curve, Training};
