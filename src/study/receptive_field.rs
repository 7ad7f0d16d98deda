//! A unit near the output could see more than the image, but the centre of its field counts most.
//!
//! `docs/lessons/receptive_field.md` has the text.

use super::{Lab, Page, Record, Study};

pub static STUDY: Study = Study {
    name: "receptive-field",
    claim: "a unit near the output could see more than the image, but the centre of its field counts most",
    minutes: 1,
    text: include_str!("../../docs/lessons/receptive_field.md"),
    measure,
    show,
};

fn measure(_lab: &mut Lab<'_>) -> anyhow::Result<()> {
    Ok(())
}

fn show(_record: &Record, _page: &mut Page) {}
