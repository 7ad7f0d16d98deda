//! Logarithmic steps cover the learning rates better than linear ones, and augmentation smooths the curve.
//!
//! `docs/lessons/lr_finder.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "lr-finder",
    claim: "logarithmic steps cover the learning rates better than linear ones, and augmentation smooths the curve",
    minutes: 5,
    text: include_str!("../../docs/lessons/lr_finder.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
