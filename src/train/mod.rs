//! Training: the story of a run, from a recipe to a folder with trained weights.
//!
//! Read in this order:
//!
//! * [`recipe`]: what a run is made with, from flags, a file and the dataset's defaults;
//! * [`step`]: the two tapes of a run, one training step and one evaluation step;
//! * [`evaluator`] and [`trainer`]: a network on a device, run by those tapes;
//! * [`mod@run`]: the loop over epochs;
//! * [`metrics`], [`folder`], [`report`]: what it leaves behind, and what it prints;
//! * [`display`], [`progress`], [`screen`]: what is shown while it goes.

pub mod display;
pub mod evaluator;
pub mod folder;
pub mod metrics;
pub mod progress;
pub mod recipe;
pub mod report;
pub mod run;
pub mod screen;
pub mod settings;
pub mod step;
pub mod trainer;

pub use display::Display;
pub use evaluator::Evaluator;
pub use folder::RunFolder;
pub use metrics::EpochMetrics;
pub use progress::Progress;
pub use recipe::Recipe;
pub use run::{Ended, Outcome, run};
pub use settings::Settings;
pub use trainer::Trainer;
