// cards.js - results as cards: rank, score, picture; 3-D models turn.

import { t } from "./text.js";
import { $, button, calm, el, facts, fileName, open, percent } from "./page.js";
import { show, thumbnail } from "./api.js";

export const VIEWS = 12; // ken_mesh_views()
const act = { more() {}, less() {}, why: null };
let shown = [], at = 0;

// What the buttons do: more(hit), less(hit), why(hit) or null where the server explains nothing.
export function onCards(actions) {
  Object.assign(act, actions);
}

// The last folders of a path: many pictures have the same name.
const folder = (path) => path.split("/").slice(-3, -1).join("/");
const title = (hit) => hit.object || (hit.meta && hit.meta.description) || fileName(hit.path);

// Turns a model as long as the pointer or the focus is on it.
function turning(card, img, hit) {
  let timer = 0, view = 0;
  const begin = () => {
    if (timer || calm()) return;
    timer = setInterval(() => show(img, thumbnail(hit.id, 256, (view = (view + 1) % VIEWS))), 450);
  };
  const end = () => {
    clearInterval(timer);
    timer = 0;
  };
  card.addEventListener("pointerenter", begin);
  card.addEventListener("pointerleave", end);
  card.addEventListener("focusin", begin);
  card.addEventListener("focusout", end);
}

function card(hit, i) {
  const name = fileName(hit.path), id = "name" + hit.id;
  const img = el("img", { alt: name, loading: "lazy", decoding: "async", width: 256, height: 256 });
  show(img, thumbnail(hit.id, 256, hit.kind === "model" ? 0 : undefined));
  const bar = el("i");
  bar.style.width = percent(hit.score) + "%";
  const by = { class: "small", "aria-describedby": id };
  const li = el("li", { class: "card", "data-id": hit.id },
    el("button", { type: "button", class: "pic", tabindex: i ? -1 : 0, "aria-label": t("open", name), click: () => look(i) }, img,
      hit.kind === "model" ? el("span", { class: "kind" }, t("model")) : null),
    el("div", { class: "line" }, el("span", { class: "rank", "aria-label": t("rank", hit.rank) }, String(hit.rank)),
      el("strong", { id, title: hit.path }, title(hit))),
    el("div", { class: "dim name" }, title(hit) === name ? folder(hit.path) : name),
    el("div", { class: "score" }, el("span", { class: "meter", role: "meter", "aria-label": t("score", percent(hit.score)),
      "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": percent(hit.score) }, bar), el("span", {}, percent(hit.score) + " %")),
    el("div", { class: "acts" },
      button(t("moreLike"), () => act.more(hit), by), button(t("lessLike"), () => act.less(hit), by),
      act.why ? button(t("why"), () => act.why(hit), by) : null));
  if (hit.kind === "model") turning(li, img, hit);
  return li;
}

export function fill(hits) {
  shown = hits;
  $("hits").replaceChildren(...hits.map(card));
}

// ---- walking by keys ----

const pictures = () => [...$("hits").querySelectorAll(".pic")];

function columns(list) {
  const top = list[0].getBoundingClientRect().top;
  const n = list.findIndex((b) => b.getBoundingClientRect().top > top + 4);
  return n < 0 ? list.length : n;
}

export function focusCard(i) {
  const list = pictures();
  if (!list.length) return false;
  const to = list[Math.min(list.length - 1, Math.max(0, i))];
  list.forEach((b) => (b.tabIndex = b === to ? 0 : -1));
  to.focus();
  to.closest(".card").scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  return true;
}

$("hits").addEventListener("keydown", (e) => {
  const list = pictures(), c = e.target.closest(".card");
  if (!c || e.ctrlKey || e.metaKey || e.altKey) return;
  const i = list.indexOf(c.querySelector(".pic"));
  const row = columns(list);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row, Home: -i, End: list.length }[e.key];
  const hit = shown[i], does = { m: act.more, l: act.less, w: act.why }[e.key];
  if (step !== undefined) {
    e.preventDefault();
    if (i + step >= 0) focusCard(i + step);
    else $("words").focus();
  } else if (does) {
    e.preventDefault();
    does(hit);
  }
});
$("hits").addEventListener("focusin", (e) => {
  const own = e.target.closest(".card");
  pictures().forEach((b) => (b.tabIndex = own && own.contains(b) ? 0 : -1));
});

// ---- one, large ----

function look(i) {
  const hit = shown[(at = (i + shown.length) % shown.length)], name = fileName(hit.path), solid = hit.kind === "model";
  $("lookname").textContent = title(hit);
  $("lookimg").alt = name;
  $("lookview").value = 0;
  $("lookturn").hidden = !solid;
  turn(hit, 0);
  facts($("lookfacts"), [[t("score", percent(hit.score)), t("rank", hit.rank)], [t("cosine"), hit.raw && hit.raw.toFixed(4)],
    [t("path"), hit.path], [t("about"), hit.meta && hit.meta.description],
    [t("size"), solid || !hit.size[0] ? "" : hit.size.join(" × ")]]);
  $("lookfile").href = hit.original_url;
  $("lookwhy").hidden = !act.why;
  open($("look"));
}

function turn(hit, view) {
  const solid = hit.kind === "model";
  show($("lookimg"), thumbnail(hit.id, solid ? 512 : 1024, solid ? view : undefined));
  $("lookviewname").textContent = t("view", view + 1, VIEWS);
}

const step = (n) => look(at + n);
$("back").addEventListener("click", () => step(-1));
$("forth").addEventListener("click", () => step(1));
$("lookview").addEventListener("input", () => turn(shown[at], Number($("lookview").value)));
$("look").addEventListener("keydown", (e) => {
  if (e.target === $("lookview")) return;
  if (e.key === "ArrowLeft") step(-1);
  if (e.key === "ArrowRight") step(1);
});
$("look").addEventListener("close", () => focusCard(at));
for (const what of ["more", "less", "why"])
  $("look" + what).addEventListener("click", () => {
    $("look").close();
    act[what](shown[at]);
  });
