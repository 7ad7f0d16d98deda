//! Crop, flip and cutout help; a little colour jitter helps, and more hurts.
//!
//! `docs/lessons/augmentation.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "augmentation",
    claim: "crop, flip and cutout help; a little colour jitter helps, and more hurts",
    minutes: 8,
    text: include_str!("../../docs/lessons/augmentation.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
