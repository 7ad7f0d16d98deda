//! A clean shortcut keeps the gradient alive.
//!
//! `docs/lessons/gradient_flow.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "gradient-flow",
    claim: "a clean shortcut keeps the gradient alive",
    minutes: 1,
    text: include_str!("../../docs/lessons/gradient_flow.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
