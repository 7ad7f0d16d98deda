//! Training: the story of a run, from a recipe to a folder with trained weights.
//!
//! Read in this order:
//!
//! * [`recipe`]: what a run is made with, from flags, a file and the dataset's defaults;
//! * [`step`]: the tapes of a run: a training step, an evaluation step, and one for averaged weights;
//! * [`evaluator`] and [`trainer`]: a network on a device, run by those tapes;
//! * [`mod@run`]: the loop over epochs;
//! * [`images`], [`evaluation`], [`predictions`], [`confusion`]: the images that trained weights are measured
//!   on, their predictions, and how often these are right;
//! * [`metrics`], [`folder`], [`logs`], [`tensorboard`]: what it leaves behind;
//! * [`console`], [`display`], [`progress`], [`screen`]: what is printed and shown.

pub mod checkpoint;
pub mod confusion;
pub mod console;
pub mod display;
pub mod evaluation;
pub mod evaluator;
pub mod folder;
pub mod images;
pub mod logs;
pub mod lr_find;
pub mod metrics;
pub mod parts;
pub mod predictions;
pub mod progress;
pub mod recipe;
pub mod replay;
pub mod resume;
pub mod run;
pub mod schedule;
pub mod screen;
pub mod settings;
pub mod step;
pub mod stopwatch;
pub mod tensorboard;
pub mod trainer;
pub mod units;

pub use confusion::Confusion;
pub use display::Display;
pub use evaluation::Evaluation;
pub use evaluator::Evaluator;
pub use folder::RunFolder;
pub use logs::Logs;
pub use metrics::EpochMetrics;
pub use predictions::Predictions;
pub use progress::Progress;
pub use recipe::Recipe;
pub use resume::{Resumed, resume};
pub use run::{Ended, Job, Outcome, run};
pub use settings::Settings;
pub use trainer::Trainer;
