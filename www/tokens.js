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
    span.raw = raw;
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
      this.classList.toggle("shaped", line.shaped);
      if (line.shaped) set(this, "dir", "auto");
      else this.removeAttribute("dir");
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
    make("span", { class: "line-act" }, "", make("span", { class: "line-count" }, "")),
    make("div", { class: "window" },
      make("span", { class: "before" }, make("span", { class: "ends" })),
      make("span", { class: "after" })),
    make("button", {
      type: "button", class: "expand", tabindex: "-1", "data-expand": "", title: "The whole row",
      "aria-label": "The whole row", "aria-expanded": "false",
    }));

  const SVG = "http://www.w3.org/2000/svg";
  const svg = (name, attributes, ...children) => {
    const element = document.createElementNS(SVG, name);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  // Where in its row the feature is active: the line's own part is framed.
  const drawStrip = (example, strip) => {
    const old = example.querySelector(":scope > .strip");
    if (strip === "") {
      old?.remove();
      return;
    }
    const [length, from, to, ...paths] = strip.split(";");
    const marks = paths.map((d, i) => svg("path", { d, class: `strip-${i + 1}` }));
    const part = svg("rect", { x: from, y: 0, width: to - from, height: 1, class: "strip-part" });
    const drawn = svg("svg", { class: "strip", viewBox: `0 0 ${length} 1`, preserveAspectRatio: "none", "aria-hidden": "true" }, part, ...marks);
    if (old) old.replaceWith(drawn);
    else example.querySelector(":scope > .window").after(drawn);
  };

  const drawExample = (example, line) => {
    const bold = Math.max(line.bold, 0);
    const [before, after] = example.querySelector(":scope > .window").children;
    drawTokens(before.firstElementChild, line.tokens.slice(0, bold), 0, line);
    drawTokens(after, line.tokens.slice(bold), bold, line);
    drawStrip(example, line.strip);
    example.style.minHeight = "";
  };

  // Long lines are drawn once they come near the window: twenty rows of four thousand tokens are more than a reader sees.
  const LONG = 80;
  const later = new WeakMap();
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      const line = later.get(target);
      later.delete(target);
      if (line) drawExample(target, line);
    }
  }, { rootMargin: "600px" });

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
        const act = example.firstElementChild;
        set(example, "class", line.shaped ? "line shaped" : aligned ? "line aligned" : "line");
        set(example, "data-row", line.row);
        set(example, "data-position", String(line.first + Math.max(line.bold, 0)));
        if (line.shaped) set(example, "dir", "auto");
        else example.removeAttribute("dir");
        act.firstChild.data = line.act;
        act.lastElementChild.textContent = line.count;
        set(example.querySelector(":scope > .expand"), "aria-expanded", "false");
        if (line.tokens.length <= LONG) {
          later.delete(example);
          drawExample(example, line);
          return;
        }
        if (example.getBoundingClientRect().height < 40) example.style.minHeight = `${Math.ceil(line.tokens.length / 14) * 22}px`;
        later.set(example, line);
        near.observe(example);
      });
    }
  });
}
