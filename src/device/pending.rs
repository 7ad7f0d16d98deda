//! Results that a device delivers later.

use std::pin::Pin;

use super::DeviceError;

/// A result that arrives when the device has done all earlier work.
///
/// In a browser, the page's event loop delivers the result. Elsewhere, the first poll of this future waits for the
/// device, because wgpu has no thread that could deliver the result.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeviceError>> + Send + 'a>>;

/// Blocks until a future is ready, and returns its result.
///
/// # Errors
/// The errors of the future.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn block_on<T>(
    future: impl Future<Output = Result<T, DeviceError>>,
) -> Result<T, DeviceError> {
    pollster::block_on(future)
}

/// Polls a future once, and returns its result. Code in a browser cannot block, so a future that is not ready is an
/// error. Futures of the CPU device are always ready.
///
/// # Errors
/// The errors of the future; [`DeviceError::Failed`] if the future is not ready.
#[cfg(target_arch = "wasm32")]
pub(super) fn block_on<T>(
    future: impl Future<Output = Result<T, DeviceError>>,
) -> Result<T, DeviceError> {
    use std::task::{Context, Poll, Waker};

    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(DeviceError::Failed {
            reason: "a page cannot wait for a GPU; await the async form of the function"
                .to_string(),
        }),
    }
}
