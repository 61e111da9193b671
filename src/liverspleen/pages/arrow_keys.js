// Moves between the rows of a table with <table data-arrow-keys>: right to the next shown row, left to the previous one.
// An element with the class `keys` explains this; it is hidden without JavaScript.
"use strict";
for (const table of document.querySelectorAll("table[data-arrow-keys]")) {
  for (const row of table.tBodies[0].rows) row.tabIndex = -1;
  for (const note of document.querySelectorAll(".keys")) note.hidden = false;
  addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest?.("input, select, textarea")) return;
    const shown = [...table.tBodies[0].rows].filter((row) => !row.hidden);
    if (shown.length === 0) return;
    const now = shown.findIndex((row) => row.contains(document.activeElement));
    const next = shown[Math.max(0, Math.min(now + step, shown.length - 1))];
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "start" });
  });
}
