//! Training: from a recipe (all settings of a run) to a run folder with trained weights.
//!
//! The training loop is [`run.rs`](mod@run): `Run::train` loops over epochs, `Run::train_epoch` over batches, and each
//! batch is one call of [`Trainer::step_from`]. Below the loop, each file uses those under it:
//!
//! | file | content |
//! |---|---|
//! | `run.rs`, `run/` | the loop; a run's start (`start.rs`), an epoch's end (`epoch.rs`), a run's end (`finish.rs`) |
//! | `trainer.rs`, `trainer/` | [`Trainer`]: training on a dataset's pixels; each call is one step or one evaluation |
//! | `shared.rs` | the work that a trainer shares with other ranks |
//! | `evaluator.rs` | [`Evaluator`]: loss, accuracy and logits of given weights |
//! | `model.rs` | [`Model`]: the main interface of the library, for arrays and networks of your own |
//! | `state.rs` | [`TrainState`]: the owner of parameters, optimizer state, metrics and the count of steps |
//! | `features.rs` | [`Features`](features::Features): the outputs of frozen layers, cached for every image |
//! | `loaded_step.rs` | a step on images, compiled for a session |
//! | `step.rs` | the steps of a run as tapes, from pixels to logits: training, evaluation, statistics |
//! | `update.rs` | [`UpdateConfig`]: the part of a step after the logits, from the loss to the optimizer |
//! | `schedule.rs` | the learning rate of each step |
//!
//! The code from `trainer.rs` down uses no file, thread, clock or terminal. The feature `runs` adds these files, which
//! surround the loop:
//!
//! | files | content |
//! |---|---|
//! | `recipe.rs`, `settings.rs`, `units.rs` | the settings of a run, from flags, a file and the dataset's defaults |
//! | `feed.rs` | batches that another thread fills while the device computes |
//! | `fine_tuning.rs` | the settings that select which parameters a run trains |
//! | `folder.rs`, `metrics.rs`, `logs.rs`, `tensorboard.rs` | the run folder and its files |
//! | `checkpoint/`, `resume.rs`, `replay.rs` | checkpoints; resuming a run; running a step again to find a NaN |
//! | `picture_list.rs` | the list of a run's pictures, and its differences |
//! | `images.rs`, `evaluation.rs`, `predictions.rs`, `confusion.rs` | images, predictions, and their accuracy |
//! | `grad_cam.rs` | [`Explainer`]: the positions of an image that speak for its predicted class |
//! | `lr_find/` | the learning-rate finder |
//! | `console.rs`, `display.rs`, `progress.rs`, `screen.rs`, `stopwatch.rs` | output on the terminal, and times |
//! | `report_writer.rs` | the interface to `report` and `measure`, which do part of the work at the end of a run |

mod error;
mod evaluator;
pub mod features;
mod loaded_step;
mod model;
pub mod schedule;
mod shared;
mod state;
pub mod step;
mod trainer;
mod update;

#[cfg(feature = "runs")]
pub mod checkpoint;
#[cfg(feature = "runs")]
pub mod confusion;
#[cfg(feature = "runs")]
pub mod console;
#[cfg(feature = "runs")]
mod difference;
#[cfg(feature = "runs")]
pub mod display;
#[cfg(feature = "runs")]
pub mod evaluation;
#[cfg(feature = "runs")]
pub mod feed;
#[cfg(feature = "runs")]
pub mod fine_tuning;
#[cfg(feature = "runs")]
pub mod folder;
#[cfg(feature = "runs")]
pub mod grad_cam;
#[cfg(feature = "runs")]
pub mod images;
#[cfg(feature = "runs")]
pub mod logs;
#[cfg(feature = "runs")]
pub mod lr_find;
#[cfg(feature = "runs")]
pub mod metrics;
#[cfg(feature = "runs")]
mod outcome;
#[cfg(feature = "runs")]
pub mod picture_list;
#[cfg(feature = "runs")]
pub mod predictions;
#[cfg(feature = "runs")]
pub mod progress;
#[cfg(feature = "runs")]
pub mod recipe;
#[cfg(feature = "runs")]
pub mod replay;
#[cfg(feature = "runs")]
pub mod report_writer;
#[cfg(feature = "runs")]
pub mod resume;
#[cfg(feature = "runs")]
pub mod run;
#[cfg(feature = "runs")]
pub mod screen;
#[cfg(feature = "runs")]
pub mod settings;
#[cfg(feature = "runs")]
pub mod stopwatch;
#[cfg(feature = "runs")]
pub mod tensorboard;
#[cfg(feature = "runs")]
pub mod units;

pub use error::{ConfigError, StepError};
pub use evaluator::Evaluator;
pub use model::{Model, ModelConfig};
pub use shared::ReductionTimes;
pub use state::{Snapshot, TrainState};
pub use trainer::Trainer;
pub use update::{PassTimes, UpdateConfig};

#[cfg(feature = "runs")]
pub use self::{
    confusion::Confusion,
    difference::Difference,
    display::Display,
    evaluation::Evaluation,
    folder::RunFolder,
    grad_cam::{Explained, Explainer},
    logs::Logs,
    metrics::EpochMetrics,
    outcome::{Ended, Outcome},
    predictions::Predictions,
    progress::Progress,
    recipe::Recipe,
    resume::{Resumed, resume},
    run::{Job, NotResumed, TrainError, run},
    settings::Settings,
};
