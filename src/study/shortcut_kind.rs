//! A parameter-free shortcut is enough, and a 1x1 convolution with stride 2 ignores part of the pixels.
//!
//! `docs/lessons/shortcut_kind.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "shortcut-kind",
    claim: "a parameter-free shortcut is enough, and a 1x1 convolution with stride 2 ignores part of the pixels",
    minutes: 4,
    text: include_str!("../../docs/lessons/shortcut_kind.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
