// Tokens that stand alone lead to other features: a menu at a token asks which are most active at it, and which raise its
// logit. Rows of a logits table are walked through with the arrow keys.
{
  const menu = Object.assign(document.createElement("div"), { id: "token-menu", className: "menu copy-menu", popover: "auto" });
  menu.setAttribute("role", "group");
  document.body.append(menu);

  /// The token's text as searches read it.
  const textOf = (chip) => [...chip.children].map((part) =>
    part.classList.contains("space") ? " ".repeat(part.textContent.length) : part.textContent).join("");

  const open = (chip) => {
    const text = textOf(chip);
    const condition = (name) => `#/?q=${encodeURIComponent(`${name}="${text.replaceAll('"', '""')}"`)}`;
    menu.replaceChildren(...[["Most active at", "top"], ["Raises the logits of", "logits"]].map(([title, name]) => {
      const link = Object.assign(document.createElement("a"), { href: condition(name) });
      link.dataset.tokenSearch = name;
      const token = Object.assign(document.createElement("span"), { className: "chip chip-plain", textContent: text.replaceAll(" ", "␣") });
      link.append(`${title} `, token);
      link.addEventListener("click", () => menu.hidePopover());
      return link;
    }));
    menu.setAttribute("aria-label", `Features by the token ${text}`);
    menu.showPopover();
    const [box, own] = [chip.getBoundingClientRect(), menu.getBoundingClientRect()];
    menu.style.left = `${Math.max(8, Math.min(box.left, innerWidth - own.width - 8))}px`;
    menu.style.top = `${Math.max(8, Math.min(box.bottom + 4, innerHeight - own.height - 8))}px`;
  };

  const chipAt = (target) => {
    const chip = target.closest?.("[data-chip]");
    return chip && !chip.closest(".features-row, #token-menu, a") ? chip : null;
  };

  addEventListener("click", ({ target }) => {
    const chip = chipAt(target);
    if (chip) open(chip);
  });

  addEventListener("keydown", (event) => {
    const row = event.target.closest?.("[data-token-logit]");
    if (!row) return;
    const rows = [...row.closest("[data-panel]").querySelectorAll("[data-token-logit]")];
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (by) {
      const next = rows[rows.indexOf(row) + by];
      if (next) {
        row.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      }
    } else if (event.key === "Enter" || event.key === " ") {
      open(row.querySelector("[data-chip]"));
      menu.querySelector("a").focus();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, { capture: true });

  // Text that is copied from tokens is what they stand for, not the escapes that they are shown as: line breaks are line
  // breaks. Each line of the page is a paragraph of the copy.
  addEventListener("copy", (event) => {
    const selection = getSelection();
    if (selection.isCollapsed) return;
    const range = selection.getRangeAt(0);
    const root = range.commonAncestorContainer;
    const holder = root.nodeType === Node.ELEMENT_NODE ? root : root.parentElement;
    const area = holder.closest("[data-tokens], .groups, .panel, main");
    const tokens = [...(area?.querySelectorAll("[data-token-id]") ?? [])].filter((token) => range.intersectsNode(token));
    // Within one token it is what is selected of it.
    if (tokens.length < 2) return;
    const lines = new Map();
    for (const token of tokens) {
      const line = token.closest("[data-line], token-line");
      lines.set(line, (lines.get(line) ?? "") + (token.raw ? decodeURIComponent(token.raw) : token.textContent));
    }
    event.clipboardData.setData("text/plain", [...lines.values()].join("\n"));
    event.preventDefault();
  });
}
