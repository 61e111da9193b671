// Sorts and filters tables of a page, which have one row per case. Without JavaScript they are complete and have no controls.
//
// <table data-sortable>            each <th scope="col"> of the head becomes a button that sorts the rows
//   <th data-choice="Site">        above the table, a list of this name with the values of the column selects rows
//   <td data-value="0.91">         value for sorting, if it is not the text; an empty value is always last
"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const add = (parent, name, properties) => parent.appendChild(Object.assign(document.createElement(name), properties));

  const sort = (column, descending) => {
    const numeric = rows.every((row) => !Number.isNaN(Number(value(row, column))));
    const sign = descending ? -1 : 1;
    const order = (a, b) => {
      const [first, second] = [value(a, column), value(b, column)];
      if (first === "" || second === "") return (first === "") - (second === "");
      return sign * (numeric ? first - second : first.localeCompare(second, "en", { numeric: true }));
    };
    body.append(...rows.slice().sort(order));
    heads.forEach((head, place) => {
      if (place === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  };
  heads.forEach((head, column) => {
    if (head.tagName !== "TH") return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column, head.getAttribute("aria-sort") === "ascending"));
    head.append(button);
  });

  const bar = Object.assign(document.createElement("div"), { className: "filters" });
  bar.setAttribute("role", "search");
  const words = add(add(bar, "label", { textContent: "Filter " }), "input", { type: "search" });
  const choices = heads.flatMap((head, column) => {
    const values = [...new Set(rows.map((row) => value(row, column)))].sort();
    if (!("choice" in head.dataset) || values.length < 2) return [];
    const list = add(add(bar, "label", { textContent: `${head.dataset.choice} ` }), "select", { ariaLabel: head.dataset.choice });
    add(list, "option", { textContent: "all", value: "*" });
    for (const one of values) add(list, "option", { textContent: one || "none", value: `=${one}` });
    return [{ column, list }];
  });
  const count = add(bar, "output", {});
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(wanted.every((word) => text.includes(word)) &&
        choices.every(({ column, list }) => list.value === "*" || list.value === `=${value(row, column)}`));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} cases`;
  };
  bar.addEventListener("input", filter);
  // A link to a row that the filter hides shows all rows.
  addEventListener("hashchange", () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target?.hidden || !body.contains(target)) return;
    words.value = "";
    for (const { list } of choices) list.value = "*";
    filter();
    target.scrollIntoView({ block: "center" });
  });
  filter();
  (table.closest(".scroll") ?? table).before(bar);
}
