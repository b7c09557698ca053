// The table of cases: choose the metric, sort, filter, open one.
"use strict";

const ROWS_AT_ONCE = 300;

/** The table and what it shows at the moment. */
class CaseTable {
  constructor(data, onOpen) {
    this.data = data;
    this.onOpen = onOpen;
    this.metric = data.primary.metric;
    this.label = data.primary.label;
    this.filters = new Map();
    this.text = "";
    this.rule = "all";
    this.limit = null;
    this.most = ROWS_AT_ONCE;
    this.current = null;
    this.table = byId("case-table");
    this.#buildTools();
    this.sortWorstFirst();
    this.render();
  }

  get higherIsBetter() {
    return this.data.metrics[this.metric].direction !== "lower";
  }

  sortWorstFirst() {
    this.sort = { key: this.data.losses.length > 1 ? "mean" : "loss 0", isUp: this.higherIsBetter };
  }

  #buildTools() {
    const tools = byId("case-tools");
    const { data } = this;
    this.metricSelect = this.#select(tools, "Score", Object.keys(data.metrics).map((m) => [m, data.heading(m)]), (metric) => {
      this.metric = metric;
      this.sortWorstFirst();
    });
    this.metricSelect.id = "case-metric";
    this.metricSelect.value = this.metric;
    if (data.labels.length > 1) {
      const labels = data.labels.map((label, place) => [String(label), data.labelNames[place]]);
      const select = this.#select(tools, "Label", labels, (label) => {
        this.label = Number(label);
      });
      select.id = "case-label";
      select.value = String(this.label);
    }
    const search = make("input", { type: "search", id: "case-text", autocomplete: "off", spellcheck: "false" });
    search.addEventListener("input", () => {
      this.text = search.value.trim().toLowerCase();
      this.render();
    });
    tools.append(make("label", {}, make("span", {}, "Find"), search));
    Object.entries(data.categories).forEach(([name, values], position) => {
      const choices = [["", `any ${name}`], ...values.map((value) => [value, value])];
      this.#select(tools, name, choices, (value) => this.filters.set(position, value));
    });
    this.#buildRule(tools);
  }

  #buildRule(tools) {
    const noun = this.data.noun;
    const rules = [
      ["all", "every case"],
      ["below", `any ${noun} below`],
      ["above", `any ${noun} above`],
      ["undefined", `undefined for any ${noun}`],
    ];
    const limit = make("input", { type: "number", id: "case-limit", step: "any", "aria-label": "Limit of the score" });
    const select = this.#select(tools, "Show", rules, (rule) => {
      this.rule = rule;
      limit.hidden = rule !== "below" && rule !== "above";
      if (limit.value === "" && this.data.metrics[this.metric].isShare) limit.value = "0.5";
      this.limit = limit.value === "" ? null : Number(limit.value);
    });
    select.id = "case-rule";
    limit.hidden = true;
    limit.addEventListener("input", () => {
      this.limit = limit.value === "" ? null : Number(limit.value);
      this.render();
    });
    select.after(limit);
  }

  #select(tools, title, choices, onChange) {
    const options = choices.map(([value, words]) => make("option", { value }, words));
    const select = make("select", {}, ...options);
    select.addEventListener("change", () => {
      onChange(select.value);
      this.most = ROWS_AT_ONCE;
      this.render();
      this.onChange?.();
    });
    tools.append(make("label", {}, make("span", {}, title), select));
    return select;
  }

  /** The cases that pass the filters, sorted. */
  rows() {
    const { data } = this;
    const found = [];
    data.cases.forEach((known, number) => {
      const words = [known.name, known.patient, ...(known.groups ?? [])].join("\n").toLowerCase();
      if (this.text && !words.includes(this.text)) return;
      for (const [position, value] of this.filters) if (value && known.groups?.[position] !== value) return;
      const scores = data.losses.map((_, loss) => data.score("all", this.label, this.metric, number, loss));
      if (!this.#passes(scores)) return;
      found.push({ number, known, scores, ...data.overLosses(this.label, this.metric, number) });
    });
    const sign = this.sort.isUp ? 1 : -1;
    const text = new Intl.Collator(undefined, { numeric: true });
    const compareKeys = (a, b) => {
      if (a === null || b === null) return (a === null) - (b === null); // Undefined scores come last either way.
      return sign * (typeof a === "string" ? text.compare(a, b) : a - b);
    };
    return found.sort((a, b) => compareKeys(this.#key(a), this.#key(b)) || text.compare(a.known.name, b.known.name));
  }

  #passes(scores) {
    const values = scores.map(({ value }) => value);
    if (this.rule === "undefined") return values.includes(null);
    if (this.rule === "all" || this.limit === null) return true;
    return values.some((value) => value !== null && (this.rule === "below" ? value < this.limit : value > this.limit));
  }

  #key(row) {
    const { key } = this.sort;
    if (key === "case") return row.known.name;
    if (key === "patient") return row.known.patient;
    if (key === "mean" || key === "range") return row[key];
    const [kind, position] = key.split(" ");
    return kind === "group" ? (row.known.groups?.[position] ?? "") : row.scores[position].value;
  }

  /** Column titles: `[key, title, class, colour]`. */
  #columns() {
    const { data } = this;
    return [
      ["case", "Case", "name"],
      ["patient", "Patient", "name"],
      ...Object.keys(data.categories).map((name, position) => [`group ${position}`, name, "name"]),
      ...data.losses.map((loss, position) => [`loss ${position}`, loss, "loss", data.colours[position]]),
      ...(data.losses.length > 1 ? [["mean", "Mean", ""], ["range", "Range", ""]] : []),
    ];
  }

  render() {
    const rows = this.rows();
    const shown = rows.slice(0, this.most);
    this.order = rows.map(({ number }) => number);
    const larger = (most, { value }) => Math.max(most, Math.abs(value ?? 0));
    const largest = rows.reduce((most, { scores }) => scores.reduce(larger, most), 1e-9);
    this.scale = this.data.metrics[this.metric].isShare ? 1 : largest;
    this.table.tHead.replaceChildren(make("tr", {}, ...this.#columns().map((column) => this.#head(column))));
    this.table.tBodies[0].replaceChildren(...shown.map((row) => this.#row(row)));
    const rest = rows.length - shown.length;
    byId("case-count").textContent =
      `${rows.length} of ${this.data.cases.length} cases` + (rest ? `, the first ${shown.length} listed` : "");
    byId("case-more").hidden = rest === 0;
    byId("case-metric-link").replaceChildren(metricLink(this.metric, `What is ${this.data.metrics[this.metric].title}?`));
    this.mark(this.current);
  }

  #head([key, title, kind, colour]) {
    const isSorted = this.sort.key === key;
    const dot = colour ? make("i", {}) : null;
    dot?.style.setProperty("--c", colour);
    const arrow = make("span", { class: "arrow", "aria-hidden": "true" }, isSorted ? (this.sort.isUp ? "▲" : "▼") : "");
    const button = makeButton("", () => {
      const isText = key === "case" || key === "patient" || key.startsWith("group");
      const isUp = isText || (key !== "range" && this.higherIsBetter);
      this.sort = { key, isUp: isSorted ? !this.sort.isUp : isUp };
      this.render();
      this.table.querySelector(`th[data-key="${key}"] button`).focus();
    });
    button.append(...[dot, ...(colour ? breakable(title) : [title]), arrow].filter(Boolean));
    const sorted = isSorted ? (this.sort.isUp ? "ascending" : "descending") : null;
    return make("th", { scope: "col", class: kind, "data-key": key, "aria-sort": sorted }, button);
  }

  #row({ number, known, scores, mean, range, defined }) {
    const { data } = this;
    const open = makeButton(known.name, () => this.onOpen(number), { class: "case-open" });
    const cells = [
      make("th", { scope: "row", class: "name" }, open, data.isEmbedded.has(number) ? null : make("small", {}, "no pictures")),
      make("td", { class: "name" }, known.patient),
      ...(known.groups ?? []).map((group) => make("td", { class: "name" }, group)),
      ...scores.map((score) => this.#cell(score)),
    ];
    if (data.losses.length > 1) {
      const partial = defined < scores.length && defined > 0 ? `over ${defined} of ${scores.length}` : null;
      cells.push(make("td", { title: partial }, data.print(this.metric, mean) + (partial ? "*" : "")));
      cells.push(make("td", {}, data.print(this.metric, range)));
    }
    const row = make("tr", { "data-case": number }, ...cells);
    row.addEventListener("click", (event) => {
      if (!event.target.closest("button") && !getSelection().toString()) this.onOpen(number);
    });
    return row;
  }

  #cell({ value, reason }) {
    if (value === null) return make("td", { class: "undefined", title: reason }, "undefined");
    const cell = make("td", { class: "value" }, this.data.print(this.metric, value));
    cell.style.setProperty("--share", String(Math.min(1, Math.abs(value) / this.scale)));
    return cell;
  }

  /** Show which case the viewer holds. */
  mark(number) {
    this.current = number;
    for (const row of this.table.tBodies[0].rows) {
      const isCurrent = Number(row.dataset.case) === number;
      if (isCurrent) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  /** The case before or after another in the table's order; undefined at its ends. */
  beside(number, step) {
    const at = this.order.indexOf(number);
    return at < 0 ? this.order[0] : this.order[at + step];
  }
}

function startCases() {
  const data = new StudyData(JSON.parse(byId("case-index").textContent));
  byId("case-browser").hidden = false;
  const viewer = new Viewer(data);
  const table = new CaseTable(data, (number) => viewer.open(number, { isAsked: true }));
  viewer.table = table;
  table.onChange = () => viewer.refresh();
  byId("case-more").addEventListener("click", () => {
    table.most += ROWS_AT_ONCE;
    table.render();
  });
  for (const button of document.querySelectorAll("button[data-open]")) {
    button.hidden = false;
    button.addEventListener("click", () => viewer.open(Number(button.dataset.open), { isAsked: true }));
  }
  const first = data.order.find((number) => data.isEmbedded.has(number)) ?? data.order[0];
  if (first !== undefined) viewer.open(first, { isAsked: false });
}
