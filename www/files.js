// Opens bundles from the reader's disk: picked, dropped, or picked before a reload, where the browser lets the page keep a
// handle on the file. The viewer gets each as the event `saevis-file` and opens it.
{
  const [STORE, KEY, HERE] = ["files", "opened", "sae-vis.opened"];
  const give = (file, restored) => dispatchEvent(new CustomEvent("saevis-file", { detail: [file, restored] }));

  // What this tab has open is kept for the tab, the handle for the browser.
  const here = (name) => {
    try {
      if (name === undefined) return sessionStorage.getItem(HERE);
      if (name === null) sessionStorage.removeItem(HERE);
      else sessionStorage.setItem(HERE, name);
    } catch {
      // The file is then asked for again after a reload.
    }
    return null;
  };

  const open = async (file, handle) => {
    give(file, false);
    here(file.name);
    try {
      await saeVisStore.set(STORE, KEY, handle);
    } catch {
      // A browser that keeps no handles.
    }
  };

  addEventListener("change", ({ target }) => {
    const file = target.matches?.("[data-open]") && target.files[0];
    if (!file) return;
    open(file, undefined);
    // The same file, changed on the disk, can be picked again.
    target.value = "";
  });

  // The browser's own picker gives a handle, which the input does not.
  addEventListener("click", async (event) => {
    if (event.target.closest?.("[data-close-file]")) here(null);
    if (!event.target.closest?.("label.file:has([data-open])") || !globalThis.showOpenFilePicker || navigator.webdriver) return;
    event.preventDefault();
    try {
      const types = [{ description: "Bundle", accept: { "application/octet-stream": [".saevis"] } }];
      const [handle] = await showOpenFilePicker({ id: "bundle", types });
      open(await handle.getFile(), handle);
    } catch (error) {
      if (error.name !== "AbortError") saeVisSay(`The file could not be opened: ${error.message}`);
    }
  });

  // Dragging a file over the page shows where to drop it: anywhere.
  const frame = Object.assign(document.createElement("div"), { className: "drop-frame", hidden: true });
  frame.textContent = "Drop a .saevis file to open it";
  document.body.append(frame);
  const isFile = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  let depth = 0;
  const show = (by) => {
    depth = Math.max(0, depth + by);
    frame.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => isFile(event) && show(1));
  addEventListener("dragleave", (event) => isFile(event) && show(-1));
  addEventListener("dragover", (event) => isFile(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    show(-depth);
    const [item] = event.dataTransfer.items;
    const file = event.dataTransfer.files[0];
    const handle = item?.getAsFileSystemHandle?.();
    if (file) open(file, await handle?.catch(() => undefined));
  });

  // After a reload: at once where the browser still allows it, or else when the reader says so.
  const restore = async () => {
    const name = here();
    if (!name) return;
    let handle;
    try {
      handle = await saeVisStore.get(STORE, KEY);
    } catch {
      return;
    }
    if (!handle || handle.name !== name) return;
    if ((await handle.queryPermission({ mode: "read" })) === "granted") {
      give(await handle.getFile(), true);
      return;
    }
    const again = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: `Open ${name} again` });
    again.addEventListener("click", async () => {
      again.remove();
      if ((await handle.requestPermission({ mode: "read" })) === "granted") give(await handle.getFile(), true);
    });
    document.querySelector("[data-file-host]")?.append(again);
  };
  addEventListener("saevis-started", restore, { once: true });
}
