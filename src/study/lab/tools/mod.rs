//! Measurements and networks that studies share, or that would make a study long.
//!
//! | file | content |
//! |---|---|
//! | `arms.rs` | training runs that differ in one setting |
//! | `sweep.rs` | sweeps over learning rates |
//! | `subjects.rs` | [`Recipe`]: the networks that a study looks into, given or trained |
//! | `tasks.rs` | [`Task`]: some of the classes, or the angle by which an image is turned |
//! | `residual.rs` | residual networks whose joints a study may change |
//! | `change.rs`, `gated.rs` | joints that are scaled, projected or gated; joints that select paths for the backward pass |
//! | `custom.rs`, `plain.rs` | [`Custom`]: a network from a function; a plain one |
//! | `shortcuts.rs` | blocks with shortcuts that only the studies have |
//! | `blocks.rs`, `lesions.rs` | the blocks of a network, and their deletion; lesions as measurements |
//! | `deeper.rs` | a network with more blocks, or fewer |
//! | `flow.rs`, `pixels.rs` | gradients by block; gradients by pixel |
//! | `surface.rs`, `batch_statistics.rs` | the loss along its gradient; the statistics of small batches |
//! | `field.rs`, `effective.rs` | theoretical and effective receptive fields |
//! | `excitation.rs`, `ascent.rs` | images that excite a channel: of the dataset, and by gradient ascent |
//! | `ridge.rs` | [`Features`]: linear probes |
//! | `cost.rs` | [`Cost`]: parameters, operations, memory and time of a network |
//! | `pictures.rs` | pictures of maps and images |

pub mod arms;
mod ascent;
pub mod batch_statistics;
mod blocks;
pub mod change;
mod cost;
mod custom;
mod deeper;
mod effective;
mod excitation;
mod field;
pub mod flow;
pub mod gated;
pub mod lesions;
mod pictures;
pub mod pixels;
pub mod plain;
pub mod residual;
mod ridge;
pub mod shortcuts;
mod subjects;
pub mod surface;
pub mod sweep;
mod tasks;

pub use ascent::Maximised;
pub use blocks::blocks;
#[cfg(test)]
pub use blocks::{branch_of, pairs_of_one_shape};
pub use cost::{Cost, step_times};
pub use custom::Custom;
pub use deeper::{Blocks, branch_sizes, n_blocks};
pub use effective::{Sensitivity, power};
pub use excitation::{excitation, picture, purity};
#[cfg(test)]
pub use field::{field, middle, stages};
pub use field::{fields, stem_and_stages};
pub use pictures::{grey, packed, patch, sheet, unpacked};
pub use ridge::{Features, probe_accuracy};
pub use subjects::Recipe;
pub use tasks::{Task, layers_up_to};
