// Says what a bar of a histogram counts, where it is pointed at or reached with the arrow keys. The viewer draws the bars and
// hands over where they begin, how wide they are, what they count and how often.
{
  const numbers = (text) => text.split(" ").map(Number);

  /// A number with as many digits as neighbouring edges need to differ.
  const edge = (value, width) => value.toFixed(Math.min(12, Math.max(0, Math.ceil(-Math.log10(width)) + 1)));

  const show = (plot, bin) => {
    const [left, step, min, width] = numbers(plot.dataset.bins);
    const counts = numbers(plot.dataset.counts);
    const said = plot.parentElement.querySelector("[data-bin-said]");
    const mark = plot.querySelector(".bin");
    const known = bin >= 0 && bin < counts.length;
    mark.setAttribute("x", known ? left + bin * step : 0);
    mark.setAttribute("width", known ? step : 0);
    if (known) plot.dataset.bin = bin;
    else delete plot.dataset.bin;
    if (!known) said.textContent = "";
    else {
      const [low, high] = [min + bin * width, min + (bin + 1) * width];
      const unit = counts[bin] === 1 ? plot.dataset.unit : `${plot.dataset.unit}s`;
      said.textContent = `${edge(low, width)} – ${edge(high, width)}: ${counts[bin].toLocaleString("en")} ${unit}`;
    }
  };

  const plotOf = ({ target }) => target.closest?.("svg[data-bins]");

  addEventListener("pointermove", (event) => {
    const plot = plotOf(event);
    for (const other of document.querySelectorAll("svg[data-bin]")) {
      if (other !== plot && other !== document.activeElement) show(other, -1);
    }
    if (!plot) return;
    const box = plot.getBoundingClientRect();
    const [left, step] = numbers(plot.dataset.bins);
    const x = ((event.clientX - box.left) / box.width) * plot.viewBox.baseVal.width;
    show(plot, Math.floor((x - left) / step));
  });

  addEventListener("keydown", (event) => {
    const plot = plotOf(event);
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!plot || !by) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const n = plot.dataset.counts.split(" ").length;
    show(plot, (Number(plot.dataset.bin ?? (by > 0 ? -1 : n)) + by + n) % n);
  }, { capture: true });

  addEventListener("focusout", (event) => {
    const plot = plotOf(event);
    if (plot) show(plot, -1);
  });
}
