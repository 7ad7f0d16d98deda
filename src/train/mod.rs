//! Training: from a recipe to a run folder with trained weights.
//!
//! The training loop is [`run.rs`](mod@run): `Run::train` loops over epochs, `Run::train_epoch` over batches, and each
//! batch is one call of [`Trainer::step`]. Below the loop, each file uses those under it:
//!
//! | file | what it holds |
//! |---|---|
//! | `run.rs`, `run/` | the loop; a run's start (`start.rs`), the end of an epoch (`epoch.rs`), a run's end (`finish.rs`) |
//! | `trainer.rs` | [`Trainer`]: training on a dataset's pixels, one step or one evaluation a call |
//! | `evaluator.rs` | [`Evaluator`]: loss, accuracy and logits of given weights |
//! | `model.rs` | [`Model`]: the library's front door, for arrays and networks of your own |
//! | `state.rs` | [`TrainState`]: the one owner of parameters, optimizer state, metrics and the count of steps |
//! | `loaded_step.rs` | a step on images, compiled for a session |
//! | `step.rs` | the steps of a run as tapes, from pixels to logits: training, evaluation, statistics |
//! | `update.rs` | [`UpdateConfig`]: the part of a step behind the logits, from the loss to the optimizer |
//! | `schedule.rs` | the learning rate of each step |
//!
//! From `trainer.rs` on, the files use no file, thread, clock or terminal. The others surround the loop:
//!
//! | files | what they hold |
//! |---|---|
//! | `recipe.rs`, `settings.rs`, `units.rs` | the settings of a run, from flags, a file and the dataset's defaults |
//! | `folder.rs`, `metrics.rs`, `logs.rs`, `tensorboard.rs` | the run folder and its files |
//! | `checkpoint/`, `resume.rs`, `replay.rs` | checkpoints; a run that goes on; a step that is run again to find a NaN |
//! | `images.rs`, `evaluation.rs`, `predictions.rs`, `confusion.rs` | images, predictions, and their accuracy |
//! | `lr_find/` | the learning-rate finder |
//! | `console.rs`, `display.rs`, `progress.rs`, `screen.rs`, `stopwatch.rs` | printed and displayed progress, times |
//! | `report_writer.rs` | the work at the end of a run that the layers above do |

pub mod checkpoint;
pub mod confusion;
pub mod console;
pub mod display;
mod error;
pub mod evaluation;
mod evaluator;
pub mod folder;
pub mod images;
mod loaded_step;
pub mod logs;
pub mod lr_find;
pub mod metrics;
mod model;
pub mod predictions;
pub mod progress;
pub mod recipe;
pub mod replay;
pub mod report_writer;
pub mod resume;
pub mod run;
pub mod schedule;
pub mod screen;
pub mod settings;
mod state;
pub mod step;
pub mod stopwatch;
pub mod tensorboard;
mod trainer;
pub mod units;
mod update;

pub use confusion::Confusion;
pub use display::Display;
pub use error::{ConfigError, NotResumed, TrainError};
pub use evaluation::Evaluation;
pub use evaluator::Evaluator;
pub use folder::RunFolder;
pub use logs::Logs;
pub use metrics::EpochMetrics;
pub use model::{Model, ModelConfig};
pub use predictions::Predictions;
pub use progress::Progress;
pub use recipe::Recipe;
pub use resume::{Resumed, resume};
pub use run::{Ended, Job, Outcome, run};
pub use settings::Settings;
pub use state::{Snapshot, TrainState};
pub use trainer::Trainer;
pub use update::UpdateConfig;
