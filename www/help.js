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

  // The theme: the system's, until the reader turns it to light, dark, and back.
  const THEME = "sae-vis.theme";
  const NEXT = { system: "light", light: "dark", dark: "system" };
  const show = (theme) => {
    if (theme in NEXT && theme !== "system") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  show(kept(THEME));
  addEventListener("click", ({ target }) => {
    if (!target.closest?.("[data-theme-toggle]")) return;
    const theme = NEXT[root.dataset.theme ?? "system"];
    show(theme);
    keep(THEME, theme);
  });
}
