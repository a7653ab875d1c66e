"use strict";
/* One page, two sources: what lies in the page itself, or the server that sent it. */

const data = JSON.parse(document.getElementById("page-data").textContent);
const player = document.getElementById("player");
const form = document.querySelector("form.wanted");
const state = { task: "", encoder: "", variant: "", level: "", words: "", tab: "all", page: 0 };

// ------------------------------------------------------------------------------- elements

function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

const number = value => value.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 }).replace("-", "−");
const signed = value => (value > 0 ? "+" : "") + number(value);
const rank = value => value === null ? "–" : value.toLocaleString("en", { maximumFractionDigits: 1 });

// -------------------------------------------------------------------------------- sources

function fromPage({ queries, found, sounds }) {
  const better = row => row.gain > 0 || (row.gain === 0 && row.rank_after < row.rank_before);
  const worse = row => row.gain < 0 || (row.gain === 0 && row.rank_after > row.rank_before);
  const tabs = {
    all: [() => true, (a, b) => a.text.localeCompare(b.text)],
    gains: [better, (a, b) => b.gain - a.gain],
    losses: [worse, (a, b) => a.gain - b.gain],
    disagreements: [row => row.spread > 0, (a, b) => b.spread - a.spread],
  };
  const sound = clip => sounds[clip.sound];
  return {
    async queries(wanted) {
      const [fits, order] = tabs[wanted.tab];
      const words = wanted.words.trim().toLowerCase();
      const rows = queries.filter(row => fits(row)
        && (!wanted.task || row.task === wanted.task)
        && (!wanted.level || row.levels.some(graded => graded.level === wanted.level))
        && `${row.text} ${row.description ?? ""}`.toLowerCase().includes(words)).sort(order);
      const start = wanted.page * data.page_rows;
      return { total: rows.length, queries: rows.slice(start, start + data.page_rows) };
    },
    async found(row) { return found[row.number]; },
    picture: clip => sound(clip)?.picture,
    async sound(clip) {
      if (!sound(clip)) throw new Error(clip.missing ?? "This sound is not in the page.");
      return sound(clip).audio;
    },
  };
}

