//! Batch norm smooths the loss surface and tolerates higher learning rates.
//!
//! `docs/lessons/batch_norm.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "batch-norm",
    claim: "batch norm smooths the loss surface and tolerates higher learning rates",
    minutes: 3,
    text: include_str!("../../docs/lessons/batch_norm.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
