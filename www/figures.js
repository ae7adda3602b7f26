// Copies a panel as a picture (SVG or PNG) or as a table (TSV); loaded when first asked for. In JavaScript, because it works on what is drawn,
// whatever drew it, and the viewer's own size is limited.
//
// The picture is made of rectangles, lines and text at the places where the browser has them, with no HTML inside, so
// that drawing programs open it, and so that a canvas may be read back after drawing it.
{
  const SVG = "http://www.w3.org/2000/svg";
  const SCALE = 2; // pixels of a PNG for one of the page
  const PAD = 8;
  const PROPERTIES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "text-anchor"];
  const FACE = ["font-family", "font-size", "font-weight", "font-style"];
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", {
    willReadFrequently: true,
  });

  /// Any CSS colour as what every program reads; null where nothing would be seen.
  const colour = (css) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = css;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return a === 0 ? null : { paint: `rgb(${r},${g},${b})`, opacity: +(a / 255).toFixed(3) };
  };

  const make = (name, attributes, parent) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent?.append(made);
    return made;
  };

  const draw = (panel) => {
    const frame = panel.getBoundingClientRect();
    const [width, height] = [Math.ceil(frame.width) + 2 * PAD, Math.ceil(frame.height) + 2 * PAD];
    const svg = make("svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` });
    const x = (left) => +(left - frame.left + PAD).toFixed(2);
    const y = (top) => +(top - frame.top + PAD).toFixed(2);
    const definitions = make("defs", {}, svg);
    const fill = (css, left, top, w, h, parent) => {
      const seen = w > 0 && h > 0 && colour(css);
      if (!seen) return;
      const at = { x: x(left), y: y(top), width: +w.toFixed(2), height: +h.toFixed(2) };
      make("rect", { ...at, fill: seen.paint, "fill-opacity": seen.opacity }, parent);
    };

    /// One line of text where the browser has it; its baseline is the face's ascent below the box's top.
    const write = (text, box, style, parent) => {
      if (!text.trim()) return;
      pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      const { fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent } = pen.measureText(text);
      const baseline = box.top + (box.height - ascent - descent) / 2 + ascent;
      const seen = colour(style.color);
      if (!seen) return;
      const face = Object.fromEntries(FACE.map((name) => [name, style.getPropertyValue(name)]));
      const place = { x: x(box.left), y: y(baseline), fill: seen.paint, "fill-opacity": seen.opacity, ...face };
      make("text", { ...place, "xml:space": "preserve" }, parent).textContent = text;
    };

    const text = (node, style, parent) => {
      const range = document.createRange();
      const lines = [];
      for (let at = 0; at < node.length; at++) {
        const wide = node.data.codePointAt(at) > 0xffff ? 2 : 1;
        range.setStart(node, at);
        range.setEnd(node, at + wide);
        const box = range.getClientRects()[0];
        const last = lines.at(-1);
        if (box && last && Math.abs(last.box.top - box.top) < 2) last.text += range.toString();
        else if (box) lines.push({ text: range.toString(), box });
        at += wide - 1;
      }
      for (const line of lines) write(line.text, line.box, style, parent);
    };

    const picture = (source, parent) => {
      const box = source.getBoundingClientRect();
      const copy = source.cloneNode(true);
      const originals = [source, ...source.querySelectorAll("*")];
      for (const [i, to] of [copy, ...copy.querySelectorAll("*")].entries()) {
        const style = getComputedStyle(originals[i]);
        for (const name of PROPERTIES.concat(to.tagName === "text" ? FACE : [])) {
          const value = style.getPropertyValue(name);
          const paint = (name === "fill" || name === "stroke") && value !== "none" && colour(value);
          if (paint) {
            to.setAttribute(name, paint.paint);
            to.setAttribute(`${name}-opacity`, paint.opacity);
          } else to.setAttribute(name, value);
        }
        for (const name of ["class", "style"]) to.removeAttribute(name);
      }
      const place = { x: x(box.left), y: y(box.top), width: box.width, height: box.height, overflow: "visible" };
      for (const [name, value] of Object.entries(place)) copy.setAttribute(name, value);
      parent.append(copy);
    };

    /// What a token is underlined with: a bar under what is helped, dots under what is hurt.
    const underline = (style, box, parent) => {
      const bar = /^(.*\)) 0px 2\.5px 0px 0px$/.exec(style.boxShadow);
      if (bar) fill(bar[1], box.left, box.bottom, box.width, 2.5, parent);
      const dots = /^linear-gradient\(90deg, (.*) 62%,/.exec(style.backgroundImage);
      for (let at = box.left; dots && at < box.right - 1; at += 4) fill(dots[1], at, box.bottom - 2.5, 2.5, 2.5, parent);
    };

    const walk = (element, parent) => {
      const style = getComputedStyle(element);
      const hidden = style.display === "none" || style.visibility === "hidden" || style.opacity === "0";
      if (hidden || element.matches("[data-copy], .visually-hidden, .expand, .log-switch, .bin-said")) return;
      if (element instanceof SVGSVGElement) return picture(element, parent);
      for (const box of element.getClientRects()) {
        fill(style.backgroundColor, box.left, box.top, box.width, box.height, parent);
        underline(style, box, parent);
        for (const [side, top] of [["Top", box.top], ["Bottom", box.bottom]]) {
          const thick = parseFloat(style[`border${side}Width`]);
          fill(style[`border${side}Color`], box.left, side === "Top" ? top : top - thick, box.width, thick, parent);
        }
      }
      let inside = parent;
      if (style.overflowX !== "visible" && element !== panel) {
        const box = element.getBoundingClientRect();
        const id = `clip-${definitions.childElementCount}`;
        const clip = make("clipPath", { id }, definitions);
        make("rect", { x: x(box.left), y: y(box.top), width: box.width, height: box.height }, clip);
        inside = make("g", { "clip-path": `url(#${id})` }, parent);
      }
      for (const child of element.childNodes) {
        if (child instanceof Text) text(child, style, inside);
        else if (child instanceof Element) walk(child, inside);
      }
    };
    fill(getComputedStyle(document.body).backgroundColor, frame.left - PAD, frame.top - PAD, width, height, svg);
    walk(panel, svg);
    return { source: new XMLSerializer().serializeToString(svg), width, height };
  };

  const png = async ({ source, width, height }) => {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: width * SCALE, height: height * SCALE });
    const context = canvas.getContext("2d");
    context.scale(SCALE, SCALE);
    context.drawImage(image, 0, 0);
    return new Promise((done, fail) => {
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the browser drew nothing"))), "image/png");
    });
  };

  /// A panel's rows, with the tokens' own text and all digits that the page has.
  const rowsOf = (panel) => {
    /// A label that stands under an index comes after the row's numbers.
    const unlabelled = (cell) => {
      const copy = cell.cloneNode(true);
      copy.querySelector(".label")?.remove();
      return copy.textContent.trim();
    };
    const cells = (row, css) => [...row.querySelectorAll(css)].map((cell) => cell.textContent.trim());
    const textOf = (tokens) => tokens.map((token) => (token.raw ? decodeURIComponent(token.raw) : token.textContent)).join("");
    const tables = [...panel.querySelectorAll("table")].flatMap((table) => [
      [table.caption.textContent],
      ...[...table.rows].map((row) => [...[...row.cells].map(unlabelled), ...cells(row, ".label")]),
    ]);
    const chipText = (chip) => [...chip.children].map((part) =>
      part.classList.contains("space") ? " ".repeat(part.textContent.length) : part.textContent).join("");
    const logits = [...panel.querySelectorAll("[data-token-logit]")].map((row) => {
      const chip = row.querySelector("[data-chip]");
      return [chip.dataset.chip, chipText(chip), row.dataset.tokenLogit];
    });
    const lines = [...panel.querySelectorAll("[data-line][data-row]")].map((line) => {
      const group = line.closest("[data-group]")?.querySelector("h2").textContent ?? "";
      const [act, count] = [line.querySelector(".line-act")?.firstChild.data ?? "", line.querySelector(".line-count")?.textContent.slice(1) || "1"];
      const tokens = [...line.querySelectorAll(".window [data-token-id]")];
      const bold = tokens.findIndex((token) => token.dataset.position === line.dataset.position);
      const parts = [tokens.slice(0, bold), tokens.slice(bold, bold + 1), tokens.slice(bold + 1)];
      return [group, line.dataset.row, line.dataset.position, act, count, ...parts.map(textOf)];
    });
    const histograms = [...panel.querySelectorAll("svg[data-bins]")].flatMap((plot) => {
      const [, , min, width] = plot.dataset.bins.split(" ").map(Number);
      const counts = plot.dataset.counts.split(" ");
      return [["from", "to", "count"], ...counts.map((count, i) => [min + i * width, min + (i + 1) * width, count].map(String))];
    });
    const head = (names, rows) => (rows.length ? [names, ...rows] : []);
    return [
      ...tables,
      ...head(["token id", "token", "logit"], logits),
      ...head(["group", "row", "position", "activation", "count", "before", "token", "after"], lines),
      ...histograms,
    ];
  };

  /// A cell with a tab, a line break or a quote in it stands in quotes, as spreadsheets read and write them.
  const cell = (text) => (/[\t\n\r"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const tsv = (panel) => rowsOf(panel).map((row) => row.map(cell).join("\t")).join("\n") + "\n";

  const FORMATS = {
    svg: ["SVG picture", (panel) => new Blob([draw(panel).source], { type: "image/svg+xml" })],
    png: ["PNG picture", (panel) => png(draw(panel))],
    tsv: ["TSV table", (panel) => new Blob([tsv(panel)], { type: "text/tab-separated-values" })],
  };
  const menu = Object.assign(document.createElement("div"), { id: "copy-menu", className: "menu copy-menu", popover: "auto" });
  menu.setAttribute("role", "group");
  menu.setAttribute("aria-label", "Copy as");
  /// The feature that a panel is of.
  const featureOf = (panel) => panel.closest("[data-score]")?.dataset.score ?? document.querySelector("h1[data-feature]")?.dataset.feature;
  let panel;
  for (const [format, [title, convert]] of Object.entries(FORMATS)) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: title });
    button.dataset.copyAs = format;
    button.addEventListener("click", async () => {
      try {
        const of = featureOf(panel);
        const name = of === undefined ? panel.dataset.panel : `feature-${of}-${panel.dataset.panel}`;
        await saeVisHand(await convert(panel), `${name}.${format}`);
      } catch (error) {
        saeVisSay(`Could not make the ${title}: ${error.message}`);
      }
      menu.hidePopover();
    });
    menu.append(button);
  }
  document.body.append(menu);

  addEventListener("click", ({ target }) => {
    const button = target.closest?.("[data-copy]");
    if (!button) return;
    panel = button.parentElement.querySelector("[data-panel]");
    menu.querySelector("[data-copy-as=tsv]").hidden = rowsOf(panel).length === 0;
    menu.showPopover();
    const [box, own] = [button.getBoundingClientRect(), menu.getBoundingClientRect()];
    menu.style.left = `${Math.max(8, box.right - own.width)}px`;
    menu.style.top = `${Math.max(8, Math.min(box.bottom + 4, innerHeight - own.height - 8))}px`;
    menu.querySelector("button").focus();
  });
}
