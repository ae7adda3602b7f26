// The reader's own label, note, rating and lists of a feature, and the file they are exchanged by; loaded when first asked
// for. The file is the one that `compute label` reads: an array of objects with `feature` and `label`, the rest beside them.
{
  const AUTHOR = "sae-vis.author";
  const stored = (name) => {
    try {
      return localStorage.getItem(name) ?? "";
    } catch {
      return "";
    }
  };
  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const field = (title, name, input) => {
    input.dataset.note = name;
    return make("label", { class: "note-field" }, make("span", {}, title), input);
  };
  const button = (text, name, act) => {
    const made = make("button", { type: "button", class: "button", "data-note-do": name }, text);
    made.addEventListener("click", act);
    return made;
  };

  let feature = null;

  const label = make("input", { type: "text", autocomplete: "off", maxlength: "1000" });
  const lists = make("input", { type: "text", autocomplete: "off", list: "note-lists", placeholder: "to read, odd" });
  const known = make("datalist", { id: "note-lists" });
  const note = make("textarea", { rows: "3" });
  const rating = make("select", {}, ...["no rating", "1", "2", "3", "4", "5"].map((text, i) => make("option", { value: String(i) }, text)));
  const author = make("input", { type: "text", autocomplete: "off", placeholder: "in exported labels" });
  author.value = stored(AUTHOR);
  const others = make("ul", { class: "note-others" });
  const file = make("input", { type: "file", accept: ".json,.jsonl", class: "visually-hidden", "data-note": "import", tabindex: "-1", "aria-hidden": "true" });
  const blind = make("a", { class: "button", "data-note-do": "blind" }, "Blind test");
  const panel = make("form", { class: "notes", "aria-label": "Your notes" },
    field("Label", "label", label),
    field("Rating", "rating", rating),
    field("Lists", "lists", lists),
    field("Note", "note", note),
    field("Your name", "author", author),
    make("div", { class: "note-buttons" },
      button("Export all", "export", () => exported()),
      button("Import…", "import", () => file.click()),
      blind, file, known),
    others);
  panel.addEventListener("submit", (event) => event.preventDefault());

  const show = () => {
    const now = saeVisAnnotations.of(feature);
    label.value = now.label ?? "";
    blind.href = `#/feature/${feature}/blind`;
    note.value = now.note ?? "";
    rating.value = String(now.rating ?? 0);
    lists.value = (now.lists ?? []).join(", ");
    const names = new Set([...saeVisAnnotations.all().values()].flatMap((a) => a.lists ?? []));
    known.replaceChildren(...[...names].sort().map((name) => make("option", { value: name })));
    const said = (now.others ?? []).map((o) => make("li", {}, `${o.label} — ${[o.author, o.date?.slice(0, 10)].filter(Boolean).join(", ") || "unnamed"}`));
    if (now.blind) said.push(make("li", {}, `Blind test: ${now.blind.right} of ${now.blind.n} right, ${now.blind.date.slice(0, 10)}`));
    others.replaceChildren(...said);
  };
  const oneLine = (text) => text.replace(/\s+/g, " ").trim();
  panel.addEventListener("change", ({ target }) => {
    const changes = {
      label: () => ({ label: oneLine(label.value), author: author.value || undefined }),
      note: () => ({ note: note.value }),
      rating: () => ({ rating: Number(rating.value) || undefined }),
      lists: () => ({ lists: [...new Set(lists.value.split(",").map(oneLine).filter(Boolean))] }),
      author: () => {
        try {
          localStorage.setItem(AUTHOR, author.value);
        } catch {
          // The name then holds until the page is closed.
        }
        return undefined;
      },
    };
    const members = changes[target.dataset.note]?.();
    if (members) saeVisAnnotations.change(feature, members);
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    toggle(false);
  });

  // All that are annotated, each label with who wrote it and when; labels of others stay apart.
  const exported = () => {
    const own = ([feature, { others, ...a }]) => [{ feature, label: a.label || null, author: a.author, date: a.date, starred: a.starred || undefined, rating: a.rating, note: a.note || undefined, lists: a.lists?.length ? a.lists : undefined, blind: a.blind },
      ...(others ?? []).map((o) => ({ feature, ...o }))];
    const all = [...saeVisAnnotations.all()].sort(([a], [b]) => a - b).flatMap(own);
    if (all.length === 0) return saeVisSay("There is nothing to export yet.");
    saeVisSave(new Blob([JSON.stringify(all, null, 1) + "\n"], { type: "application/json" }), "labels.json");
  };

  /// The entries of a file of labels: an object, an array, or an object a line.
  const entriesOf = (text) => {
    let parsed;
    try {
      parsed = JSON.parse(text);
    } catch (error) {
      const lines = text.split("\n").filter((line) => line.trim());
      if (lines.length < 2) throw error;
      parsed = lines.map((line) => JSON.parse(line));
    }
    if (!Array.isArray(parsed)) return Object.entries(parsed).map(([feature, label]) => ({ feature, label }));
    return parsed;
  };

  const imported = async (text) => {
    const changed = new Map();
    for (const [i, entry] of entriesOf(text).entries()) {
      const at = Number(entry.feature ?? entry.index);
      if (!Number.isInteger(at) || at < 0) throw new Error(`entry ${i + 1} names no feature`);
      const said = oneLine(String(entry.label ?? entry.description ?? entry.explanation ?? entry.text ?? ""));
      const now = changed.get(at) ?? { ...saeVisAnnotations.of(at) };
      const { starred, rating, note, lists, blind, author, date } = entry;
      // A label beside one's own is another's: it is kept apart.
      if (said && now.label && now.label !== said) {
        const known = (now.others ?? []).some((o) => o.label === said && o.author === author);
        if (!known) now.others = [...(now.others ?? []), { label: said, author, date }];
      } else if (said) Object.assign(now, { label: said, author, date });
      Object.assign(now, Object.fromEntries(Object.entries({ starred, rating, note, lists, blind }).filter(([, value]) => value !== undefined)));
      changed.set(at, now);
    }
    await saeVisAnnotations.merge(changed);
    return changed.size;
  };
  file.addEventListener("change", async () => {
    try {
      const n = await imported(await file.files[0].text());
      saeVisSay(n === 1 ? "1 feature has annotations from the file" : `${n} features have annotations from the file`);
      show();
    } catch (error) {
      saeVisSay(`This is no file of labels: ${error.message}`);
    }
    file.value = "";
  });

  const host = () => document.querySelector("[data-notes-host]");
  const follow = new MutationObserver(() => {
    feature = Number(host()?.dataset.feature);
    show();
  });
  const toggle = (open) => {
    const at = host();
    document.querySelector("[data-notes]")?.setAttribute("aria-expanded", String(open));
    follow.disconnect();
    if (!open) {
      panel.remove();
      document.querySelector("[data-notes]")?.focus();
      return;
    }
    feature = Number(at.dataset.feature);
    show();
    at.append(panel);
    follow.observe(at, { attributeFilter: ["data-feature"] });
    label.focus();
  };
  addEventListener("click", ({ target }) => {
    if (target.closest?.("[data-notes]")) toggle(!panel.isConnected);
  });
}
