"use strict";
// Search, keys, sorting and zoom. The page can be read without: links and :target show layers, nodes and kernels.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const $ = (query, from = document) => from.querySelector(query);
  const $$ = (query, from = document) => Array.from(from.querySelectorAll(query));
  const field = $("#search"), found = $("#found"), list = $("#list");

  // Which page is open. A layer stays open while the pages of its nodes are looked at.
  const show = () => {
    const target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    $$(".page.open").forEach((page) => page.classList.remove("open"));
    if (target && target.classList.contains("page")) target.classList.add("open");
    if (target && target.classList.contains("layer")) {
      $$(".layer.open").forEach((layer) => layer.classList.remove("open"));
      target.classList.add("open");
      $("#inside").classList.add("chosen");
      mark(target);
    }
    if (location.hash === "#graph") {
      $$(".layer.open").forEach((layer) => layer.classList.remove("open"));
      $("#inside").classList.remove("chosen");
      mark($(".layer.first"));
    }
  };
  const mark = (layer) => {
    $$(".overview a.chosen").forEach((a) => a.classList.remove("chosen"));
    if (!layer) return;
    $$(".overview a").forEach((a) => {
      if (a.getAttribute("href") === "#" + layer.id) a.classList.add("chosen");
    });
  };
  const go = (href) => { location.hash = href; };
  const close = () => { if ($(".page.open")) go("#_"); };
  addEventListener("hashchange", show);

  // A click on a box in the overview opens the layer beside it: the page does not jump.
  document.addEventListener("click", (event) => {
    const a = event.target.closest("a[href^='#layer-'], a[href^='#n']");
    if (!a || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const id = a.getAttribute("href").slice(1), target = document.getElementById(id);
    if (!target) { if (/^n\d/.test(id)) event.preventDefault(); return; }
    if (target.classList.contains("section")) return;
    event.preventDefault();
    const x = scrollX, y = scrollY;
    go("#" + id);
    if (a.closest(".stage") || target.classList.contains("page")) scrollTo(x, y);
  });

  // Search: over what is on the page.
  let entries = null, chosen = -1;
  const index = () => {
    const layers = $$(".layer").map((layer) => ["layer", layer.dataset.name, "#" + layer.id]);
    const nodes = $$("#list .row:not(.head)").map((row) => {
      const a = $("a", row), cells = row.children;
      return a && ["node", cells[0].textContent + " " + cells[1].textContent + " " + cells[2].textContent, a.getAttribute("href")];
    });
    const kernels = $$(".page[data-name]").map((page) => ["kernel", page.dataset.name, "#" + page.id]);
    return [...layers, ...nodes.filter(Boolean), ...kernels].map((e) => [...e, e[1].toLowerCase()]);
  };
  const search = () => {
    entries = entries || index();
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = words.length ? entries.filter((e) => words.every((w) => e[3].includes(w))) : [];
    found.replaceChildren(...hits.slice(0, 40).map((e) => {
      const a = document.createElement("a"), kind = document.createElement("small");
      kind.textContent = e[0];
      a.href = e[2];
      a.append(kind, e[1]);
      return a;
    }));
    if (words.length && hits.length !== found.children.length) {
      const rest = document.createElement("p");
      rest.textContent = hits.length - 40 + " more";
      found.append(rest);
    }
    if (words.length && !hits.length) found.textContent = "nothing is called that";
    choose(hits.length ? 0 : -1);
  };
  const choose = (number) => {
    const hits = $$("a", found);
    chosen = hits.length ? Math.max(0, Math.min(number, hits.length - 1)) : -1;
    hits.forEach((a, i) => a.classList.toggle("chosen", i === chosen));
    if (chosen >= 0) hits[chosen].scrollIntoView({ block: "nearest" });
  };
  const leave = () => { field.value = ""; found.replaceChildren(); field.blur(); };
  field.addEventListener("input", search);
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Escape") leave();
    else if (event.key === "Enter" && chosen >= 0) {
      const href = $$("a", found)[chosen].getAttribute("href");
      leave();
      go(href);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  found.addEventListener("click", () => setTimeout(leave));

  // j and k walk through the list of nodes; Enter opens the one they stand on.
  const rows = () => $$(".row:not(.head)", list).filter((row) => $("a", row));
  const step = (by) => {
    const all = rows();
    if (!all.length) return;
    const open = $(".page.open");
    let at = all.findIndex((row) => row.classList.contains("chosen"));
    if (open) {
      const own = all.findIndex((row) => $("a", row).getAttribute("href") === "#" + open.id);
      if (own >= 0) at = own;
    }
    at = at < 0 ? 0 : Math.max(0, Math.min(at + by, all.length - 1));
    all.forEach((row) => row.classList.remove("chosen"));
    all[at].classList.add("chosen");
    if (open) go($("a", all[at]).getAttribute("href"));
    else all[at].scrollIntoView({ block: "nearest" });
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=search], select")) return;
    if (event.key === "/") { field.focus(); field.select(); }
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "Enter" && !event.target.closest("a, button, summary")) {
      const row = $(".row.chosen", list);
      if (!row) return;
      go($("a", row).getAttribute("href"));
    } else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });

  // Columns of the list are sorted by a click on their heads; numbers by what their units mean.
  const units = { ns: 1e-9, "µs": 1e-6, ms: 1e-3, s: 1, KiB: 1024, MiB: 1 << 20, GiB: 2 ** 30, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
  const value = (text) => {
    const match = /^%?(-?[\d.,]+)\s*([a-zA-Zµ]*)/.exec(text);
    if (!match) return text ? -1 : -2;
    const unit = match[2].replace(/FLOP$/, "");
    return parseFloat(match[1].replace(/,/g, "")) * (units[unit] || 1);
  };
  let sorted = [-1, 1];
  $$(".row.head b", list).forEach((head, column) => head.addEventListener("click", () => {
    sorted = [column, sorted[0] === column ? -sorted[1] : 1];
    const cells = $$(".row:not(.head)", list).map((row) => [row, row.children[column].textContent]);
    const numeric = column === 0 || (column > 4 && column < 10);
    cells.sort((a, b) => sorted[1] * (numeric ? (column ? -1 : 1) * (value(a[1]) - value(b[1])) : a[1].localeCompare(b[1])));
    const chunks = $$(".chunk", list);
    cells.forEach(([row], i) => chunks[Math.floor(i / 50)].append(row));
    $$(".row.head b", list).forEach((b) => b.classList.toggle("sorted", b === head));
  }));

  // The drawing as large as one likes.
  const drawing = $(".overview svg");
  const width = drawing ? drawing.viewBox.baseVal.width : 0;
  let scale = 1;
  $$("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
    scale = button.dataset.zoom === "0" ? 1 : scale * (button.dataset.zoom === "+" ? 1.25 : 0.8);
    drawing.style.width = width * scale + "px";
    drawing.style.maxWidth = "none";
    drawing.style.height = "auto";
  }));
  mark($(".layer.first"));
  show();
})();
