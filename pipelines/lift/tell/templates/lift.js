// Headings of tables sort their rows: by a click or a key, the other way round, and as they were.
const number = /^[<±]?([+-]?[\d.]+)/;
const value = cell => (cell?.dataset.sort ?? cell?.textContent ?? "").trim().replace(/−/g, "-").replace(/,(?=\d)/g, "");

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], before = [...body.rows], heads = [...table.tHead.rows[0].cells];
  if (before.length < 2) continue;
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const told = before.map(row => value(row.cells[place])).filter(Boolean);
    const numbers = told.length > 0 && told.every(text => number.test(text));
    const orders = numbers ? ["descending", "ascending"] : ["ascending", "descending"];
    button.addEventListener("click", () => {
      const order = orders[orders.indexOf(head.getAttribute("aria-sort")) + 1];
      heads.forEach(one => one.removeAttribute("aria-sort"));
      if (order) head.setAttribute("aria-sort", order);
      const sign = order === "descending" ? -1 : 1;
      const compare = (one, other) => {
        const [a, b] = [one, other].map(row => value(row.cells[place]));
        // What has no value comes last, whichever way.
        if (!a || !b) return !a - !b;
        return sign * (numbers ? number.exec(a)[1] - number.exec(b)[1] : a.localeCompare(b, "en", { numeric: true }));
      };
      body.append(...(order ? [...before].sort(compare) : before));
    });
  });
}

// Paper has no summary to click on.
const closed = [...document.querySelectorAll("details:not([open])")];
addEventListener("beforeprint", () => closed.forEach(one => { one.dataset.open = one.open; one.open = true; }));
addEventListener("afterprint", () => closed.forEach(one => { one.open = one.dataset.open === "true"; }));
