//! A peak after 5 of 24 epochs trains best, and annihilation of the rate to near zero gives no higher accuracy.
//!
//! `docs/lessons/one_cycle.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "one-cycle",
    claim: "a peak after 5 of 24 epochs trains best, and annihilation of the rate to near zero gives no higher accuracy",
    minutes: 8,
    text: include_str!("../../docs/lessons/one_cycle.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
