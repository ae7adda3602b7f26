//! How much of their rows all examples show.

use leptos::prelude::*;
use page_logic::reading::Reach;
use shared::layout::{Component, Layout};

use crate::{components::handler::handler, state::Session};

/// The buffer of the layout's examples; `None` = whole rows.
pub fn buffer_of(layout: &Layout) -> Option<(u32, u32)> {
    let sequences = layout.components().find_map(|c| match c {
        Component::Sequences(options) => Some(options.buffer),
        _ => None,
    });
    sequences.unwrap_or(Some((0, 0)))
}

/// 5, 10 or 20 tokens on either side, or the whole row; what the layout shows is chosen at first.
pub fn context_switch(session: Session, layout: impl Fn() -> Layout + Send + Sync + 'static) -> AnyView {
    let now = Memo::new(move |_| match session.choices.reading().reach {
        Reach::Layout => Reach::of_buffer(buffer_of(&layout())),
        chosen => Some(chosen),
    });
    let choice = move |reach: Reach| {
        let choose = handler(move |_: web_sys::Event| session.choices.set_reach(reach));
        let name = reach.name();
        view! {
            <label class="segment">
                <input type="radio" name="context" value=name.clone() data-context=name.clone()
                    prop:checked=move || now.get() == Some(reach) on:change=choose />
                <span>{name}</span>
            </label>
        }
    };
    view! {
        <fieldset class="segments" title="Tokens around the bold one, in all examples (c)">
            <legend>"Context"</legend>
            {Reach::OFFERED.map(choice).into_iter().collect_view()}
        </fieldset>
    }
    .into_any()
}

/// Chooses the next of the offered contexts, round the end.
pub fn next_context(session: Session) {
    let now = session.choices.reading().reach;
    let at = Reach::OFFERED.iter().position(|reach| *reach == now).unwrap_or(0);
    session.choices.set_reach(Reach::OFFERED[(at + 1) % Reach::OFFERED.len()]);
}
