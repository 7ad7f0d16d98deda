//! Runs every case of an op on a device and compares it with the CPU reference.

use super::{CaseTape, Mismatch};
use crate::device::DeviceError;
use crate::device::{Device, OpenOptions};
use crate::ops::OpTests;

/// The result of a successful self-test.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SelfTest {
    /// The number of cases.
    pub n_cases: usize,
    /// The largest error of an element, divided by the sum of the element's absolute value and the root mean square of
    /// its tensor.
    pub largest_error: f64,
}

/// The cause of a failed self-test.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The device's results differ from the reference.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Runs every case of `op`, forward and backward, on `device` and on the CPU with the same random numbers,
/// and compares all results.
///
/// # Errors
/// The first failure.
pub fn self_test(op: &OpTests, device: &Device, seed: u64) -> Result<SelfTest, Failure> {
    let cpu = Device::cpu(OpenOptions::default());
    let mut result = SelfTest { n_cases: 0, largest_error: 0.0 };
    for case in (op.cases)() {
        let check = CaseTape::record(op.stem, &case);
        let data = check.fill(seed);
        let expected = check.run_on(&mut *cpu.session(check.tape.state())?, &data)?;
        let got = check.run_on(&mut *device.session(check.tape.state())?, &data)?;
        let error = check.compare(&expected, &got)? * check.tolerance();
        result.n_cases += 1;
        result.largest_error = result.largest_error.max(error);
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;

    #[test]
    fn the_reference_agrees_with_itself() {
        let cpu = Device::cpu(OpenOptions::default());
        for op in ops::ALL {
            let result = self_test(op, &cpu, 1).unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!((result.n_cases, result.largest_error), ((op.cases)().len(), 0.0));
        }
    }
}
