// objects.js - objects: taught by a few photographs, recognised, listed, forgotten.

import { t } from "./text.js";
import { $, button, el, isPicture, percent, problem, sure } from "./page.js";
import { ask, get, post, show, thumbnail } from "./api.js";

const MOST = 3; // one to three photographs are enough
let photographs = [], find = () => {};

const at = (name) => "/objects/" + encodeURIComponent(name);

// ---- teaching ----

function lesson() {
  $("lesson").replaceChildren(...photographs.map((file, i) => {
    const img = el("img", { alt: file.name, src: URL.createObjectURL(file), width: 96, height: 96,
      load: () => URL.revokeObjectURL(img.src) });
    const drop = () => {
      photographs.splice(i, 1);
      lesson();
      $("photographs").focus();
    };
    return el("li", {}, img, button("✕", drop, { class: "plain over", "aria-label": t("remove", file.name) }));
  }));
}

export function addPhotographs(files) {
  photographs = photographs.concat([...files].filter(isPicture)).slice(-MOST);
  lesson();
}

async function teach() {
  const name = $("objectname").value.trim(), says = $("teachsays");
  if (!name || !photographs.length) {
    says.textContent = t(name ? "needPhotographs" : "needName");
    $(name ? "photographs" : "objectname").focus();
    return;
  }
  const form = new FormData();
  for (const file of photographs) form.append("image", file, file.name);
  says.textContent = t("teaching");
  try {
    const o = await (await ask("PUT", at(name), form)).json();
    photographs = [];
    lesson();
    $("objectname").value = "";
    says.textContent = t("taught", o.object, o.references);
    await list();
  } catch (e) {
    says.textContent = e.message;
  }
}

// ---- recognising ----

function meter(confidence) {
  const bar = el("i");
  bar.style.width = percent(confidence) + "%";
  return el("span", { class: "meter", role: "meter", "aria-label": t("confidence", percent(confidence)), "aria-valuemin": 0,
    "aria-valuemax": 100, "aria-valuenow": percent(confidence) }, bar);
}

function verdict(r, file) {
  const img = el("img", { alt: file.name, src: URL.createObjectURL(file), width: 160, load: () => URL.revokeObjectURL(img.src) });
  const rows = r.candidates.slice(0, 5).map((c) =>
    el("li", {}, el("span", { class: "grow" }, c.object), meter(c.confidence), el("span", { class: "dim" }, percent(c.confidence) + " %")));
  $("recognised").replaceChildren(el("div", { class: "verdict" }, img, el("div", {},
    el("p", { class: r.object ? "yes" : "no" }, r.object || t("unknown")),
    el("p", { class: "dim" }, r.object ? t("confidence", percent(r.confidence)) : t("unknownHow")),
    rows.length ? el("h3", {}, t("candidates")) : null, el("ol", { class: "rows" }, ...rows))));
}

export async function recognise(files) {
  const file = [...files].find(isPicture);
  if (!file) {
    $("recognised").textContent = t("noPicture");
    return;
  }
  const form = new FormData();
  form.append("image", file, file.name || "picture.png");
  $("recognised").textContent = t("recognising");
  try {
    verdict(await post("/recognize", form), file);
  } catch (e) {
    $("recognised").textContent = e.message;
  }
}

// ---- the list ----

async function forget(name) {
  if (!(await sure(t("forgetAsk", name)))) return;
  try {
    await ask("DELETE", at(name));
    $("teachsays").textContent = t("forgotten", name);
    await list();
    $("objectname").focus();
  } catch (e) {
    problem(e);
  }
}

async function pictures(o, into) {
  const { items } = await get(at(o.object));
  for (const { id } of items.slice(0, MOST)) {
    const img = el("img", { alt: o.object, loading: "lazy", width: 128, height: 128 });
    show(img, thumbnail(id, 128));
    into.append(img);
  }
}

function card(o) {
  const shown = el("div", { class: "strip" });
  pictures(o, shown).catch(problem);
  return el("li", { class: "card" }, shown, el("strong", {}, o.object),
    el("div", { class: "dim" }, o.references === 1 ? t("reference1") : t("references", o.references)),
    el("div", { class: "acts" },
      button(t("find"), () => find(o.object), { class: "small", "aria-label": t("findNamed", o.object) }),
      button(t("forget"), () => forget(o.object), { class: "small", "aria-label": t("forgetNamed", o.object) })));
}

export async function list() {
  try {
    const { objects } = await get("/objects");
    $("objects").replaceChildren(...objects.map(card));
    $("noobjects").hidden = objects.length > 0;
  } catch (e) {
    problem(e, list);
  }
}

// finds(name) shows the collection's pictures of an object.
export function setUp(finds) {
  find = finds;
  $("teach").addEventListener("submit", (e) => {
    e.preventDefault();
    teach();
  });
  $("photographs").addEventListener("change", () => {
    addPhotographs($("photographs").files);
    $("photographs").value = "";
  });
  $("which").addEventListener("change", () => {
    recognise($("which").files);
    $("which").value = "";
  });
}
