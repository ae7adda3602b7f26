//! Decoded files, each fetched once however many ask for it, the oldest dropped first.
//!
//! They are kept as one type, so that the code that shares a fetch is compiled once.

use std::{any::Any, cell::RefCell, collections::VecDeque, future::Future, rc::Rc, sync::Arc};

use futures_util::future::{FutureExt as _, LocalBoxFuture, Shared};

use crate::error::DataError;

/// A file that is being read, or has been.
pub type Pending = Shared<LocalBoxFuture<'static, Result<Rc<dyn Any>, DataError>>>;

/// The files of one kind, by number.
pub struct Files {
    kept: RefCell<VecDeque<(usize, Pending)>>,
    n_kept: usize,
}

impl Files {
    /// Keeps at most `n_kept` files.
    pub fn keeping(n_kept: usize) -> Self {
        Self { kept: RefCell::default(), n_kept }
    }

    /// File `i`: the kept one, or the one that `read` makes. One that failed is read again.
    pub fn get(
        &self,
        i: usize,
        read: impl FnOnce() -> LocalBoxFuture<'static, Result<Rc<dyn Any>, DataError>>,
    ) -> Pending {
        let mut kept = self.kept.borrow_mut();
        if let Some(at) = kept.iter().position(|(number, _)| *number == i)
            && let Some((_, pending)) = kept.remove(at)
            && !matches!(pending.peek(), Some(Err(_)))
        {
            kept.push_back((i, pending.clone()));
            return pending;
        }
        let pending = read().shared();
        kept.push_back((i, pending.clone()));
        while kept.len() > self.n_kept {
            kept.pop_front();
        }
        pending
    }
}

/// The file as what it is.
pub async fn typed<T: 'static>(
    pending: impl Future<Output = Result<Rc<dyn Any>, DataError>>,
) -> Result<Arc<T>, DataError> {
    let any = pending.await?;
    match any.downcast_ref::<Arc<T>>() {
        Some(file) => Ok(Arc::clone(file)),
        None => unreachable!("files of one kind have one type"),
    }
}
