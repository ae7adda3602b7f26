//! Work for the next frame.

use leptos::prelude::*;

/// Runs `work` in the next frame, unless what asks for it is gone by then, and its signals with it.
pub fn next_frame(work: impl FnOnce() + 'static) {
    // A page without frames is not painted, so that there is nothing to measure or draw.
    if let Ok(frame) = request_animation_frame_with_handle(work) {
        on_cleanup(move || frame.cancel());
    }
}
