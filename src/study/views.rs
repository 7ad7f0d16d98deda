//! The patterns that a unit responds to change on the way down the layers.
//!
//! `docs/lessons/views.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "views",
    claim: "the patterns that a unit responds to change on the way down the layers",
    minutes: 2,
    text: include_str!("../../docs/lessons/views.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
