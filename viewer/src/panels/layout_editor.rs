//! The layout editor: presets, columns, components and their options, beside the page that they change.
//!
//! The draft may ask for more than the bundle holds: the control that asks says so, and the page keeps the last layout
//! that could be shown. What can be shown is chosen at once.

use std::{cell::Cell, rc::Rc, sync::Arc};

use leptos::prelude::*;
use page_logic::{
    layouts::{Unfit, check, own, presets, used_by},
    route::escape,
};
use shared::layout::{Column, Component, Layout, OptionInfo, Setting, Use};

use crate::{
    components::handler::handler,
    data::Bundle,
    state::{Session, use_bundle},
};

/// A component's place: column and row.
type Place = (usize, usize);

/// What the editor's parts share.
#[derive(Clone, Copy)]
struct Editor {
    session: Session,
    r#use: Use,
    bundle: StoredValue<Arc<Bundle>>,
    draft: RwSignal<Layout>,
    said: RwSignal<String>,
}

impl Editor {
    /// Changes the draft; shows it if the bundle covers it.
    fn change(self, change: impl FnOnce(&mut Layout)) {
        let mut draft = self.draft.get_untracked();
        change(&mut draft);
        self.try_layout(draft);
    }

    fn try_layout(self, draft: Layout) {
        let bundle = self.bundle.get_value();
        self.said.set(String::new());
        if check(&draft, self.r#use, &bundle.manifest).is_ok() {
            let chosen = (draft != own(self.r#use, &bundle.manifest)).then(|| draft.clone());
            self.session.layouts.choose(self.r#use, chosen);
            self.session.replace(self.session.route.get_untracked());
        }
        self.draft.set(draft);
    }

    /// Moves the component at `from` to `to`, both counted before the move.
    fn shift(self, from: Place, to: Place) {
        self.change(|draft| {
            let moved = draft.columns.get_mut(from.0).filter(|c| from.1 < c.components.len());
            let Some(component) = moved.map(|c| c.components.remove(from.1)) else { return };
            let below = from.0 == to.0 && from.1 < to.1;
            if let Some(column) = draft.columns.get_mut(to.0) {
                let at = (to.1 - usize::from(below)).min(column.components.len());
                column.components.insert(at, component);
            }
        });
    }
}

/// The editor of the page's layout, where the page has one and the reader opened it.
#[component]
pub fn LayoutEditor() -> impl IntoView {
    let Some(session) = use_context::<Session>() else { return ().into_any() };
    let shown = Memo::new(move |_| if session.editing.get() { used_by(&session.route.get()) } else { None });
    Effect::new(move || {
        let class = document().document_element().map(|root| root.class_list());
        let done = class.map(|c| c.toggle_with_force("editing", shown.get().is_some()));
        debug_assert!(matches!(done, Some(Ok(_))), "the document has classes");
    });
    (move || match shown.get() {
        None => ().into_any(),
        Some(r#use) => {
            let bundle = use_bundle();
            let first =
                session.layouts.chosen(r#use).get_untracked().unwrap_or_else(|| own(r#use, &bundle.manifest));
            let (draft, said) = (RwSignal::new(first), RwSignal::new(String::new()));
            let editor = Editor { session, r#use, bundle: StoredValue::new(bundle), draft, said };
            view! {
                <aside class="editor" aria-label="Layout" data-editor>{move || body(editor)}</aside>
            }
            .into_any()
        }
    })
    .into_any()
}

fn body(editor: Editor) -> AnyView {
    let draft = editor.draft.get();
    let unfit = check(&draft, editor.r#use, &editor.bundle.get_value().manifest).err();
    let general = match &unfit {
        Some(Unfit::Invalid(reason)) => reason.clone(),
        _ => editor.said.get(),
    };
    let drag = Rc::new(Cell::new(None));
    let columns = (0..draft.columns.len()).map(|c| column(editor, &draft, c, unfit.as_ref(), &drag));
    let several = editor.r#use == Use::Feature;
    let add = several.then(|| {
        button("Add column", "add-column", move || editor.change(|d| d.columns.push(Column::default())))
    });
    view! {
        <header class="editor-head">
            <h2>"LAYOUT"</h2>
            {button("Close", "close", move || editor.session.editing.set(false))}
        </header>
        {preset_choice(editor, &draft)}
        <p class="refusal" role="status" data-said>{general}</p>
        {columns.collect_view()}
        {add}
        {px_input(editor, "Height of the page", draft.height, |draft, px| draft.height = px)}
        {exchange(editor, &draft)}
    }
    .into_any()
}

fn button(text: &'static str, name: &'static str, act: impl Fn() + 'static) -> AnyView {
    view! { <button type="button" class="button" data-do=name on:click=handler(move |_| act())>{text}</button> }.into_any()
}

/// The bundle's own layout, the presets, and whether the draft is one of them.
fn preset_choice(editor: Editor, draft: &Layout) -> AnyView {
    let bundle = editor.bundle.get_value();
    let mut known = vec![("the bundle's own", own(editor.r#use, &bundle.manifest))];
    known.extend(presets(editor.r#use).into_iter().map(|p| (p.name, p.layout)));
    let custom = known.iter().all(|(_, layout)| layout != draft);
    let choices = known.into_iter().map(|(name, layout)| {
        let why = check(&layout, editor.r#use, &bundle.manifest).err().map(|unfit| unfit.text());
        let here = (layout == *draft).then_some("true");
        let unfit = why.is_some();
        let title = why.unwrap_or_default();
        let choose = handler(move |_: web_sys::MouseEvent| editor.try_layout(layout.clone()));
        view! {
            <button type="button" class="choice" class:unfit=unfit aria-pressed=here title=title data-preset=name on:click=choose>{name}</button>
        }
    });
    let custom = custom.then(|| view! { <span class="choice" aria-current="true">"your own"</span> });
    view! { <div class="choices">{choices.collect_view()}{custom}</div> }.into_any()
}

fn column(
    editor: Editor,
    draft: &Layout,
    c: usize,
    unfit: Option<&Unfit>,
    drag: &Rc<Cell<Option<Place>>>,
) -> AnyView {
    let column = &draft.columns[c];
    let n = column.components.len();
    let components = (0..n).map(|i| component(editor, draft, (c, i), unfit, drag)).collect_view();
    let kinds = Component::all().map(|kind| {
        let name = kind.name().to_owned();
        let shown = name.clone();
        view! { <option value=name>{shown}</option> }
    });
    let add = move |e: web_sys::Event| {
        let name = event_target_value(&e);
        if let Some(kind) = Component::all().into_iter().find(|k| k.name() == name) {
            editor.change(|d| d.columns[c].components.push(kind));
        }
    };
    let remove = (draft.columns.len() > 1).then(|| {
        button("Remove column", "remove-column", move || {
            editor.change(|d| {
                d.columns.remove(c);
            });
        })
    });
    let dropped = drag.clone();
    let drop_last = move |e: web_sys::DragEvent| {
        e.prevent_default();
        if let Some(from) = dropped.take() {
            editor.shift(from, (c, n));
        }
    };
    view! {
        <section class="editor-column" data-column=c.to_string()
            on:dragover=handler(|e: web_sys::DragEvent| e.prevent_default()) on:drop=handler(drop_last)>
            <header>
                <h3>{format!("Column {}", c + 1)}</h3>
                {px_input(editor, "Width", column.width, move |draft, px| draft.columns[c].width = px)}
            </header>
            {components}
            <div class="editor-row">
                <select aria-label="Add a component" data-do="add" prop:value="" on:change=handler(add)>
                    <option value="">"Add a component…"</option>
                    {kinds.into_iter().collect_view()}
                </select>
                {remove}
            </div>
        </section>
    }
    .into_any()
}

fn component(
    editor: Editor,
    draft: &Layout,
    (c, i): Place,
    unfit: Option<&Unfit>,
    drag: &Rc<Cell<Option<Place>>>,
) -> AnyView {
    let component = &draft.columns[c].components[i];
    let kind = component.name().to_owned();
    let (n, n_columns) = (draft.columns[c].components.len(), draft.columns.len());
    let to = |text, label: &'static str, name: &'static str, place: Option<Place>| {
        let act =
            handler(move |_: web_sys::MouseEvent| place.into_iter().for_each(|to| editor.shift((c, i), to)));
        view! {
            <button type="button" class="icon-button" data-do=name title=label aria-label=label disabled=place.is_none() on:click=act>{text}</button>
        }
    };
    let last = |c: usize| (c, draft.columns[c].components.len());
    let remove = handler(move |_: web_sys::MouseEvent| {
        editor.change(|d| {
            d.columns[c].components.remove(i);
        });
    });
    let options = component.settings().into_iter().map(|(option, now)| {
        let refusal = match unfit {
            Some(Unfit::Refused(all)) => all
                .iter()
                .find(|r| r.component == component.name() && r.option == option.name)
                .map_or_else(String::new, |r| r.reason.clone()),
            _ => String::new(),
        };
        control(editor, (c, i), option, now, refusal)
    });
    let (begun, dropped) = (drag.clone(), drag.clone());
    let begin = move |e: web_sys::DragEvent| {
        e.stop_propagation();
        begun.set(Some((c, i)));
        // Firefox begins no drag without data.
        if let Some(data) = e.data_transfer() {
            let set = data.set_data("text/plain", &kind);
            debug_assert!(set.is_ok(), "data may be set while a drag begins");
        }
    };
    let drop_here = move |e: web_sys::DragEvent| {
        e.prevent_default();
        e.stop_propagation();
        if let Some(from) = dropped.take() {
            editor.shift(from, (c, i));
        }
    };
    view! {
        <div class="editor-component" draggable="true" data-component=component.name().to_owned()
            on:dragstart=handler(begin) on:drop=handler(drop_here)>
            <details>
                <summary>{component.name().to_owned()}</summary>
                {options.collect_view()}
            </details>
            <div class="editor-moves">
                {to("↑", "Move up", "up", i.checked_sub(1).map(|above| (c, above)))}
                {to("↓", "Move down", "down", (i + 1 < n).then_some((c, i + 2)))}
                {to("←", "Move to the column before", "left", c.checked_sub(1).map(last))}
                {to("→", "Move to the column after", "right", (c + 1 < n_columns).then(|| last(c + 1)))}
                <button type="button" class="icon-button" data-do="remove" title="Remove" aria-label="Remove" on:click=remove>"×"</button>
            </div>
        </div>
    }
    .into_any()
}

/// The control of one option.
fn control(editor: Editor, (c, i): Place, option: OptionInfo, now: Setting, refusal: String) -> AnyView {
    let name = option.name;
    let set = move |setting: Setting| {
        editor.change(|d| {
            let known = d.columns[c].components[i].set(name, setting);
            debug_assert!(known, "the control was made for this option");
        });
    };
    let number = move |label: &'static str, value: u32, set: Box<dyn Fn(u32)>| {
        let change = move |e: web_sys::Event| {
            let typed = event_target::<web_sys::HtmlInputElement>(&e).value_as_number();
            if typed.is_finite() {
                set(typed.max(0.0) as u32);
            }
        };
        view! {
            <input type="number" min=option.range.start().to_string() max=option.range.end().to_string() aria-label=label
                data-option=name prop:value=value.to_string() on:change=handler(change) />
        }
        .into_any()
    };
    let checkbox = |label: &'static str, checked: bool, set: Box<dyn Fn(bool)>| {
        let change = move |e: web_sys::Event| set(event_target_checked(&e));
        view! { <input type="checkbox" aria-label=label data-option=name prop:checked=checked on:change=handler(change) /> }.into_any()
    };
    let input = match now {
        Setting::Number(n) => number(name, n, Box::new(move |n| set(Setting::Number(n)))),
        Setting::Flag(on) => checkbox(name, on, Box::new(move |on| set(Setting::Flag(on)))),
        Setting::Buffer(buffer) => {
            let (before, after) = buffer.unwrap_or((5, 5));
            let whole =
                Box::new(move |whole: bool| set(Setting::Buffer((!whole).then_some((before, after)))));
            view! {
                {number("tokens before", before, Box::new(move |n| set(Setting::Buffer(Some((n, after))))))}
                {number("tokens after", after, Box::new(move |n| set(Setting::Buffer(Some((before, n))))))}
                <span class="whole">{checkbox("the whole row", buffer.is_none(), whole)}"all"</span>
            }
            .into_any()
        }
        Setting::Choice(now) => {
            let words = option.choices;
            let choices =
                words.iter().map(|&word| view! { <option value=word selected=word == now>{word}</option> });
            let choices = choices.collect_view();
            let change = move |e: web_sys::Event| {
                let chosen = event_target_value(&e);
                words.iter().filter(|word| **word == chosen).for_each(|&word| set(Setting::Choice(word)));
            };
            view! { <select aria-label=name data-option=name on:change=handler(change)>{choices}</select> }
                .into_any()
        }
    };
    view! {
        <div class="editor-option" title=option.about>
            <span class="code">{name}</span>
            <span class="editor-inputs">{input}</span>
            <p class="refusal" data-refusal=name>{refusal}</p>
        </div>
    }
    .into_any()
}

fn px_input(
    editor: Editor,
    label: &'static str,
    px: Option<u32>,
    set: impl Fn(&mut Layout, Option<u32>) + 'static,
) -> AnyView {
    let change = move |e: web_sys::Event| {
        let typed = event_target::<web_sys::HtmlInputElement>(&e).value_as_number();
        editor.change(|draft| set(draft, typed.is_finite().then_some(typed.max(0.0) as u32)));
    };
    let value = px.map_or_else(String::new, |px| px.to_string());
    view! {
        <label class="editor-px">{label}" "<input type="number" placeholder="auto" data-px=label prop:value=value on:change=handler(change) />" px"</label>
    }
    .into_any()
}

/// The layout as JSON: copied, downloaded, pasted, opened from a file.
fn exchange(editor: Editor, draft: &Layout) -> AnyView {
    let json = draft.to_json();
    let href = format!("data:application/json,{}", escape(&json));
    let read = move |text: &str| match Layout::from_json(text) {
        Ok(layout) => editor.try_layout(layout),
        Err(e) => editor.said.set(format!("this is no layout: {e}")),
    };
    let typed = move |e: web_sys::Event| read(&event_target_value(&e));
    let opened = move |e: web_sys::Event| {
        let Some(file) = event_target::<web_sys::HtmlInputElement>(&e).files().and_then(|f| f.get(0)) else {
            return;
        };
        crate::data::in_background(async move {
            let text = wasm_bindgen_futures::JsFuture::from(file.text()).await;
            match text.ok().and_then(|t| t.as_string()) {
                Some(text) => read(&text),
                None => editor.said.set("the file could not be read".to_owned()),
            }
        });
    };
    view! {
        <section class="editor-json">
            <label>
                "As JSON, for "<span class="code">"compute run --layout"</span>
                <textarea rows="4" spellcheck="false" data-json prop:value=json on:change=handler(typed)></textarea>
            </label>
            <div class="editor-row">
                <a class="button" download="layout.json" href=href data-do="download">"Download"</a>
                <label class="button file">"Open a file"<input type="file" accept="application/json,.json" data-do="open" on:change=handler(opened) /></label>
                {button("Copy link", "copy-link", move || copy_link(editor))}
            </div>
        </section>
    }
    .into_any()
}

fn copy_link(editor: Editor) {
    let href = window().location().href().unwrap_or_default();
    let copied = wasm_bindgen_futures::JsFuture::from(window().navigator().clipboard().write_text(&href));
    crate::data::in_background(async move {
        editor.said.set(match copied.await {
            Ok(_) => "The link is in the clipboard: it carries this layout.".to_owned(),
            Err(_) => "The browser refused the clipboard: the address of the page is the link.".to_owned(),
        });
    });
}
