// The reader's own annotations of features: stars, labels, notes, ratings, lists and scores of the blind test. They are kept
// in the browser (IndexedDB), by the SAE that they are about, so that another bundle of the same SAE has them too. The viewer
// reads them from the event `saevis-annotations`; what changes them is here and in notes.js.
{
  const [DATABASE, STORE] = ["sae-vis", "annotations"];
  const asked = (request) => new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });

  let opened;
  /// The browser's store; the annotations then last as long as the page where it has none.
  const database = () => {
    opened ??= (async () => {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(STORE);
        request.result.createObjectStore("files");
      };
      return asked(request);
    })();
    return opened;
  };
  globalThis.saeVisStore = {
    async get(store, key) {
      return asked((await database()).transaction(store).objectStore(store).get(key));
    },
    async set(store, key, value) {
      const objects = (await database()).transaction(store, "readwrite").objectStore(store);
      return asked(value === undefined ? objects.delete(key) : objects.put(value, key));
    },
    /// Changes what is kept, which another tab may have changed since it was read.
    async update(store, key, change) {
      const objects = (await database()).transaction(store, "readwrite").objectStore(store);
      return asked(objects.put(change(await asked(objects.get(key))), key));
    },
  };

  let sae = "";
  /// By feature: { starred, rating, label, note, lists, blind, date }.
  let annotations = new Map();
  /// Done once what is kept of `sae` has been read: a change before would be lost under it.
  let read = Promise.resolve();

  const plain = (text) => String(text ?? "").replace(/[\x1c-\x1f]/g, " ");
  const tell = () => {
    const records = [...annotations].map(([feature, a]) =>
      [feature, a.starred ? 1 : "", a.rating ?? "", plain(a.label), plain(a.note), ...(a.lists ?? []).map(plain)].join("\x1f"));
    dispatchEvent(new CustomEvent("saevis-annotations", { detail: records.join("\x1e") }));
  };
  const keep = async (features) => {
    const change = (kept = new Map()) => {
      for (const feature of features) {
        if (annotations.has(feature)) kept.set(feature, annotations.get(feature));
        else kept.delete(feature);
      }
      return kept;
    };
    try {
      await saeVisStore.update(STORE, sae, change);
    } catch (error) {
      saeVisSay(`The browser does not keep annotations: ${error?.message ?? error}. Export them before you leave.`);
    }
  };

  globalThis.saeVisAnnotations = {
    of: (feature) => annotations.get(feature) ?? {},
    all: () => annotations,
    get sae() {
      return sae;
    },
    /// Changes some members of a feature's annotation.
    async change(feature, members) {
      await read;
      const changed = { ...annotations.get(feature), ...members, date: new Date().toISOString() };
      const empty = !changed.starred && !changed.rating && !changed.label && !changed.note && !changed.lists?.length && !changed.blind;
      if (empty) annotations.delete(feature);
      else annotations.set(feature, changed);
      tell();
      await keep([feature]);
    },
    /// Replaces the annotations of several features.
    async merge(entries) {
      await read;
      for (const [feature, members] of entries) annotations.set(feature, { ...annotations.get(feature), ...members });
      tell();
      await keep([...entries].map(([feature]) => feature));
    },
  };

  // The viewer says which SAE is shown, each time that a bundle is opened.
  addEventListener("saevis-bundle", ({ detail }) => {
    sae = detail;
    annotations = new Map();
    read = (async () => {
      const kept = await saeVisStore.get(STORE, detail).catch(() => undefined); // A browser that keeps nothing.
      if (sae !== detail) return;
      annotations = kept ?? new Map();
      tell();
    })();
  });

  addEventListener("saevis-blind", ({ detail: [feature, right, n] }) => {
    saeVisAnnotations.change(feature, { blind: { right, n, date: new Date().toISOString() } });
  });

  const star = async (feature) => {
    await read;
    await saeVisAnnotations.change(feature, { starred: !saeVisAnnotations.of(feature).starred });
  };
  addEventListener("click", ({ target }) => {
    const button = target.closest?.("[data-star]");
    if (button) star(Number(button.dataset.star));
  });
}
