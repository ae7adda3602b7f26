// The help, and what the reader chooses once for every bundle: how tokens are set, and the theme. Fixed text and classes
// of <html>: they stand here and not in the viewer, whose size is limited. The viewer opens the help by its id, and by the
// key that it lists.
{
  /// What the browser keeps under `name`; nothing in a browser that keeps nothing.
  const kept = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  };
  const keep = (name, value) => {
    try {
      localStorage.setItem(name, value);
    } catch {
      // The choice then holds until the page is closed.
    }
  };

  const KEYS = [
    ["j →", "next feature: of those in the table, if it was searched or sorted"],
    ["k ←", "previous feature"],
    ["g", "go to an index"],
    ["c", "context of the examples: 5, 10, 20 tokens, the row"],
    ["s", "star the feature"],
    ["n", "label, note, rating and lists of the feature"],
    ["r", "random feature"],
    ["j k → ←", "for a prompt: next, previous; position"],
    ["m", "for a prompt: the next metric"],
    ["l", "layout"],
    ["/", "search features; in the table, typing does"],
    ["Tab, arrows", "from token to token, from row to row"],
    ["Enter", "open the feature; show the whole row of a token"],
    ["?", "this help"],
    ["Esc", "close"],
  ];
  const keys = KEYS.map(([key, does]) => `<div><dt><kbd>${key}</kbd></dt><dd>${does}</dd></div>`).join("");
  document.body.insertAdjacentHTML("beforeend", `
    <div id="help" class="help" popover="auto" role="dialog" aria-label="Help">
      <h2>Keys</h2>
      <dl class="keys">${keys}</dl>
      <h2>Reading</h2>
      <label class="choice-box"><input type="checkbox" data-reading="monospace">Tokens in a monospace face</label>
      <label class="choice-box"><input type="checkbox" data-reading="wrapped">Wrap long examples</label>
      <h2>Colours</h2>
      <ul class="legend">
        <li><span class="token active f6">some</span> <span class="token active f20">most</span> activation, up to the feature’s largest</li>
        <li><span class="token helps u16">helps</span> the feature makes this token likelier (lower loss)</li>
        <li><span class="token hurts u16">hurts</span> the feature makes this token less likely</li>
      </ul>
    </div>`);

  // Each choice of reading is a class of <html>.
  const READING = "sae-vis.reading";
  const root = document.documentElement;
  const boxes = [...document.querySelectorAll("[data-reading]")];
  let chosen = [];
  try {
    chosen = JSON.parse(kept(READING)) ?? [];
  } catch {
    // Something else under this name.
  }
  for (const box of boxes) {
    const choice = box.dataset.reading;
    box.checked = Array.isArray(chosen) && chosen.includes(choice);
    root.classList.toggle(choice, box.checked);
    box.addEventListener("change", () => {
      root.classList.toggle(choice, box.checked);
      keep(READING, JSON.stringify(boxes.filter((b) => b.checked).map((b) => b.dataset.reading)));
    });
  }

  // The theme: the system's until the reader turns it, then theirs.
  const THEME = "sae-vis.theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
  const other = () => (theme() === "dark" ? "light" : "dark");
  const chosenTheme = kept(THEME);
  if (chosenTheme === "light" || chosenTheme === "dark") root.dataset.theme = chosenTheme;
  const name = () => {
    const button = document.querySelector("[data-theme-toggle]");
    button?.setAttribute("title", `Turn to the ${other()} theme`);
    button?.setAttribute("aria-label", `Turn to the ${other()} theme`);
  };
  dark.addEventListener("change", name);
  addEventListener("pointerover", name);
  addEventListener("focusin", name);

  // Words, explained where they stand and in the help.
  const TERMS = {
    density: "Share of all positions of the corpus at which the feature is active. 1% = one token in a hundred.",
    active: "Positions of the corpus at which the activation is above zero.",
    max: "The largest activation in the corpus.",
    mean: "Mean of the activations at active positions.",
    std: "Standard deviation of the activations at active positions.",
    skewness: "How lopsided the active values are: above 0, most are small and a few are large.",
    kurtosis: "How heavy the tail of the active values is, compared with a normal distribution (0): above 0, a few values stand far out.",
    interval: "Examples whose activation lies between the two values, chosen at random. CONTAINS: how many positions of the corpus do.",
    quantile: "Share of all positions of the corpus with a smaller value: 99.9% = among the strongest one in a thousand.",
    "loss effect": "What the feature does to the model’s loss at this token, in nats: loss with the feature less loss without it. Below 0 it helps: the token is likelier with it.",
    logits: "What the feature’s direction alone adds to each next token’s logit: the tokens that it makes likeliest and least likely when it is active.",
    conditions: "Conditions in the search box: density<1e-4 & kurtosis>50 & top~Django & starred. Statistics with < <= > >= =; top~ logits~ token~ label~ note~ list~ contain a text, with = they are it; starred, labelled, noted, dead; & and, | or, ! not, ( ). Text with such signs stands in quotes.",
  };
  const card = Object.assign(document.createElement("div"), { id: "term-card", className: "menu term-card", popover: "auto" });
  card.setAttribute("role", "note");
  document.body.append(card);
  const words = Object.entries(TERMS).map(([word, says]) => `<div><dt>${word}</dt><dd></dd></div>`).join("");
  document.querySelector("#help").insertAdjacentHTML("beforeend", `<h2>Words</h2><dl class="words">${words}</dl>`);
  for (const [i, dd] of [...document.querySelectorAll("#help .words dd")].entries()) dd.textContent = Object.values(TERMS)[i];

  const explain = (button) => {
    card.textContent = TERMS[button.dataset.term] ?? "";
    card.showPopover();
    const [box, own] = [button.getBoundingClientRect(), card.getBoundingClientRect()];
    card.style.left = `${Math.max(8, Math.min(box.left, innerWidth - own.width - 8))}px`;
    const below = box.bottom + 6;
    card.style.top = `${below + own.height > innerHeight ? Math.max(8, box.top - own.height - 6) : below}px`;
  };

  // The one line for a first visit, until it is closed or a feature is opened.
  const VISITED = "sae-vis.visited";
  const visit = () => {
    root.classList.add("visited");
    keep(VISITED, "1");
  };
  if (kept(VISITED)) root.classList.add("visited");

  addEventListener("click", ({ target }) => {
    const at = (css) => target.closest?.(css);
    if (at("[data-theme-toggle]")) {
      root.dataset.theme = other();
      keep(THEME, root.dataset.theme);
      name();
    } else if (at("[data-term]")) explain(at("[data-term]"));
    else if (at("[data-welcome-close]")) visit();
  });

  // A menu opens under its button.
  addEventListener("toggle", ({ target, newState }) => {
    const opener = newState === "open" && target.classList?.contains("menu") && document.querySelector(`[popovertarget="${target.id}"]`);
    if (!opener) return;
    const [box, own] = [opener.getBoundingClientRect(), target.getBoundingClientRect()];
    target.style.left = `${Math.max(8, Math.min(box.left, innerWidth - own.width - 8))}px`;
    target.style.top = `${Math.max(8, Math.min(box.bottom + 4, innerHeight - own.height - 8))}px`;
  }, { capture: true });
}
