// Starts the viewer. A file of its own, because the page's policy forbids inline scripts; the names of the built
// files, which carry a hash, are on the script's own tag.
import "./help.js";
import "./figures.js";
import "./tokens.js";

const status = document.getElementById("boot");
try {
  const { js, wasm } = document.querySelector("script[data-wasm]").dataset;
  const { default: init } = await import(new URL(js, document.baseURI));
  await init({ module_or_path: new URL(wasm, document.baseURI) });
  status.remove();
} catch (error) {
  status.setAttribute("role", "alert");
  status.textContent =
    `The viewer could not start: ${error.message ?? error}. It needs a browser from 2023 or later; reloading may help.`;
  throw error;
}
