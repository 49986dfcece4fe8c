"use strict";
// Sorting: the header's button turns its column's order; cells without a figure stay last either way.
(() => {
  const said = document.getElementById("said");
  const collator = new Intl.Collator("en", { numeric: true });

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const figure = cell.dataset.value;
    const words = (cell.dataset.text ?? cell.textContent).trim();
    return { figure: figure === undefined ? null : Number(figure), words, missing: words === "" || words === "n/a" };
  };

  const compare = (a, b, figures, sign) => {
    const lastA = figures ? a.figure === null : a.missing;
    const lastB = figures ? b.figure === null : b.missing;
    if (lastA || lastB) return lastA - lastB;
    return sign * (figures ? a.figure - b.figure : collator.compare(a.words, b.words));
  };

  const sort = (table, header, column) => {
    const descending = header.getAttribute("aria-sort") === "ascending";
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, value: valueOf(row, column) }));
    const figures = rows.some(({ value }) => value.figure !== null);
    rows.sort((a, b) => compare(a.value, b.value, figures, descending ? -1 : 1));
    body.append(...rows.map(({ row }) => row));
    for (const other of table.tHead.rows[0].cells) {
      if (other.querySelector("button")) other.setAttribute("aria-sort", "none");
    }
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    said.textContent = `Sorted by ${header.textContent.trim()}, ${descending ? "descending" : "ascending"}.`;
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    if (table.tBodies[0].rows.length < 2) continue;
    for (const header of table.tHead.rows[0].cells) {
      if (header.tagName !== "TH" || "unsorted" in header.dataset) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      header.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sort(table, header, header.cellIndex));
    }
  }

  // which row it is stays in sight while its figures are scrolled: its name, and its case where there is room
  const pin = (table) => {
    const heads = [...table.tHead.rows[0].cells].filter((one) => one.matches(".pin, .case"));
    const widths = heads.map((one) => one.offsetWidth);
    const all = widths.reduce((sum, one) => sum + one, 0) <= table.parentElement.clientWidth / 2;
    let left = 0;
    heads.forEach((head, place) => {
      const at = all ? `${left}px` : head.matches(".pin") ? "0px" : "auto";
      for (const row of table.rows) row.cells[head.cellIndex].style.left = at;
      left += widths[place];
    });
  };
  const sizes = new ResizeObserver((found) => found.forEach(({ target }) => pin(target.querySelector("table"))));
  for (const one of document.querySelectorAll(".scroll:has(> table)")) sizes.observe(one);

  // a link to a section that is folded away opens it
  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // such as #100%, which names no section
    }
  };
  const open = () => {
    const section = location.hash.length > 1 && document.getElementById(decoded(location.hash.slice(1)));
    const folded = section && section.querySelector(":scope > details");
    if (folded) folded.open = true;
  };
  addEventListener("hashchange", open);
  open();

  // paper shows what is folded away
  const folded = new Set();
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) {
      folded.add(one);
      one.open = true;
    }
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
    folded.clear();
  });
})();
