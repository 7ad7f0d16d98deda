//! Most of the gradient of a residual network comes from short paths.
//!
//! `docs/lessons/paths.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "paths",
    claim: "most of the gradient of a residual network comes from short paths",
    minutes: 1,
    text: include_str!("../../docs/lessons/paths.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
