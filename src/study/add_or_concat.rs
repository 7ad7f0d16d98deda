//! Inception concatenates where a residual network adds.
//!
//! `docs/lessons/add_or_concat.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "add-or-concat",
    claim: "Inception concatenates where a residual network adds",
    minutes: 4,
    text: include_str!("../../docs/lessons/add_or_concat.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
