//! What failed, which file, and what to do.

use crate::components::handler::handler;
use leptos::prelude::*;

/// A note in place of what could not be shown, with a button to try again where that may help.
#[component]
pub fn ErrorNote(
    /// The message, in the project's style: lower case, what, remedy, path.
    message: String,
    /// What the button does.
    #[prop(optional, into)]
    retry: Option<Callback<()>>,
) -> impl IntoView {
    let button = retry.map(|retry| {
        view! { <button type="button" class="button" on:click=handler(move |_| retry.run(()))>"Try again"</button> }
    });
    view! {
        <div class="error-note" role="alert" data-error>
            <p>{message}</p>
            {button}
        </div>
    }
}
