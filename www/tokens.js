// <example-list> and <token-line>: examples and tokens as elements. The viewer hands over a whole group, or a whole line,
// as one text, because handing over every attribute of every token takes ten times longer than drawing it. Elements
// that are there already are used again, and only what differs is changed.
//
// list:  example ␝ example …
// line, example:  row ␟ position of the first token ␟ index of the bold token ␟ index of the token that Tab stops at
//     ␟ activation ␟ count ␟ whether its letters are joined ␟ strip,
//   then for each token ␞ classes ␟ token id ␟ character that it is part of ␟ the text that it stands for, percent-encoded
//     ␟ text as shown; an index is -1 where there is none
// strip:  tokens of the row ; first position of the line ; one past its last ; a path for each strength
//
// ␝, ␞ and ␟ are U+001D to U+001F. They stand in no token, for control characters in tokens are shown as escapes. Texts
// become text nodes, never markup.
{
  const [BETWEEN_EXAMPLES, BETWEEN_TOKENS, BETWEEN_FIELDS] = ["\x1d", "\x1e", "\x1f"];

  const set = (element, name, value) => {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  };

  // Makes `parent` have one child for each item, a copy of `blank` where one is missing, and draws it.
  const each = (parent, items, blank, draw) => {
    let next = parent.firstElementChild;
    items.forEach((item, i) => {
      const child = next ?? parent.appendChild(blank.cloneNode(true));
      next = child.nextElementSibling;
      draw(child, item, i);
    });
    while (next) {
      const gone = next;
      next = next.nextElementSibling;
      gone.remove();
    }
  };

  const blankToken = document.createElement("span");
  blankToken.append("-");

  const drawToken = (span, token, position, isStop) => {
    const [classes, id, joined, raw, text] = token.split(BETWEEN_FIELDS);
    if (span.className !== classes) span.className = classes;
    set(span, "data-position", position);
    set(span, "data-token-id", id);
    set(span, "tabindex", isStop ? "0" : "-1");
    if (joined !== "") set(span, "data-joined", joined);
    else if (span.hasAttribute("data-joined")) span.removeAttribute("data-joined");
    if (span.firstChild.data !== text) span.firstChild.data = text;
  };

  // The line's tokens from index `from` on.
  const drawTokens = (parent, tokens, from, { first, stop }) =>
    each(parent, tokens, blankToken, (span, token, i) =>
      drawToken(span, token, String(first + from + i), from + i === stop));

  const read = (line) => {
    const [head, ...tokens] = line.split(BETWEEN_TOKENS);
    const [row, first, bold, stop, act, count, shaped, strip] = head.split(BETWEEN_FIELDS);
    return { row, first: Number(first), bold: Number(bold), stop: Number(stop), act, count, shaped: shaped === "1", strip, tokens };
  };

  customElements.define("token-line", class extends HTMLElement {
    set line(text) {
      const line = read(text);
      set(this, "data-row", line.row);
      drawTokens(this, line.tokens, 0, line);
    }
  });

  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  // Where bold tokens stand under one another, each part of the window is a box of its own.
  const blankExample = make("div", { role: "listitem", "data-line": "" },
    make("div", { class: "window" },
      make("span", { class: "before" }, make("span", { class: "ends" })),
      make("span", { class: "after" })),
    make("button", {
      type: "button", class: "expand", tabindex: "-1", "data-expand": "", title: "The whole row",
      "aria-label": "The whole row", "aria-expanded": "false",
    }));

  // Of the lists of a panel, the first is drawn at once; the others are drawn in the next frame, so that a reader who goes
  // from feature to feature never waits for what is further down.
  const waiting = new Set();
  const drawWaiting = () => {
    for (const list of waiting) list.draw();
    waiting.clear();
  };

  customElements.define("example-list", class extends HTMLElement {
    set examples(text) {
      this.text = text;
      const isFirst = !this.parentElement?.previousElementSibling;
      if (isFirst) {
        this.draw();
        return;
      }
      if (waiting.size === 0) requestAnimationFrame(() => requestAnimationFrame(drawWaiting));
      waiting.add(this);
    }

    draw() {
      const { text, aligned } = this;
      each(this, text === "" ? [] : text.split(BETWEEN_EXAMPLES), blankExample, (example, text) => {
        const line = read(text);
        const [window, button] = example.children;
        const bold = Math.max(line.bold, 0);
        set(example, "class", aligned ? "line aligned" : "line");
        set(example, "data-row", line.row);
        set(example, "data-position", String(line.first + bold));
        set(button, "aria-expanded", "false");
        drawTokens(window.firstElementChild.firstElementChild, line.tokens.slice(0, bold), 0, line);
        drawTokens(window.lastElementChild, line.tokens.slice(bold), bold, line);
      });
    }
  });
}
