//! A residual block is a step of Euler's method, x + f(x).
//!
//! `docs/lessons/euler.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "euler",
    claim: "a residual block is a step of Euler's method, x + f(x)",
    minutes: 1,
    text: include_str!("../../docs/lessons/euler.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