function fromServer() {
  const kept = new Map();
  const ask = async (path, parameters) => {
    const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`);
    if (!answer.ok) throw new Error((await answer.json()).error);
    return answer;
  };
  const address = (path, clip) => `${path}?${new URLSearchParams({ benchmark: clip.benchmark, clip: clip.clip_id })}`;
  return {
    queries: async wanted => (await ask("queries", wanted)).json(),
    found: async row => (await ask("found", {
      task: row.task, encoder: row.encoder, variant: row.variant ?? "", query: row.query_id,
    })).json(),
    picture: clip => address("spectrogram", clip),
    async sound(clip) {
      const key = `${clip.benchmark}/${clip.clip_id}`;
      if (!kept.has(key)) {
        const answer = await ask("sound", { benchmark: clip.benchmark, clip: clip.clip_id });
        kept.set(key, URL.createObjectURL(await answer.blob()));
      }
      return kept.get(key);
    },
  };
}

const source = data.embedded ? fromPage(data.embedded) : fromServer();

// --------------------------------------------------------------------------------- sounds

let playing = null;

function follow() {
  if (!playing) return;
  playing.style.setProperty("--played", player.duration ? player.currentTime / player.duration : 0);
  requestAnimationFrame(follow);
}

function silence() {
  player.pause();
  playing?.setAttribute("aria-pressed", "false");
  playing?.style.setProperty("--played", 0);
  playing = null;
}

async function play(button, clip) {
  const again = playing === button;
  silence();
  if (again) return;
  playing = button;
  button.setAttribute("aria-pressed", "true");
  try {
    const sound = await source.sound(clip);
    if (playing !== button) return;
    player.src = sound;
    await player.play();
    follow();
  } catch (error) {
    if (error.name === "AbortError") return;
    silence();
    button.parentElement.querySelector(".problem")?.remove();
    button.after(make("p", { class: "problem", role: "alert", text: error.message }));
  }
}

player.addEventListener("ended", silence);

function playButton(clip) {
  const seconds = number(clip.stop_s - clip.start_s);
  const picture = source.picture(clip);
  const button = make("button", {
    type: "button", class: "play", "aria-pressed": "false",
    "aria-label": `Play “${clip.text}”, ${seconds} seconds of ${clip.video_id}; its spectrogram is shown`,
  }, picture && make("img", {
    src: picture, alt: "", loading: "lazy", decoding: "async", width: 192, height: 56,
    onerror: event => { event.target.hidden = true; },
  }));
  button.addEventListener("click", () => play(button, clip));
  return button;
}

// -------------------------------------------------------------------------------- queries

function verdict(relevance) {
  if (relevance === 1) return ["right", "✓ right"];
  if (relevance > 0) return ["partly", `◐ partly (${relevance.toFixed(2)})`];
  return ["wrong", "✗ wrong"];
}

function hit(result, place, benchmark) {
  const [kind, said] = verdict(result.relevance);
  const late = place >= data.top && result.rank > place + 1;
  const clip = result.clip_id && { ...result, benchmark };
  const from = clip ? `${clip.video_id} · ${number(clip.start_s)} s · ${number(clip.stop_s - clip.start_s)} s long · ` : "";
  return make("li", { class: `hit ${kind}${late ? " late" : ""}${clip ? "" : " text"}` },
    make("span", { class: "place", text: rank(result.rank) }),
    clip && playButton(clip),
    make("div", {},
      make("p", { text: result.text }),
      make("p", { class: "verdict-of", text: late ? `${said}, the first one` : said }),
      make("p", { class: "where-from", text: `${from}similarity ${result.similarity.toFixed(2).replace("-", "−")}` })));
}

function ranking(list, benchmark) {
  const name = list.variant === "visual" ? "With the visual text" : `With ${list.variant}`;
  const right = list.right === 1 ? "1 is right" : `${list.right.toLocaleString("en")} are right`;
  return make("section", { class: "ranking" },
    make("h3", { text: name }, make("span", {
      class: "muted", text: ` · of ${list.candidates.toLocaleString("en")} candidates ${right}`,
    })),
    make("ol", { class: "hits" }, ...list.results.map((result, place) => hit(result, place, benchmark))));
}

function texts(found, row) {
  const line = text => make("tr", { class: text.variant === row.variant ? "compared" : "" },
    make("th", { scope: "row", text: text.variant === "visual" ? "visual text" : text.variant }),
    make("td", { class: "said-as", text: text.text ?? "–" }),
    make("td", { text: `rank ${rank(text.rank)}` }),
    make("td", { class: "score", text: number(text.value) }));
  return make("table", { class: "texts" },
    make("thead", {}, make("tr", {},
      make("th", { scope: "col", class: "text", text: "text" }),
      make("th", { scope: "col", class: "text", text: "searched with" }),
      make("th", { scope: "col", text: "first right one" }),
      make("th", { scope: "col", text: `${task(row.task).metric}, %` }))),
    make("tbody", {}, ...found.texts.map(line)));
}

function body(found, row) {
  const { benchmark } = task(row.task);
  const own = found.clip && make("div", { class: "own" },
    playButton({ ...found.clip, benchmark }),
    make("p", { class: "muted", text: `The query is this sound, ${found.clip.video_id} at ${number(found.clip.start_s)} s.` }));
  return [
    own,
    texts(found, row),
    make("div", { class: "rankings" }, ...found.rankings.map(list => ranking(list, benchmark))),
  ].filter(Boolean);
}

function query(row, index) {
  const id = `found-${index}`;
  const moved = row.gain === null ? "" : row.gain > 0.05 ? "up" : row.gain < -0.05 ? "down" : "muted";
  const levels = row.levels.map(({ level, grader }) => row.levels.length > 1 ? `${level} (${grader})` : level).join(", ");
  const where = data.embedded ? `${task(row.task).name} · ${row.encoder} · ` : "";
  const shown = make("div", { class: "body", id, hidden: true });
  const head = make("button", { type: "button", class: "head", "aria-expanded": "false", "aria-controls": id },
    make("span", { class: "said", text: row.text }),
    make("span", { class: "moved-by" }, row.gain === null
      ? make("span", { class: "muted", text: row.variant ? "no description" : "" })
      : make("span", { class: moved, text: `${signed(row.gain)} points` })),
    make("span", { class: "about", text: [
      where + (row.variant ?? "visual text only"),
      `rank ${rank(row.rank_before)}${row.gain === null ? "" : ` → ${rank(row.rank_after)}`}`,
      levels && `informativeness ${levels}`,
    ].filter(Boolean).join(" · ") }));
  const toggle = async () => {
    const open = head.getAttribute("aria-expanded") !== "true";
    head.setAttribute("aria-expanded", String(open));
    shown.hidden = !open;
    if (!open || shown.childElementCount) return;
    try {
      shown.replaceChildren(...body(await source.found(row), row));
    } catch (error) {
      shown.replaceChildren(make("p", { class: "problem", role: "alert", text: error.message }));
    }
  };
  head.addEventListener("click", toggle);
  return [make("li", { class: "query" }, make("h2", {}, head), shown), toggle];
}

// ----------------------------------------------------------------------------------- list

const task = key => data.tasks.find(one => one.key === key);
let asked = 0;

async function show() {
  const turn = ++asked;
  const status = document.querySelector(".status");
  const list = document.querySelector(".queries");
  remember();
  let answer;
  try {
    answer = await source.queries(state);
  } catch (error) {
    status.textContent = error.message;
    return;
  }
  if (turn !== asked) return;  // the reader has asked for something else since
  silence();
  const { total, queries } = answer;
  const first = state.page * data.page_rows;
  status.textContent = total
    ? `${total.toLocaleString("en")} ${total === 1 ? "query" : "queries"}; ${first + 1} to ${first + queries.length}`
    : "No query fits.";
  const cards = queries.map(query);
  list.replaceChildren(...cards.map(([card]) => card));
  cards[0]?.[1]();
  const pages = document.querySelector(".pages");
  pages.hidden = total <= data.page_rows;
  pages.querySelector("[data-step='-1']").disabled = state.page === 0;
  pages.querySelector("[data-step='1']").disabled = first + queries.length >= total;
  pages.querySelector("span").textContent = `page ${state.page + 1} of ${Math.ceil(total / data.page_rows)}`;
}

function change(changes) {
  Object.assign(state, { page: 0 }, changes);
  show();
}

// ------------------------------------------------------------------------------- controls

function offer(select, values, chosen) {
  select.replaceChildren(...values.map(([value, text]) => make("option", { value, text, selected: value === chosen })));
  return select.value;
}

function offerSettings() {
  const { encoders = [], variants = [] } = task(state.task) ?? {};
  const same = names => names.map(name => [name, name]);
  state.encoder = offer(form.elements.encoder, same(encoders), state.encoder);
  state.variant = offer(form.elements.variant, same(variants), state.variant);
}

function selectTab() {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const selected = tab.dataset.tab === state.tab;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
  }
  document.getElementById("queries").setAttribute("aria-labelledby", `tab-${state.tab}`);
}

/* What is shown stands in the address, so that it can be kept and sent. */
function remember() {
  const told = Object.entries(state).filter(([, value]) => value && value !== "all");
  history.replaceState(null, "", `#${new URLSearchParams(told)}`);
}

function recall() {
  const told = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  for (const name of Object.keys(state)) if (name in told) state[name] = told[name];
  state.page = Math.max(0, Number.parseInt(state.page, 10) || 0);
  if (!task(state.task)) state.task = "";
  if (!document.getElementById(`tab-${state.tab}`)) state.tab = "all";
}

function start() {
  recall();
  const tasks = data.tasks.map(one => [one.key, one.name]);
  if (data.embedded) tasks.unshift(["", "all benchmarks"]);
  state.task = offer(form.elements.task, tasks, state.task);
  form.elements.level.value = state.level;
  form.elements.words.value = state.words;
  for (const field of form.querySelectorAll("[data-server]")) field.hidden = Boolean(data.embedded);
  offerSettings();
  selectTab();
  show();
}

form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("change", event => {
  if (event.target.name === "words") return;
  state[event.target.name] = event.target.value;
  if (event.target.name === "task") offerSettings();
  change({});
});
let typed;
form.elements.words.addEventListener("input", event => {
  clearTimeout(typed);
  typed = setTimeout(() => change({ words: event.target.value }), 150);
});
for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.addEventListener("click", () => { state.tab = tab.dataset.tab; selectTab(); change({}); });
  tab.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...document.querySelectorAll("[role=tab]")];
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
}
for (const button of document.querySelectorAll(".pages button")) {
  button.addEventListener("click", () => {
    change({ page: state.page + Number(button.dataset.step) });
    document.getElementById("queries").focus();
    document.getElementById("queries").scrollIntoView();
  });
}
start();
