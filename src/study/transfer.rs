//! Features near the softmax are specific to their task, so another task is better served by a cut before them.
//!
//! `docs/lessons/transfer.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "transfer",
    claim: "features near the softmax are specific to their task, so another task is better served by a cut before them",
    minutes: 5,
    text: include_str!("../../docs/lessons/transfer.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
