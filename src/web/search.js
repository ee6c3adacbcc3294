// search.js - the search page: what is asked for stands in the address, and is answered by cards.

import { t } from "./text.js";
import { $, button, calm, el, fileName, problem } from "./page.js";
import { ask, curl, get, offers, searchTakes, show, thumbnail } from "./api.js";
import * as picture from "./picture.js";
import { fill, focusCard, onCards } from "./cards.js";
import { why } from "./why.js";

const HISTORY = "ken.history", HISTORY_LENGTH = 12;
const EMPTY = { q: "", like: [], unlike: [], object: "", picture: 60, limit: 24, relevant: false, group: false, where: "" };
let query = { ...EMPTY }, running = null, last = null;
const names = new Map(); // of items, by id
const kept = new Map();  // pictures of this page's life, by the number that the browser's history holds
let number = Date.now();

// ---- the address ----

const numbers = (s) => (s || "").split(",").filter((x) => /^\d+$/.test(x));

function fromAddress() {
  const p = new URLSearchParams(location.search), share = Number(p.get("picture")), n = Number(p.get("n"));
  return { q: p.get("q") || "", like: numbers(p.get("like")), unlike: numbers(p.get("unlike")), object: p.get("object") || "",
    picture: share >= 5 && share <= 95 ? share : EMPTY.picture, limit: n >= 1 && n <= 1000 ? n : EMPTY.limit,
    relevant: p.has("relevant"), group: p.has("group"), where: p.get("where") || "" };
}

function toAddress(q) {
  const p = new URLSearchParams();
  if (q.q) p.set("q", q.q);
  if (q.like.length) p.set("like", q.like.join(","));
  if (q.unlike.length) p.set("unlike", q.unlike.join(","));
  for (const name of ["object", "where"]) if (q[name]) p.set(name, q[name]);
  for (const name of ["relevant", "group"]) if (q[name]) p.set(name, "1");
  if (q.picture !== EMPTY.picture) p.set("picture", q.picture);
  if (q.limit !== EMPTY.limit) p.set("n", q.limit);
  return "?" + p.toString().replace(/%2C/g, ",");
}

async function push(replace) {
  const state = {};
  if (picture.has()) {
    const now = picture.current();
    state.picture = { number: ++number, name: now.name, crop: now.crop };
    kept.set(number, now);
    const small = await picture.smallCopy();
    if (small) state.picture.data = small;
  }
  const put = replace ? "replaceState" : "pushState";
  try {
    history[put](state, "", toAddress(query));
  } catch { // more than the browser keeps: without the picture
    if (state.picture) delete state.picture.data;
    history[put](state, "", toAddress(query));
  }
}

// What the address, and the browser's history, say is asked for.
export function restore() {
  query = fromAddress();
  const p = history.state && history.state.picture;
  if (!p) picture.put(null);
  else if (kept.has(p.number)) picture.put({ ...kept.get(p.number), crop: p.crop });
  else if (p.data) picture.put({ blob: picture.fromDataUrl(p.data), name: p.name, crop: p.crop });
  else {
    picture.put(null);
    problem(new Error(t("lostPicture")));
  }
  render();
  return run();
}

// ---- the form ----

const hasPictures = () => picture.has() || query.like.length > 0 || Boolean(query.object);
const isEmpty = () => !query.q && !hasPictures() && !query.unlike.length;

async function nameOf(id) {
  if (!names.has(id)) {
    try {
      names.set(id, fileName((await get("/items/" + id)).path));
    } catch {
      return id;
    }
  }
  return names.get(id);
}

function chip(text, drop) {
  return el("li", {}, el("span", {}, text), button("✕", drop, { class: "plain", "aria-label": t("remove", text) }));
}

async function chips() {
  const list = [];
  if (query.object) list.push(chip(t("object", query.object), () => go({ object: "" })));
  for (const id of query.like) list.push(chip(t("like", await nameOf(id)), () => go({ like: others(query.like, id) })));
  for (const id of query.unlike) {
    list.push(chip(t("unlike", await nameOf(id)), () => go({ unlike: others(query.unlike, id) })));
    list[list.length - 1].className = "not";
  }
  $("terms").replaceChildren(...list);
}

function sayWeight() {
  const share = Number($("weight").value);
  $("weightvalue").textContent = t("weightValue", 100 - share, share);
}

export function render() {
  $("words").value = query.q;
  $("weight").value = query.picture;
  if (![...$("limit").options].some((o) => Number(o.value) === query.limit)) $("limit").append(el("option", {}, query.limit));
  $("limit").value = query.limit;
  $("relevant").checked = query.relevant;
  $("group").checked = query.group;
  $("where").value = query.where;
  $("weighing").hidden = !(query.q && hasPictures());
  $("query").hidden = !picture.has() && $("weighing").hidden;
  $("relevantlabel").hidden = !searchTakes("min_score", "auto");
  $("grouplabel").hidden = !searchTakes("group_by");
  $("wherelabel").hidden = !searchTakes("where");
  sayWeight();
  chips();
}

