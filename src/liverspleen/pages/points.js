// The points of a figure are links. The tab key reaches a figure once, and the arrow keys move between its points.
"use strict";
for (const figure of document.querySelectorAll("figure svg")) {
  const points = [...figure.querySelectorAll("a")];
  points.forEach((point, place) => point.setAttribute("tabindex", place ? "-1" : "0"));
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const place = points.indexOf(event.target.closest("a"));
    if (!step || place < 0) return;
    event.preventDefault();
    const next = points[(place + step + points.length) % points.length];
    points[place].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
}
