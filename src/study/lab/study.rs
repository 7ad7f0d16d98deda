//! A study: its claim and its two functions.

use super::{Lab, Page, Record};

/// A claim, the measurements that test it, and the page about them.
pub struct Study {
    /// The name in commands and folders.
    pub name: &'static str,
    /// The claim, a sentence without its full stop.
    pub claim: &'static str,
    /// The longest time of the default size on two cores, in minutes.
    pub minutes: u32,
    /// The contents of `docs/lessons/NAME.md`.
    pub text: &'static str,
    /// The function that measures. It adds every measurement to the record with [`Lab::measure`].
    pub measure: fn(&mut Lab<'_>) -> anyhow::Result<()>,
    /// The function that fills the page from a record, in which measurements may be missing.
    pub show: fn(&Record, &mut Page),
}
