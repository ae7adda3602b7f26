//! Data on their way to a page.
//!
//! The latest question wins: its answer is shown when it comes, however slow the one before is, whose answer is then
//! dropped. Leptos's own resources wait for each answer before they ask again, so that one slow file would hold up the
//! page. All answers are kept as one type, because everything that holds another is compiled once more.

use std::{any::Any, future::Future, marker::PhantomData, rc::Rc};

use futures_util::future::{FutureExt as _, LocalBoxFuture};
use leptos::prelude::*;
use page_logic::error::DataError;

use super::in_background;

type FetchResult = Result<Rc<dyn Any>, DataError>;

/// Data that are fetched again whenever a signal that `fetch` reads changes; until they come, the old ones are kept.
pub struct Loading<T> {
    found: RwSignal<Option<FetchResult>, LocalStorage>,
    again: Trigger,
    holds: PhantomData<fn() -> T>,
}

impl<T> Clone for Loading<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Loading<T> {}

impl<T: Clone + 'static> Loading<T> {
    /// Begins to fetch. `fetch` reads its signals before it first waits.
    pub fn new<F>(fetch: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = Result<T, DataError>> + 'static,
    {
        let fetch = move || {
            let found = fetch();
            async move { found.await.map(|data| Rc::new(data) as Rc<dyn Any>) }.boxed_local()
        };
        let (found, again) = (RwSignal::new_local(None), Trigger::new());
        keep_latest(found, again, Box::new(fetch));
        Self { found, again, holds: PhantomData }
    }

    /// What was found; `None` while nothing has come yet, and on a page that is on its way out.
    pub fn get(self) -> Option<Result<T, DataError>> {
        let found = self.found.try_get()??;
        Some(found.map(|data| match data.downcast_ref::<T>() {
            Some(data) => data.clone(),
            None => unreachable!("only `new` makes one, and it put a T there"),
        }))
    }

    /// Fetches again.
    pub fn refetch(self) {
        self.again.notify();
    }
}

fn keep_latest(
    found: RwSignal<Option<FetchResult>, LocalStorage>,
    again: Trigger,
    fetch: Box<dyn Fn() -> LocalBoxFuture<'static, FetchResult>>,
) {
    let asked = StoredValue::new_local(0u32);
    Effect::new(move || {
        again.track();
        let pending = fetch();
        let Some(turn) = asked.try_get_value().map(|last| last + 1) else { return };
        asked.set_value(turn);
        in_background(async move {
            let answer = pending.await;
            // The page that asked may be gone, and its signals with it.
            if asked.try_get_value() == Some(turn) {
                found.set(Some(answer));
            }
        });
    });
}