// Ask for something else: the members of query that change.
export async function go(changes) {
  Object.assign(query, changes);
  $("start").hidden = true;
  render();
  await push();
  return run();
}

// ---- asking ----

// The query as the server takes it.  Words have one part of the weight, pictures the other; what is not
// wanted takes away 0.4 of a part.
function body() {
  const terms = [], words = query.q.trim(), wanted = (picture.has() ? 1 : 0) + query.like.length + (query.object ? 1 : 0);
  const share = !wanted ? 0 : words ? query.picture / 100 : 1, each = Number((share / Math.max(1, wanted)).toFixed(4));
  if (words) terms.push({ text: words, weight: Number((1 - share).toFixed(4)) });
  if (picture.has()) terms.push({ image: { part: "picture" }, weight: each });
  if (query.object) terms.push({ object: query.object, weight: each });
  for (const id of query.like) terms.push({ id, weight: each });
  for (const id of query.unlike) terms.push({ id, weight: Number((-0.4 / query.unlike.length).toFixed(4)) });
  const b = { query: terms.length === 1 && words ? words : terms, limit: query.limit };
  if (query.relevant && searchTakes("min_score", "auto")) b.min_score = "auto";
  if (query.group && searchTakes("group_by")) b.group_by = "near";
  if (query.where && searchTakes("where")) b.where = query.where;
  return b;
}

async function send(b, signal) {
  if (!picture.has()) return (await ask("POST", "/search", b, signal)).json();
  const form = new FormData();
  form.append("query", JSON.stringify(b));
  form.append("picture", await picture.toSend(), picture.current().name || "picture");
  return (await ask("POST", "/search", form, signal)).json();
}

function tell(found) {
  const n = found.hits.length, ms = found.took_ms.total < 10 ? found.took_ms.total.toFixed(1) : Math.round(found.took_ms.total);
  $("status").textContent = n ? t(n === 1 ? "foundOne" : "found", n === 1 ? "" : n, ms)
    : t(query.relevant ? "nothingRelevant" : "nothing");
  if (found.strange && found.strange.length) $("status").append(" ", t("strange", found.strange.join(", ")));
}

async function run() {
  if (running) running.abort();
  problem(null);
  $("did").hidden = isEmpty();
  $("more").hidden = true;
  if (isEmpty()) {
    $("status").textContent = "";
    fill([]);
    return begin();
  }
  $("start").hidden = true;
  const mine = (running = new AbortController());
  $("status").textContent = t("searching");
  $("results").setAttribute("aria-busy", "true");
  try {
    const b = body(), found = await send(b, mine.signal);
    if (mine.signal.aborted) return;
    last = { body: b, files: picture.has() ? { picture: picture.current().name } : null };
    for (const hit of found.hits) names.set(hit.id, fileName(hit.path));
    fill(found.hits);
    $("more").hidden = found.hits.length < query.limit || query.limit >= 1000;
    tell(found);
    remember();
  } catch (e) {
    if (e.name === "AbortError") return;
    $("status").textContent = "";
    fill([]);
    problem(e, run);
  } finally {
    if (running === mine) $("results").removeAttribute("aria-busy");
  }
}

// ---- the first page: objects, earlier searches, what there is ----

const past = () => {
  try {
    return JSON.parse(localStorage.getItem(HISTORY)) || [];
  } catch {
    return [];
  }
};

function remember() {
  const state = history.state && history.state.picture;
  const shown = state && state.data ? { name: state.name, data: state.data, crop: state.crop } : null;
  const one = { at: toAddress(query), q: query.q, picture: shown };
  const same = (p) => p.at === one.at && (p.picture && p.picture.data) === (one.picture && one.picture.data);
  const list = [one, ...past().filter((p) => !same(p))].slice(0, HISTORY_LENGTH);
  for (;;) {
    try {
      localStorage.setItem(HISTORY, JSON.stringify(list));
      return;
    } catch { // full: the oldest go
      if (!list.pop()) return;
    }
  }
}

function pastChip(one) {
  const open = () => {
    history.pushState(one.picture ? { picture: { ...one.picture, number: 0 } } : {}, "", one.at);
    restore();
  };
  const words = [one.q || (one.picture ? one.picture.name : new URLSearchParams(one.at).get("object")) || t("aPicture")];
  return el("li", {}, el("button", { type: "button", class: "plain", click: open },
    one.picture ? el("img", { src: one.picture.data, alt: "", width: 28, height: 28 }) : null, ...words));
}

$("forgetpast").addEventListener("click", () => {
  localStorage.removeItem(HISTORY);
  $("past").hidden = true;
  $("words").focus();
});

