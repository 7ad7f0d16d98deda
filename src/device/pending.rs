//! Results that arrive later.

use std::pin::Pin;

use super::DeviceError;

/// A result that arrives when the device has done all earlier work.
///
/// In a browser the page's event loop delivers it. Elsewhere the first poll waits for the device, because wgpu has no
/// thread that could deliver it.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeviceError>> + Send + 'a>>;

/// Waits for a future.
///
/// # Errors
/// Those of the future.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn block_on<T>(
    future: impl Future<Output = Result<T, DeviceError>>,
) -> Result<T, DeviceError> {
    pollster::block_on(future)
}

/// Polls a future once. A page cannot wait, so only a future that is ready has a result. Futures of the CPU device are
/// always ready.
///
/// # Errors
/// Those of the future; [`DeviceError::Failed`] if the future is not ready.
#[cfg(target_arch = "wasm32")]
pub(super) fn block_on<T>(
    future: impl Future<Output = Result<T, DeviceError>>,
) -> Result<T, DeviceError> {
    use std::task::{Context, Poll, Waker};

    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(DeviceError::Failed {
            reason: "a page cannot wait for a GPU; await the async form of the call".to_string(),
        }),
    }
}
