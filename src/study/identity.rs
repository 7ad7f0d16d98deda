//! A block at zero is the identity, so stacking such blocks cannot hurt.
//!
//! `docs/lessons/identity.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "identity",
    claim: "a block at zero is the identity, so stacking such blocks cannot hurt",
    minutes: 1,
    text: include_str!("../../docs/lessons/identity.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