async function begin() {
  const list = past();
  $("start").hidden = false;
  $("past").hidden = !list.length;
  $("history").replaceChildren(...list.map(pastChip));
  try {
    const { objects } = await get("/objects");
    $("suggest").replaceChildren(...objects.slice(0, 12).map((o) =>
      el("li", {}, button(o.object, () => go({ object: o.object }),
        { class: "plain", "aria-label": t("findNamed", o.object) }))));
    $("suggest").hidden = !objects.length;
    if (offers("GET", "/items")) latest((await get("/items?limit=24")).items);
  } catch (e) {
    problem(e, begin);
  }
}

function latest(items) {
  $("latest").hidden = !items.length;
  $("latestlist").replaceChildren(...items.map((item) => {
    const name = fileName(item.path), img = el("img", { alt: name, loading: "lazy", width: 128, height: 128 });
    names.set(item.id, name);
    show(img, thumbnail(item.id, 128, item.kind === "model" ? 0 : undefined));
    return el("li", {}, el("button", { type: "button", class: "pic", title: name, click: () => go({ like: [item.id] }) }, img));
  }));
}

// ---- what the person does ----

export function take(files) {
  const list = [...files];
  if (!list.length) return;
  problem(list.length > 1 ? new Error(t("oneOnly")) : null);
  picture.put({ blob: list[0], name: list[0].name || "picture.png" });
  go({}).then(() => list.length > 1 && problem(new Error(t("oneOnly"))));
}

const ofItem = (id) => ({ name: names.get(id) || id, term: { id }, show: (img) => show(img, thumbnail(id, 512)) });

function sides() {
  const list = [];
  if (picture.has()) list.push({ name: t("whyPicture"), term: { image: { part: "picture" } }, sent: picture.toSend });
  if (query.q) list.push({ name: t("whyWords"), term: { text: query.q } });
  return list.concat(query.like.map(ofItem));
}

// Objects have no picture of their own to lay beside: the reference that stands for one has.
async function whyThis(hit) {
  const list = sides();
  for (const s of list)
    if (s.sent) {
      s.blob = await s.sent();
      s.show = (img) => (img.src = URL.createObjectURL(s.blob));
    }
  if (!list.length && query.object) {
    const { items } = await get("/objects/" + encodeURIComponent(query.object));
    list.push(...items.map(({ id }) => ({ ...ofItem(id), name: t("object", query.object) + " " + id })));
  }
  // an item is shown smaller than it is: its frames count pixels of the whole
  for (const s of list) if (s.term.id) s.size = (await get("/items/" + s.term.id)).size;
  if (list.length) why(hit, list);
}

const others = (list, id) => list.filter((x) => x !== id);
const judge = (changes) => go({ ...changes, limit: EMPTY.limit }).then(up);

export function setUp() {
  onCards({
    more: ({ id }) => judge({ like: [...others(query.like, id), id], unlike: others(query.unlike, id) }),
    less: ({ id }) => judge({ like: others(query.like, id), unlike: [...others(query.unlike, id), id] }),
  });
  picture.onCrop(() => go({}));
  $("ask").addEventListener("submit", (e) => {
    e.preventDefault();
    go({ q: $("words").value.trim(), limit: Number($("limit").value) });
  });
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    take($("file").files);
    $("file").value = "";
  });
  $("camera").addEventListener("click", () => picture.photograph(take));
  $("unpicture").addEventListener("click", () => {
    picture.put(null);
    go({});
    $("words").focus();
  });
  $("weight").addEventListener("input", sayWeight);
  $("weight").addEventListener("change", () => go({ picture: Number($("weight").value) }));
  $("limit").addEventListener("change", () => go({ limit: Number($("limit").value) }));
  for (const id of ["relevant", "group"]) $(id).addEventListener("change", () => go({ [id]: $(id).checked }));
  $("where").addEventListener("change", () => go({ where: $("where").value.trim() }));
  $("more").addEventListener("click", () => {
    const n = $("hits").children.length;
    go({ limit: Math.min(1000, 2 * query.limit) }).then(() => focusCard(n));
  });
  $("clear").addEventListener("click", () => {
    picture.put(null);
    go({ ...EMPTY });
    $("words").focus();
  });
  $("words").addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown" && focusCard(0)) e.preventDefault();
  });
  $("curl").addEventListener("click", copyCurl);
}

// When it is known what the server offers.
export function setUpOffers() {
  if (offers("POST", "/explain")) onCards({ why: (hit) => whyThis(hit).catch(problem) });
}

const up = () => scrollTo({ top: 0, behavior: calm() ? "auto" : "smooth" });

async function copyCurl() {
  if (!last) return;
  const command = curl("POST", "/search", last.body, last.files);
  try {
    await navigator.clipboard.writeText(command);
    $("status").textContent = t("copied");
  } catch {
    $("copytext").value = command;
    $("copy").showModal();
    $("copytext").select();
  }
}
