// Runs in every page before the page's own scripts: records what was painted, so that tests need not be quick.
//
// `steps`: for each answer the distinct counts of its numbered words, in order, one look per animation frame.
// `lengths`: for each answer the lengths of its text, likewise; `changed`: when it last changed (ms since the epoch).
// `mutations`: for each message id, how many DOM mutations happened inside it.
// `doubles`: message ids that were in the page twice at once. `most`: the greatest number of messages at once.
// `sentences`: what stood beside the composer. `longest`: ms of the longest task.
// `loaded` is another number after each load of the document.
(() => {
  window.loaded = Math.random();
  const fresh = () => ({ steps: {}, lengths: {}, changed: {}, mutations: {}, doubles: [], most: 0, sentences: [], longest: 0 });
  window.watched = fresh();
  window.forgetWatched = () => { window.watched = fresh(); };
  const within = (node) => (node.nodeType === 1 ? node : node.parentElement)?.closest?.("[data-message-id]");
  const note = (list, value) => { if (list.at(-1) !== value) list.push(value); };
  let planned = false;
  const look = () => {
    planned = false;
    const { steps, lengths, changed, doubles } = window.watched;
    const messages = [...document.querySelectorAll("[data-testid=message]")];
    const ids = messages.map((message) => message.dataset.messageId);
    for (const [i, id] of ids.entries()) if (ids.indexOf(id) !== i && !doubles.includes(id)) doubles.push(id);
    window.watched.most = Math.max(window.watched.most, ids.length);
    const sentence = document.querySelector("form.composer .said p")?.textContent;
    if (sentence) note(window.watched.sentences, sentence);
    const last = messages.at(-1);
    if (last?.dataset.role !== "assistant") return;
    const text = [...last.querySelectorAll("[data-testid=answer]")].map((answer) => answer.textContent).join("");
    const id = last.dataset.messageId;
    note((steps[id] ??= []), (text.match(/w\d{6}/g) || []).length);
    if ((lengths[id] ??= []).at(-1) !== text.length) changed[id] = Date.now();
    note(lengths[id], text.length);
  };
  new MutationObserver((records) => {
    for (const record of records) {
      const id = within(record.target)?.dataset.messageId;
      if (id) window.watched.mutations[id] = (window.watched.mutations[id] ?? 0) + 1;
    }
    if (!planned) { planned = true; requestAnimationFrame(look); }
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) window.watched.longest = Math.max(window.watched.longest, task.duration);
  }).observe({ entryTypes: ["longtask"] });
})();
