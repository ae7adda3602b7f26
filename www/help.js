// The help, and in it the reader's choices of how tokens are set. A page of fixed text: it stands here and not in the
// viewer, whose size is limited. The viewer opens it by its id, and by the key that it lists.
{
  const KEYS = [
    ["j →", "next feature"],
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

  // Each choice is a class of <html>, kept in the browser.
  const KEPT = "sae-vis.reading";
  const root = document.documentElement;
  const boxes = [...document.querySelectorAll("[data-reading]")];
  let kept = [];
  try {
    kept = JSON.parse(localStorage.getItem(KEPT)) ?? [];
  } catch {
    // A browser that keeps nothing, or something else under this name.
  }
  for (const box of boxes) {
    const choice = box.dataset.reading;
    box.checked = Array.isArray(kept) && kept.includes(choice);
    root.classList.toggle(choice, box.checked);
    box.addEventListener("change", () => {
      root.classList.toggle(choice, box.checked);
      try {
        localStorage.setItem(KEPT, JSON.stringify(boxes.filter((b) => b.checked).map((b) => b.dataset.reading)));
      } catch {
        // The choice then holds until the page is closed.
      }
    });
  }
}
