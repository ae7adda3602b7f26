//! Handlers of events.

/// A handler as one type for every event: the page's code holds one copy of what attaches it, not one for each handler.
pub fn handler<E>(handle: impl FnMut(E) + 'static) -> Box<dyn FnMut(E)> {
    Box::new(handle)
}
