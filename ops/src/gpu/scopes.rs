//! What a device says of what it was handed, once it has looked at it.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
};

use super::{
    BackendError,
    device::Gpu,
    waiting::{may_wait, wait},
};

impl Gpu {
    /// Runs `create` and returns what wgpu reported meanwhile as an error instead of raising a fault. In a page that is known later: a fault
    /// is raised then ([`Gpu::settled`]).
    pub(super) fn scoped<T>(&self, create: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        if may_wait().is_err() {
            return create();
        }
        let scopes = [OutOfMemory, Validation, Internal].map(|filter| self.device.push_error_scope(filter));
        let result = create();
        // Innermost first, and all of them: wgpu panics over one that closes before another inside it.
        let errors = scopes.into_iter().rev().map(|scope| wait(scope.pop())).collect::<Result<Vec<_>, _>>()?;
        let Some(error) = errors.into_iter().flatten().next() else {
            return result;
        };
        self.faults.check()?;
        Err(BackendError::Unsupported(error.to_string()))
    }

    /// Comes when the GPU is done with all that it has been handed by now. Somebody must poll the device meanwhile, as a browser does.
    pub async fn done(&self) {
        let news = Arc::new(Mutex::new((false, None::<Waker>)));
        let told = news.clone();
        self.queue.on_submitted_work_done(move || {
            let mut news = told.lock().unwrap_or_else(PoisonError::into_inner);
            news.0 = true;
            if let Some(waker) = news.1.take() {
                waker.wake();
            }
        });
        poll_fn(|context| {
            let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
            news.1 = Some(context.waker().clone());
            if news.0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Comes once the device has looked at all that it was handed, and says what it could not do with that.
    ///
    /// # Errors
    /// The first fault, if there is one.
    pub async fn settled(&self) -> Result<(), BackendError> {
        // The scope is empty; what it tells comes after the errors of what was there before it.
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        scope.pop().await;
        self.faults.check()
    }
}
