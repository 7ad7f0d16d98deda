//! The lessons: claims about residual networks and their training, each one an experiment.
//!
//! A study is a file in this folder and a page of text in `docs/lessons/`. The file has two functions: `measure` adds
//! measurements to the [`Record`], and `show` draws the page from the record. So an interrupted study still has a page,
//! and a study that goes on repeats no measurement. [`lab`] has the tools that the studies share.
//!
//! The studies belong to the program, not to the library. They use the library as any other program does: only through
//! its public items.

mod add_or_concat;
mod augmentation;
mod batch_norm;
mod bottleneck;
mod degradation;
mod euler;
mod gradient_flow;
mod identity;
pub mod lab;
mod lesion;
mod lr_finder;
mod one_cycle;
mod paths;
mod receptive_field;
mod shortcut_kind;
mod shortcut_scale;
mod transfer;
mod views;

#[cfg(test)]
mod tests;

pub use lab::{Lab, Page, Record, Study, Subject};

/// All studies, in the order of the course in `docs/lessons/README.md`.
pub static STUDIES: [&Study; 17] = [
    &degradation::STUDY,
    &identity::STUDY,
    &gradient_flow::STUDY,
    &shortcut_scale::STUDY,
    &lesion::STUDY,
    &paths::STUDY,
    &receptive_field::STUDY,
    &euler::STUDY,
    &shortcut_kind::STUDY,
    &bottleneck::STUDY,
    &add_or_concat::STUDY,
    &views::STUDY,
    &transfer::STUDY,
    &one_cycle::STUDY,
    &lr_finder::STUDY,
    &augmentation::STUDY,
    &batch_norm::STUDY,
];
