// Asks `compute serve` for a prompt that the bundle lacks. The viewer gets the answer as the event `saevis-prompt`, reads the
// bundle anew and shows the prompt.
{
  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const text = make("textarea", { id: "ask-text", rows: "6", maxlength: "60000", required: "", placeholder: "When John and Mary went to the shops," });
  const said = make("p", { class: "ask-said", role: "status", "data-ask-said": "" });
  const send = make("button", { class: "button primary", "data-ask-send": "" }, "Compute");
  const close = make("button", { type: "button", class: "button", "data-ask-close": "" }, "Close");
  const form = make("form", { class: "ask" },
    make("label", { for: "ask-text" }, "A prompt: which features are active in it?"),
    text, said, make("div", { class: "ask-buttons" }, send, close));
  const dialog = make("dialog", { id: "ask", "aria-label": "Ask for a prompt" }, form);
  document.body.append(dialog);
  const open = make("button", { type: "button", class: "button", "data-ask": "", title: "Compute a prompt of yours (a)" }, "Ask…");
  const show = () => {
    said.textContent = "";
    dialog.showModal();
    text.focus();
  };
  open.addEventListener("click", show);
  close.addEventListener("click", () => dialog.close());
  // Enter sends, as in other programs that one asks; Shift and Enter begins a line.
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input, textarea, select");
    if (event.key !== "a" || typing || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    // On the table every key is typed into the search box.
    if (document.getElementById("search")) return;
    event.preventDefault();
    show();
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const began = performance.now();
    said.classList.remove("wrong");
    said.textContent = "Computing…";
    send.disabled = true;
    try {
      const answer = await fetch("prompts", { method: "POST", body: text.value });
      const words = await answer.text();
      if (!answer.ok) throw new Error(words || `the server answers ${answer.status}`);
      dispatchEvent(new CustomEvent("saevis-prompt", { detail: `#/prompt/${words}` }));
      dialog.close();
      saeVisSay(`Prompt ${Number(words) + 1} took ${((performance.now() - began) / 1000).toFixed(1)} s`);
    } catch (error) {
      said.classList.add("wrong");
      said.textContent = error instanceof TypeError ? "The server does not answer: is it still running?" : error.message;
    } finally {
      send.disabled = false;
    }
  });

  // The viewer draws the bar once; the button stays in it.
  addEventListener("saevis-bundle", () => {
    if (!open.isConnected) document.querySelector("[data-layout-button]")?.before(open);
  });
}
