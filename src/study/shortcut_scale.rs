//! A shortcut with a factor above or below 1 lets the gradient explode or vanish.
//!
//! `docs/lessons/shortcut_scale.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "shortcut-scale",
    claim: "a shortcut with a factor above or below 1 lets the gradient explode or vanish",
    minutes: 2,
    text: include_str!("../../docs/lessons/shortcut_scale.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
