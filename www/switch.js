// In the viewer, for a bundle of a site: the switch of SAEs, which keeps the place, and a feature's neighbours in the others.
import { make, openSite, shortNames } from "./sites.js";

const STAYED = "sae-vis.came-from";
let site, own;
const panel = make("section", { class: "neighbours", "data-neighbours": "", "aria-label": "In other SAEs" });
const host = make("span", { class: "site-switch", "data-site-switch": "" });

/// The address of the page that shows `fragment` of bundle `i`.
const addressOf = (i, fragment) => {
  const address = new URL(location.href);
  const folder = new URL(site.bundles[i].path + "/", site.base).href;
  // Relative where it can be: the address then survives a move of the whole site.
  const here = new URL(".", document.baseURI).href;
  address.searchParams.set("bundle", folder.startsWith(here) ? folder.slice(here.length) : folder);
  address.hash = fragment;
  // Slashes and colons in a query need no escape, and addresses are read by people.
  return address.href.replace(/%2F/g, "/").replace(/%3A/g, ":");
};

/// The feature on screen, or null.
const shownFeature = () => {
  const found = /^#\/feature\/(\d+)/.exec(location.hash);
  return found ? Number(found[1]) : null;
};

/// Goes to bundle `i`, to the same place: the same table or prompt, or the feature that is most like the one on screen.
const go = async (i) => {
  if (i === own || !site.bundles[i]) return;
  const feature = shownFeature();
  let fragment = location.hash, said;
  if (feature !== null) {
    const alike = (await site.neighbours(own, feature).catch(() => null))?.find((found) => found.path === site.bundles[i].path);
    const nearest = alike?.by_direction[0];
    fragment = nearest ? `#/feature/${nearest.feature}` : "#/";
    const name = shortNames(site.bundles)[own];
    said = nearest
      ? `Nearest by direction to feature ${feature} of ${name}: cosine ${nearest.value.toFixed(2)}`
      : `What is like feature ${feature} of ${name} was looked for in the SAEs next to it only`;
  }
  try {
    if (said) sessionStorage.setItem(STAYED, said);
  } catch {
    // Then nothing is said of the way here.
  }
  location.assign(addressOf(i, fragment));
};

const drawSwitch = () => {
  const names = shortNames(site.bundles);
  const options = names.map((name, i) => make("option", { value: i, ...(i === own ? { selected: "" } : {}) }, name));
  const select = make("select", { "data-site-select": "", "aria-label": "SAE", title: "SAE (Alt and ↑ ↓, or [ and ])" }, ...options);
  select.addEventListener("change", () => go(Number(select.value)));
  const step = (by, arrow, name) => {
    const button = make("button", { type: "button", class: "icon-button", "data-site-step": by, "aria-label": name, title: name }, arrow);
    button.disabled = !site.bundles[own + by];
    button.addEventListener("click", () => go(own + by));
    return button;
  };
  const all = make("a", { href: `site.html?site=${site.base.href}`, "data-all-saes": "" }, "All SAEs");
  host.replaceChildren(step(-1, "↑", "SAE before ([)"), select, step(1, "↓", "SAE after (])"), all);
  document.querySelector(".bundle-name")?.after(host);
  document.documentElement.classList.add("in-site");
};

/// Puts the neighbours below the feature's tables, or where a layout has none, below everything.
const place = (body) => {
  const tables = body.querySelector("[data-panel=feature-tables]");
  if (tables) tables.after(panel);
  else body.append(panel);
};

const drawNeighbours = async () => {
  const feature = shownFeature();
  const body = document.querySelector("main > .body");
  if (feature === null || own === undefined || !body) return panel.remove();
  let found;
  try {
    found = await site.neighbours(own, feature);
  } catch (error) {
    panel.replaceChildren(make("p", { role: "alert", "data-error": "" }, error.message));
    place(body);
    return;
  }
  // The reader may have gone on meanwhile.
  if (feature !== shownFeature()) return;
  if (!found?.length) return panel.remove();
  const names = shortNames(site.bundles);
  const link = (i, { feature, value }) => [
    make("td", {}, make("a", { href: addressOf(i, `#/feature/${feature}`), "data-neighbour": feature }, String(feature))),
    make("td", { class: "alike" }, value.toFixed(2)),
  ];
  const tables = found.flatMap(({ path, by_direction, by_activation }) => {
    const i = site.bundles.findIndex((bundle) => bundle.path === path);
    if (i < 0) return [];
    const empty = [make("td", {}, "–"), make("td")];
    const rows = Array.from({ length: Math.max(by_direction.length, by_activation.length) }, (_, k) =>
      make("tr", {}, ...[by_direction[k], by_activation[k]].flatMap((one) => (one ? link(i, one) : empty))));
    const head = (name, title) => make("th", { scope: "colgroup", colspan: "2", title }, name);
    return [make("table", { "data-neighbours-in": path }, make("caption", {}, names[i]), make("thead", {}, make("tr", {},
      head("writes alike", "Cosine of the decoders' directions in the residual stream"),
      head("fires alike", "Pearson correlation of activations at the same positions"))), make("tbody", {}, ...rows))];
  });
  panel.replaceChildren(make("h2", {}, "In other SAEs"), ...tables);
  panel.dataset.neighbours = feature;
  place(body);
};

/// Shows the site that the bundle on screen is of: its folder lies `nUp` folders above the bundle's.
export const start = async (bundle, nUp) => {
  const base = new URL("../".repeat(nUp), bundle);
  try {
    if (site?.base.href !== base.href) site = await openSite(base);
  } catch (error) {
    // The bundle itself is there: what it is beside is all that is missing.
    console.warn(`the site of this bundle: ${error.message}`);
    return;
  }
  const path = decodeURIComponent(bundle.href.slice(base.href.length).replace(/\/$/, ""));
  own = site.bundles.findIndex((listed) => listed.path === path);
  if (own < 0) return leave();
  drawSwitch();
  await drawNeighbours();
  try {
    const said = sessionStorage.getItem(STAYED);
    sessionStorage.removeItem(STAYED);
    if (said) saeVisSay(said);
  } catch {
    // As above.
  }
};

/// Shows nothing of a site: another bundle is open.
export const leave = () => {
  own = undefined;
  host.remove();
  panel.remove();
  document.documentElement.classList.remove("in-site");
};

addEventListener("keydown", (event) => {
  if (own === undefined || event.ctrlKey || event.metaKey || event.target.matches?.("input, textarea, select")) return;
  // On the table every key but those with Alt is typed into the search box.
  const typing = !event.altKey && document.getElementById("search");
  const by = event.altKey ? { ArrowUp: -1, ArrowDown: 1 }[event.key] : { "[": -1, "]": 1 }[event.key];
  if (!by || typing) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  go(own + by);
}, { capture: true });

// `main` says what is drawn.
new MutationObserver(drawNeighbours).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["data-ready"] });
