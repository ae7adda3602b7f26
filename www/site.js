// The start page of a site: its SAEs, and a search through the features of all of them.
import { chip, folder, make, openSite, shortNames, wrongQuery } from "./sites.js";

const SHOWN = 5;
const WAIT = 150;
const root = document.documentElement;
const main = document.querySelector("main");
// The theme that the reader turned the viewer to.
try {
  const theme = localStorage.getItem("sae-vis.theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
} catch {
  // The system's, then.
}
const params = new URLSearchParams(location.search);
const figure = (value, decimals) => value === undefined || value === null ? "–" : value.toFixed(decimals);
const count = (n) => n.toLocaleString("en");

/// The address of the viewer with bundle `i` at `fragment`.
const viewer = (site, i, fragment) => {
  const path = new URL(site.bundles[i].path + "/", site.base).href;
  const here = new URL(".", document.baseURI).href;
  return `${root.dataset.view}?bundle=${path.startsWith(here) ? path.slice(here.length) : path}${fragment}`;
};

const failed = (error) => make("p", { class: "error-note", role: "alert", "data-error": "" }, error.message ?? String(error));

/// The table of SAEs.
const saes = (site, names) => {
  const head = ["SAE", "hook point", "features", "L0", "explained variance", "loss recovered", "never active"];
  const rows = site.bundles.map((bundle, i) => {
    const health = bundle.health ?? {};
    const link = make("a", { href: viewer(site, i, "#/") }, make("bdi", {}, bundle.sae || bundle.path));
    const numbers = [count(bundle.n_features), figure(health.l0, 1), figure(health.explained_variance, 3), figure(bundle.loss_recovered, 3),
      health.n_dead === undefined ? "–" : count(health.n_dead)];
    return make("tr", { "data-sae": bundle.path }, make("th", { scope: "row" }, link), make("td", {}, make("bdi", {}, bundle.hook ?? "–")),
      ...numbers.map((text) => make("td", { class: "number" }, text)));
  });
  return make("div", { class: "site-scroll", tabindex: "0", role: "region", "aria-label": "SAEs" }, make("table", { class: "site-saes" },
    make("thead", {}, make("tr", {}, ...head.map((name, i) => make("th", { scope: "col", class: i > 1 ? "number" : undefined }, name)))),
    make("tbody", {}, ...rows)));
};

/// What a search found in bundle `i`.
const foundIn = (site, i, name, found, most, query) => {
  const bar = make("span", { class: "site-bar", "aria-hidden": "true" });
  bar.style.inlineSize = `${100 * found.n / Math.max(1, most)}%`;
  const all = make("a", { href: viewer(site, i, `#/?q=${encodeURIComponent(query)}`) }, `${count(found.n)} feature${found.n === 1 ? "" : "s"}`);
  const rows = found.features.map((feature) => make("tr", { "data-found-feature": feature.feature },
    make("th", { scope: "row" }, make("a", { href: viewer(site, i, `#/feature/${feature.feature}`) }, String(feature.feature))),
    make("td", { class: "number" }, figure(feature.max, 2)),
    make("td", { class: "number" }, feature.density === null ? "–" : `${(100 * feature.density).toPrecision(2)} %`),
    make("td", {}, ...feature.active.map(chip)), make("td", {}, ...feature.logits.map(chip))));
  const heads = ["feature", "max", "density", "most active at", "raises the logits of"];
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((name, i) => make("th", { scope: "col", class: i === 1 || i === 2 ? "number" : undefined }, name)))), make("tbody", {}, ...rows));
  const box = found.features.length ? [make("div", { class: "site-scroll", tabindex: "0", role: "region", "aria-label": `Features of ${name}` }, table)] : [];
  return make("section", { class: "site-found", "data-found-in": site.bundles[i].path, "data-n": found.n },
    make("h2", {}, make("bdi", {}, name)), make("div", { class: "site-count" }, make("span", { class: "site-track" }, bar), all), ...box);
};

const show = async () => {
  const site = await openSite(await folder(params.get("site") ?? root.dataset.site));
  const names = shortNames(site.bundles);
  const models = [...new Set(site.bundles.map((bundle) => bundle.model))];
  document.title = `${models.join(", ")} · sae-vis`;
  const box = make("input", { id: "site-search", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "a token, or density<1e-3 & top~Django" });
  box.value = params.get("q") ?? "";
  const said = make("p", { class: "site-said", role: "status", "data-site-said": "" });
  const results = make("div", { "data-site-results": "" });
  main.replaceChildren(
    make("h1", { class: "page-title" }, "Sparse autoencoders of ", make("bdi", {}, models.join(", "))),
    saes(site, names),
    make("div", { class: "site-search", role: "search" }, make("label", { for: "site-search" }, "Search the features of all SAEs"), box, said),
    results);

  let turn = 0;
  /// Shows what the box asks for; an answer that comes after another question is not shown.
  const search = async () => {
    const own = ++turn, query = box.value.trim();
    const address = new URL(location.href);
    if (query) address.searchParams.set("q", query);
    else address.searchParams.delete("q");
    history.replaceState(null, "", address);
    const wrong = query ? wrongQuery(query) : undefined;
    box.toggleAttribute("aria-invalid", Boolean(wrong));
    if (!query || wrong) {
      said.textContent = wrong ?? "";
      results.replaceChildren();
      main.dataset.ready = "site";
      return;
    }
    main.dataset.ready = "";
    try {
      for (let i = 0; i < site.bundles.length; i++) {
        if (own !== turn) return;
        said.textContent = `Reading table ${i + 1} of ${site.bundles.length}…`;
        await site.table(i);
      }
      if (own !== turn) return;
      const found = site.bundles.map((_, i) => site.search(i, query, SHOWN));
      const most = Math.max(...found.map(({ n }) => n)), all = found.reduce((sum, { n }) => sum + n, 0);
      said.textContent = `${count(all)} feature${all === 1 ? "" : "s"} in ${found.filter(({ n }) => n).length} of ${site.bundles.length} SAEs`;
      results.replaceChildren(...found.map((found, i) => foundIn(site, i, names[i], found, most, query)));
      main.dataset.ready = `site/${query}`;
    } catch (error) {
      if (own !== turn) return;
      said.textContent = "";
      results.replaceChildren(failed(error));
    }
  };
  let waiting;
  box.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, WAIT);
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target === box) return;
    event.preventDefault();
    box.focus();
  });
  await search();
};

show().catch((error) => main.replaceChildren(failed(error)));
