// The layout editor: presets, columns, components and their options, beside the page that they change; loaded when first
// asked for. The viewer says which components and options there are, checks each draft, and shows what the bundle holds.
//
// The draft may ask for more than the bundle holds: the control that asks says so, and the page keeps the last layout that
// could be shown. What can be shown is chosen at once.
{
  const ask = (what, json = "") => JSON.parse(globalThis.saeVisLayout(what, json));
  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [name, value] of Object.entries(attributes)) if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const on = (element, event, act) => {
    element.addEventListener(event, act);
    return element;
  };
  const button = (text, name, act) => on(make("button", { type: "button", class: "button", "data-do": name }, text), "click", act);

  let use, catalog, presets, draft, said;
  const editor = make("aside", { class: "editor", "aria-label": "Layout", "data-editor": "" });
  const optionsOf = (component) => catalog.find((kind) => kind.name === component.type)?.options ?? [];

  /// Draws the draft and shows it, where the bundle covers it.
  const attempt = () => {
    said = "";
    const checked = ask("choose", JSON.stringify(draft));
    if (checked.json) draft = JSON.parse(checked.json);
    draw(checked);
  };
  const change = (act) => {
    act();
    attempt();
  };

  /// Moves a component; both ends are counted before the move.
  const shift = (from, to) => change(() => {
    const [component] = draft.columns[from[0]].components.splice(from[1], 1);
    if (!component) return;
    const at = to[1] - (from[0] === to[0] && from[1] < to[1] ? 1 : 0);
    draft.columns[to[0]].components.splice(at, 0, component);
  });

  /// The value of an option: without a member it has its default.
  const valueOf = (component, option) => (option.name in component ? component[option.name] : option.default);
  const control = (component, option) => {
    const set = (value) => change(() => {
      component[option.name] = value;
    });
    const number = (label, value, set) => on(
      Object.assign(make("input", { type: "number", min: option.min, max: option.max, "aria-label": label, "data-option": option.name }), { value }),
      "change", ({ target }) => Number.isFinite(target.valueAsNumber) && set(Math.max(0, Math.trunc(target.valueAsNumber))));
    const checkbox = (label, checked, set) => on(
      Object.assign(make("input", { type: "checkbox", "aria-label": label, "data-option": option.name }), { checked }),
      "change", ({ target }) => set(target.checked));
    const now = valueOf(component, option);
    if (option.kind === "number") return [number(option.name, now, set)];
    if (option.kind === "flag") return [checkbox(option.name, now, set)];
    if (option.kind === "buffer") {
      const [before, after] = now ?? [5, 5];
      const whole = make("span", { class: "whole" }, checkbox("the whole row", now === null, (whole) => set(whole ? null : [before, after])), "all");
      return [number("tokens before", before, (n) => set([n, after])), number("tokens after", after, (n) => set([before, n])), whole];
    }
    const select = make("select", { "aria-label": option.name, "data-option": option.name }, ...option.choices.map((word) => make("option", { value: word, selected: word === now }, word)));
    return [on(select, "change", ({ target }) => set(target.value))];
  };

  let dragged = null;
  let unfolded = new Set();
  const componentView = (c, i, refusals) => {
    const column = draft.columns[c];
    const component = column.components[i];
    const move = (text, label, name, to) => on(
      make("button", { type: "button", class: "icon-button", "data-do": name, title: label, "aria-label": label, disabled: !to }, text),
      "click", () => shift([c, i], to));
    const last = (c) => [c, draft.columns[c].components.length];
    const options = optionsOf(component).map((option) => {
      const refusal = refusals.find((r) => r.component === component.type && r.option === option.name);
      return make("div", { class: "editor-option", title: option.about },
        make("span", { class: "code" }, option.name),
        make("span", { class: "editor-inputs" }, ...control(component, option)),
        make("p", { class: "refusal", "data-refusal": option.name }, refusal?.reason ?? ""));
    });
    const refused = refusals.some((r) => r.component === component.type);
    const details = make("details", { open: refused || unfolded.has(component.type) }, make("summary", {}, component.type), ...options);
    details.addEventListener("toggle", () => (details.open ? unfolded.add(component.type) : unfolded.delete(component.type)));
    const view = make("div", { class: "editor-component", draggable: "true", "data-component": component.type }, details,
      make("div", { class: "editor-moves" },
        move("↑", "Move up", "up", i > 0 && [c, i - 1]),
        move("↓", "Move down", "down", i + 1 < column.components.length && [c, i + 2]),
        move("←", "Move to the column before", "left", c > 0 && last(c - 1)),
        move("→", "Move to the column after", "right", c + 1 < draft.columns.length && last(c + 1)),
        on(make("button", { type: "button", class: "icon-button", "data-do": "remove", title: "Remove", "aria-label": "Remove" }, "×"),
          "click", () => change(() => column.components.splice(i, 1)))));
    on(view, "dragstart", (event) => {
      event.stopPropagation();
      dragged = [c, i];
      // Firefox begins no drag without data.
      event.dataTransfer?.setData("text/plain", component.type);
    });
    return on(view, "drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (dragged) shift(dragged, [c, i]);
      dragged = null;
    });
  };

  const px = (label, value, set) => {
    const input = Object.assign(make("input", { type: "number", placeholder: "auto", "data-px": label }), { value: value ?? "" });
    on(input, "change", ({ target }) => change(() => set(Number.isFinite(target.valueAsNumber) ? Math.max(0, Math.trunc(target.valueAsNumber)) : null)));
    return make("label", { class: "editor-px" }, `${label} `, input, " px");
  };

  const columnView = (c, refusals) => {
    const column = draft.columns[c];
    const add = make("select", { "aria-label": "Add a component", "data-do": "add" }, make("option", { value: "" }, "Add a component…"),
      ...catalog.map((kind) => make("option", { value: kind.name }, kind.name)));
    on(add, "change", ({ target }) => target.value && change(() => column.components.push({ type: target.value })));
    const view = make("section", { class: "editor-column", "data-column": c },
      make("header", {}, make("h3", {}, `Column ${c + 1}`), px("Width", column.width, (width) => {
        column.width = width;
      })),
      ...column.components.map((_, i) => componentView(c, i, refusals)),
      make("div", { class: "editor-row" }, add,
        draft.columns.length > 1 ? button("Remove column", "remove-column", () => change(() => draft.columns.splice(c, 1))) : null));
    on(view, "dragover", (event) => event.preventDefault());
    return on(view, "drop", (event) => {
      event.preventDefault();
      if (dragged) shift(dragged, [c, column.components.length]);
      dragged = null;
    });
  };

  const presetChoice = (json) => {
    const here = presets.find((preset) => preset.json === json);
    const choices = presets.map((preset) => on(
      make("button", { type: "button", class: "choice", "aria-pressed": preset.json === json ? "true" : false, "data-preset": preset.name }, preset.name),
      "click", () => change(() => {
        draft = JSON.parse(preset.json);
      })));
    const own = here ? null : make("span", { class: "choice", "aria-current": "true" }, "your own");
    const cut = here?.cut ? make("p", { class: "note", "data-cut": "" }, `Cut to what this bundle holds: ${here.cut}.`) : null;
    return [make("div", { class: "choices" }, ...choices, own), cut];
  };

  /// The layout as JSON: copied, downloaded, pasted, opened from a file.
  const exchange = (json) => {
    const read = (text) => {
      const checked = ask("choose", text);
      if (checked.json) draft = JSON.parse(checked.json);
      else said = `this is no layout: ${checked.error}`;
      draw(checked.json ? checked : ask("check", JSON.stringify(draft)));
    };
    const area = Object.assign(make("textarea", { rows: "4", spellcheck: "false", "data-json": "" }), { value: json });
    on(area, "change", ({ target }) => read(target.value));
    const file = on(make("input", { type: "file", accept: "application/json,.json", "data-do": "open" }), "change", async ({ target }) => read(await target.files[0].text()));
    const copied = async () => {
      try {
        await navigator.clipboard.writeText(location.href);
        say("The link is in the clipboard: it carries this layout.");
      } catch {
        say("The browser refused the clipboard: the address of the page is the link.");
      }
    };
    return make("section", { class: "editor-json" },
      make("label", {}, "As JSON, for ", make("span", { class: "code" }, "compute run --layout"), area),
      make("div", { class: "editor-row" },
        button("Download", "download", () => saeVisSave(new Blob([json], { type: "application/json" }), "layout.json")),
        make("label", { class: "button file" }, "Open a file", file),
        button("Copy link", "copy-link", copied)));
  };
  const say = (text) => {
    said = text;
    editor.querySelector("[data-said]").textContent = text;
  };

  const draw = ({ json, error, refusals }) => {
    const focused = editor.contains(document.activeElement) && document.activeElement.dataset;
    const place = focused && [...editor.querySelectorAll("button, input, select, textarea, summary")].indexOf(document.activeElement);
    editor.replaceChildren(
      make("header", { class: "editor-head" }, make("h2", {}, "LAYOUT"), button("Close", "close", () => toggle(false))),
      ...presetChoice(json).filter(Boolean),
      make("p", { class: "refusal", role: "status", "data-said": "" }, said || error || ""),
      ...draft.columns.map((_, c) => columnView(c, refusals ?? [])),
      ...(use === "feature" ? [button("Add column", "add-column", () => change(() => draft.columns.push({ components: [] })))] : []),
      px("Height of the page", draft.height, (height) => {
        draft.height = height;
      }),
      exchange(json ?? JSON.stringify(draft)));
    // The control that had the keyboard has it again.
    if (place !== false && place !== undefined) [...editor.querySelectorAll("button, input, select, textarea, summary")][place]?.focus();
  };

  const opener = () => document.querySelector("[data-layout-button]");
  const toggle = (open) => {
    document.documentElement.classList.toggle("editing", open);
    opener()?.setAttribute("aria-pressed", String(open));
    if (!open) {
      if (editor.contains(document.activeElement)) opener()?.focus();
      editor.remove();
      return;
    }
    ({ use, catalog, presets } = ask("catalog"));
    const now = ask("now");
    draft = JSON.parse(now.json);
    said = "";
    unfolded = new Set();
    draw(now);
    document.body.append(editor);
  };
  addEventListener("click", ({ target }) => {
    if (target.closest?.("[data-layout-button]")) toggle(!editor.isConnected);
  });
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && editor.isConnected) toggle(false);
  });
  // Another page has another layout, or none.
  const pageOf = (address) => /#\/(\w*)/.exec(address)?.[1] ?? "";
  addEventListener("hashchange", ({ oldURL, newURL }) => {
    if (editor.isConnected && pageOf(oldURL) !== pageOf(newURL)) toggle(false);
  });
}
