// Hands over what is copied: into the clipboard, or where the browser does not let the page, into a file; and says which.
{
  const said = document.createElement("output");
  said.className = "toast";
  said.setAttribute("role", "status");
  said.setAttribute("popover", "manual");
  document.body.append(said);

  let gone;
  /// Says something that needs no answer.
  globalThis.saeVisSay = (text) => {
    said.textContent = text;
    said.showPopover();
    clearTimeout(gone);
    gone = setTimeout(() => said.hidePopover(), 4_000);
  };

  globalThis.saeVisSave = (blob, name) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    saeVisSay(`Saved as ${name}`);
  };

  /// Text or a Blob; a file is called `name`.
  globalThis.saeVisHand = async (what, name) => {
    const blob = what instanceof Blob ? what : new Blob([what], { type: "text/plain" });
    const type = blob.type.startsWith("image/png") ? "image/png" : "text/plain";
    try {
      await navigator.clipboard.write([new ClipboardItem({ [type]: new Blob([blob], { type }) })]);
      saeVisSay("Copied");
    } catch {
      saeVisSave(blob, name);
    }
  };
}
