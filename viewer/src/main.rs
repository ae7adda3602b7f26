//! Starts the viewer on the page that loaded it.

fn main() {
    leptos::mount::mount_to_body(viewer::App);
}
