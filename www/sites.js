// A site of several bundles: the list of them, and the module that reads their tables and neighbours. Only pages of a site
// load it.
import init, { SiteView, folderOf, wrongQuery } from "./site_view.js";

export { wrongQuery };

let loading;
const load = () => loading ??= init({ module_or_path: new URL("./site_view_bg.wasm", import.meta.url) });

/// The bytes at `url`; an error says what the host answered.
const bytesOf = async (url) => {
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new Error(`could not fetch: ${error.message}; is it being served, and may this page read from that host? (${url})`);
  }
  if (!response.ok) throw new Error(`could not fetch: the host answered ${response.status} (${url})`);
  return new Uint8Array(await response.arrayBuffer());
};

/// The address of the folder that `address` names, or null for a `.saevis`.
export const folder = async (address) => {
  await load();
  const found = folderOf(address);
  return found === undefined ? null : new URL(found, document.baseURI);
};

/// The site in the folder at `base`, a URL that ends in `/`.
export const openSite = async (base) => {
  await load();
  const view = new SiteView(await bytesOf(new URL("site.json", base)));
  const file = (path) => bytesOf(new URL(path.split("/").map(encodeURIComponent).join("/"), base));
  const bundles = JSON.parse(view.list());
  const once = new Map();
  /// What `read` gives for `key`; asked once, and again where it failed.
  const kept = (key, read) => {
    if (!once.has(key)) {
      const reading = read();
      once.set(key, reading);
      reading.catch(() => once.delete(key));
    }
    return once.get(key);
  };
  const manifest = (i) => kept(`manifest ${i}`, async () => view.open(i, await file(`${bundles[i].path}/manifest.json`)));
  return {
    base,
    bundles,
    /// Reads the table of bundle `i`, so that it can be searched.
    table: (i) => kept(`table ${i}`, async () => {
      await manifest(i);
      // The vocabulary of the bundles before is theirs too, if it is one file.
      const [index, vocab] = view.tablePaths(i);
      view.add(i, await file(index), vocab ? await kept(vocab, () => file(vocab)) : new Uint8Array());
    }),
    /// The first `n` features of bundle `i` that a search finds.
    search: (i, query, n) => JSON.parse(view.search(i, query, n)),
    /// The neighbours of `feature` of bundle `i` in each of some others; null where none are stored.
    neighbours: async (i, feature) => {
      await manifest(i);
      const path = view.neighboursPath(i, feature);
      return path === undefined ? null : JSON.parse(view.neighbours(i, feature, await kept(path, () => file(path))));
    },
  };
};

/// How each bundle is called in little room: by its hook point where that tells them apart, else by hook point and SAE.
export const shortNames = (bundles) => {
  const hooks = bundles.map((bundle) => bundle.hook ?? "no hook point");
  return bundles.map((bundle, i) => hooks.indexOf(hooks[i]) === hooks.lastIndexOf(hooks[i]) ? hooks[i] : `${hooks[i]} · ${bundle.sae || bundle.path}`);
};

/// An element with attributes and children.
export const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

/// A token on its own, as the viewer shows one: spaces at its ends are seen.
export const chip = ({ text, hit }) => {
  const inner = text.replace(/^ +| +$/g, "");
  const before = inner ? text.indexOf(inner) : text.length;
  const after = text.length - before - inner.length;
  const spaces = (n) => n ? [make("span", { class: "space" }, "␣".repeat(n))] : [];
  const shown = [...spaces(before), make("span", { class: "token-text" }, inner), ...spaces(after)];
  return make("span", { class: "chip chip-plain" }, ...(hit ? [make("mark", {}, ...shown)] : shown));
};
