//! Training: the story of a run, from a recipe to a folder with trained weights.
//!
//! Read in this order:
//!
//! * [`recipe`]: what a run is made with, from flags, a file and the dataset's defaults;
//! * [`step`]: the two tapes of a run, one training step and one evaluation step;
//! * [`evaluator`] and [`trainer`]: a network on a device, run by those tapes;
//! * [`mod@run`]: the loop over epochs;
//! * [`evaluation`], [`predictions`], [`confusion`]: what a trained network says of images, and how often it is right;
//! * [`metrics`], [`folder`], [`console`], [`progress`]: what it leaves behind, and what it prints.

pub mod confusion;
pub mod console;
pub mod evaluation;
pub mod evaluator;
pub mod folder;
pub mod metrics;
pub mod predictions;
pub mod progress;
pub mod recipe;
pub mod run;
pub mod settings;
pub mod step;
pub mod trainer;

pub use confusion::Confusion;
pub use evaluation::Evaluation;
pub use evaluator::Evaluator;
pub use folder::RunFolder;
pub use metrics::EpochMetrics;
pub use predictions::Predictions;
pub use recipe::Recipe;
pub use run::{Ended, Outcome, run};
pub use settings::Settings;
pub use trainer::Trainer;
