//! Cases of pools and resizes: ops of one input that change the rows and columns of planes.

use wgrad::device::Device;
use wgrad::ops::resize::{Interpolation, resize};
use wgrad::ops::{self, Pool};

use crate::case_file::CaseFile;
use crate::elementwise::run;
use crate::ops::window;

pub fn max_pool2d(file: &CaseFile, device: &Device) {
    run(file, device, &["x"], |tape, x| ops::max_pool2d::max_pool2d(tape, x[0], pool(file)));
}

pub fn avg_pool2d(file: &CaseFile, device: &Device) {
    let padding_counts = file.flag("count_include_pad");
    run(file, device, &["x"], |tape, x| {
        ops::avg_pool2d::avg_pool2d(tape, x[0], pool(file), padding_counts)
    });
}

pub fn adaptive_avg_pool2d(file: &CaseFile, device: &Device) {
    run(file, device, &["x"], |tape, x| {
        ops::avg_pool2d::adaptive_avg_pool2d(tape, x[0], out(file))
    });
}

pub fn blur_pool(file: &CaseFile, device: &Device) {
    run(file, device, &["x"], |tape, x| ops::blur_pool::blur_pool(tape, x[0]));
}

pub fn resize_nearest(file: &CaseFile, device: &Device) {
    run(file, device, &["x"], |tape, x| resize(tape, x[0], out(file), Interpolation::Nearest));
}

pub fn resize_bilinear(file: &CaseFile, device: &Device) {
    let interpolation = Interpolation::Bilinear { align_corners: file.flag("align_corners") };
    run(file, device, &["x"], |tape, x| resize(tape, x[0], out(file), interpolation));
}

fn pool(file: &CaseFile) -> Pool {
    Pool { ceil_mode: file.flag("ceil_mode"), ..window(file).into() }
}

/// Returns the number of rows and columns of the case's y.
fn out(file: &CaseFile) -> [usize; 2] {
    let [_, _, rows, columns] = file.tensor("y").shape[..] else { panic!("y is [N, C, OH, OW]") };
    [rows, columns]
}
