//! A bottleneck block is economical.
//!
//! `docs/lessons/bottleneck.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "bottleneck",
    claim: "a bottleneck block is economical",
    minutes: 1,
    text: include_str!("../../docs/lessons/bottleneck.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
