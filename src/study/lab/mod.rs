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
//! | `spread.rs` | means and spreads over seeds |
//! | `blocks.rs` | [`blocks`](fn@blocks): the blocks of a network, and their deletion |
//! | `field.rs` | [`field`](fn@field): theoretical receptive fields, and the stages of a network |
//! | `effective.rs` | [`Sensitivity`]: effective receptive fields |
//! | `excitation.rs` | [`excitation`](fn@excitation): the images that excite channels most |
//! | `ascent.rs` | [`Maximised`]: images that gradient ascent makes for channels |
//! | `pictures.rs` | pictures of maps and images |
//! | `tasks.rs` | [`Task`]: some of the classes, or the angle by which an image is turned |
//! | `ridge.rs` | [`Features`]: linear probes |
//! | `subjects.rs` | [`Recipe`]: the networks that a study looks into, given or trained |
//! | `run.rs` | [`run`](fn@run): a study from its settings to its files |

mod ascent;
mod blocks;
mod effective;
mod excitation;
mod field;
mod images;
#[allow(clippy::module_inception)]
mod lab;
mod lesson;
mod network;
mod page;
mod pictures;
mod probe;
mod record;
mod ridge;
mod run;
mod spread;
mod subjects;
mod tasks;
mod training;

pub use ascent::Maximised;
pub use blocks::{blocks, pairs_of_one_shape};
pub use effective::{Sensitivity, power, surrounded};
pub use excitation::{excitation, feature_maps, purity};
pub use field::{Field, field, fields, middle, stages, stem_and_stages};
pub use images::Images;
pub use lab::{Lab, Settings, Size, Stopped};
#[cfg(test)]
pub use lesson::section;
pub use network::Trained;
pub use page::{Page, Verdict};
pub use pictures::{grey, packed, patch, sheet, unpacked};
pub use probe::{Probe, value_of};
pub use record::Record;
pub use ridge::{Features, probe_accuracy};
pub use run::{Setup, index, open, run};
pub use spread::{Spread, median, transposed};
pub use subjects::Recipe;
pub use tasks::Task;
pub use training::{Curve, Training};
