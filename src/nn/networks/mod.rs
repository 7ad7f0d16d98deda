//! Networks, one file each: functions that record a network on a tape.

pub mod resnet9;
