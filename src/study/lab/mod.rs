//! The frame of the studies: everything that a study needs to measure and to show. [`tools`] has measurements that some of
//! them share.
//!
//! | file | content |
//! |---|---|
//! | `context.rs` | [`Study`]: a claim and its two functions; [`Lab`]: the device, images, seed and record of a study that runs |
//! | `images.rs` | [`Images`]: the images of a study, and their normalisation |
//! | `training.rs` | [`Training`]: a short training run with its errors |
//! | `network.rs` | [`Trained`]: a network with weights that a study may edit |
//! | `probe.rs` | [`Probe`]: values and gradients inside a network |
//! | `record.rs`, `seeds.rs` | [`Record`]: the measurements as named lists of numbers, over several seeds |
//! | `spread.rs` | [`Spread`]: the mean, the lowest and the highest of several seeds |
//! | `verdict.rs` | [`Interval`], [`Verdict`]: the interval of a mean over a few runs, and the verdict that it gives |
//! | `page.rs` | [`Page`]: the figures, charts, tables and findings of a study |
//! | `lesson.rs` | the text of `docs/lessons/NAME.md` as parts of the page |
//! | `run.rs`, `progress.rs` | [`run`](fn@run): a study from its settings to its files; its line on the terminal |

mod context;
mod images;
mod lesson;
mod network;
mod page;
mod probe;
mod progress;
mod record;
mod run;
mod seeds;
mod spread;
mod tools;
mod training;
mod verdict;

pub use context::{Lab, Settings, Size, Stopped, Study, Subject};
pub use images::Images;
#[cfg(test)]
pub use lesson::section;
pub use network::Trained;
pub use page::{BAND, Page};
pub use probe::{Probe, value_of};
pub use record::Record;
pub use run::{Setup, index, run};
#[cfg(test)]
pub use run::{go_on, open};
pub use seeds::{difference, spread};
pub use spread::{Spread, median, transposed};
pub use tools::*;
pub use training::Training;
pub use verdict::{Interval, MARGIN, RULE, Verdict, standard_error};
