//! A residual network is an ensemble of shallow ones, so it survives the loss of a block.
//!
//! `docs/lessons/lesion.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "lesion",
    claim: "a residual network is an ensemble of shallow ones, so it survives the loss of a block",
    minutes: 3,
    text: include_str!("../../docs/lessons/lesion.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
