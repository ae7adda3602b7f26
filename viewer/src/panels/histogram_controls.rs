//! The switch that both histograms have.

use leptos::prelude::*;

use crate::{components::handler::handler, state::Session};

/// Turns the axis of counts from linear to logarithmic and back, in all histograms.
pub fn log_switch(session: Session, log: bool) -> impl IntoView {
    let toggle = handler(move |_: web_sys::MouseEvent| session.choices.toggle_log_counts());
    view! {
        <output class="bin-said" data-bin-said></output>
        <button type="button" class="log-switch" data-log-counts aria-pressed=log.to_string()
            title="Logarithmic counts" on:click=toggle>"log"</button>
    }
}
