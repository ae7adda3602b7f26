//! Data on their way to a page.
//!
//! A `LocalResource` is compiled once for every type it holds, 10 KB each time; here they all hold one type.

use std::{any::Any, future::Future, marker::PhantomData, sync::Arc};

use futures_util::future::{FutureExt as _, LocalBoxFuture};
use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::DataError;

type Found = Result<SendWrapper<Arc<dyn Any>>, DataError>;

/// Data that are fetched again whenever a signal that `fetch` reads changes; until then the old ones are kept.
pub struct Loading<T> {
    resource: LocalResource<Found>,
    holds: PhantomData<fn() -> T>,
}

impl<T> Clone for Loading<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Loading<T> {}

impl<T: Clone + 'static> Loading<T> {
    /// Begins to fetch.
    pub fn new<F>(fetch: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = Result<T, DataError>> + 'static,
    {
        let fetch = move || {
            let found = fetch();
            async move { found.await.map(|data| SendWrapper::new(Arc::new(data) as Arc<dyn Any>)) }
                .boxed_local()
        };
        Self { resource: resource(Box::new(fetch)), holds: PhantomData }
    }

    /// What was found; `None` while nothing has come yet.
    pub fn get(self) -> Option<Result<T, DataError>> {
        let found = self.resource.get()?;
        Some(found.map(|data| match data.downcast_ref::<T>() {
            Some(data) => data.clone(),
            None => unreachable!("only `new` makes one, and it put a T there"),
        }))
    }

    /// Fetches again.
    pub fn refetch(self) {
        self.resource.refetch();
    }
}

fn resource(fetch: Box<dyn Fn() -> LocalBoxFuture<'static, Found>>) -> LocalResource<Found> {
    LocalResource::new(fetch)
}
