//! Decoded files, each fetched once however many ask for it, the oldest dropped first.

use std::{cell::RefCell, collections::VecDeque, future::Future, sync::Arc};

use futures_util::future::{FutureExt as _, LocalBoxFuture, Shared};

use super::DataError;

/// A file that is being read, or has been.
pub type Pending<T> = Shared<LocalBoxFuture<'static, Result<Arc<T>, DataError>>>;

/// The files of one kind, by number.
pub(super) struct Files<T> {
    kept: RefCell<VecDeque<(usize, Pending<T>)>>,
    n_kept: usize,
}

impl<T: 'static> Files<T> {
    /// Keeps at most `n_kept` files.
    pub fn keeping(n_kept: usize) -> Self {
        Self { kept: RefCell::default(), n_kept }
    }

    /// File `i`: the kept one, or the one that `read` makes. One that failed is read again.
    pub fn get(
        &self,
        i: usize,
        read: impl Future<Output = Result<Arc<T>, DataError>> + 'static,
    ) -> Pending<T> {
        let mut kept = self.kept.borrow_mut();
        if let Some(at) = kept.iter().position(|(number, _)| *number == i)
            && let Some((_, pending)) = kept.remove(at)
            && !matches!(pending.peek(), Some(Err(_)))
        {
            kept.push_back((i, pending.clone()));
            return pending;
        }
        let pending = read.boxed_local().shared();
        kept.push_back((i, pending.clone()));
        while kept.len() > self.n_kept {
            kept.pop_front();
        }
        pending
    }
}
