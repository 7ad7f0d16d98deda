//! Networks, a file each: functions that record themselves on a tape.

pub mod resnet9;
