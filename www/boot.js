// Starts the viewer. A file of its own, because the page's policy forbids inline scripts; the names of the built
// files, which carry a hash, are on the script's own tag.
import "./hand.js";
import "./annotations.js";
import "./help.js";
import "./files.js";
import "./plots.js";
import "./chips.js";
import "./tokens.js";

// What is seldom used is loaded by the first click that needs it, which is then done again.
const LATER = { "[data-copy]": "./figures.js", "[data-layout-button]": "./editor.js", "[data-notes]": "./notes.js" };
for (const [css, file] of Object.entries(LATER)) {
  const load = async (event) => {
    const button = event.target.closest?.(css);
    if (!button) return;
    event.stopImmediatePropagation();
    removeEventListener("click", load, { capture: true });
    await import(file);
    button.click();
  };
  addEventListener("click", load, { capture: true });
}

// A bundle that shares files with others is of a site, which lies so many folders above it; in a page of several bundles, all
// are. The viewer says which bundle is open, then whether it shares files.
let besides;
const besideOthers = async (nUp) => {
  besides ??= import("./switch.js");
  const { start } = await besides;
  const named = new URLSearchParams(location.search).get("bundle") ?? "bundle";
  const { folder } = await import("./sites.js");
  const bundle = await folder(named);
  if (bundle) await start(bundle, nUp);
};
addEventListener("saevis-bundle", async () => {
  const isReaders = document.querySelector("[data-opened-file]");
  if (besides) (await besides).leave();
  if ("site" in document.documentElement.dataset && !isReaders) await besideOthers(1);
});
addEventListener("saevis-site", (event) => besideOthers(event.detail));
// What is no bundle may be a site of several.
addEventListener("saevis-no-bundle", async (event) => {
  const site = new URL(event.detail, document.baseURI);
  const found = await fetch(new URL("site.json", site)).catch(() => null);
  if (found?.ok) location.replace(`site.html?site=${site.href}`);
});

// `compute serve` answers prompts, and says so on the root element.
if ("live" in document.documentElement.dataset) await import("./ask.js");

const status = document.getElementById("boot");
try {
  const { js, wasm } = document.querySelector("script[data-wasm]").dataset;
  const { default: init } = await import(new URL(js, document.baseURI));
  await init({ module_or_path: new URL(wasm, document.baseURI) });
  status.remove();
} catch (error) {
  status.setAttribute("role", "alert");
  const why = error instanceof WebAssembly.CompileError ? " It needs a browser from 2023 or later." : "";
  status.textContent = `The viewer could not start: ${error.message ?? error}.${why} Reloading may help.`;
  throw error;
}
