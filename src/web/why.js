// why.js - where a result and the query agree: the server's map drawn over the picture, and what it says.

import { language, t } from "./text.js";
import { $, el, fileName, open, percent, problem } from "./page.js";
import { ask, show, thumbnail } from "./api.js";

let drawn = [];

// From clear over amber to red; below zero (what speaks against it) blue.
function colour(v, out, i) {
  const a = Math.min(1, Math.abs(v));
  out[i] = v < 0 ? 40 : 255;
  out[i + 1] = v < 0 ? 110 : Math.round(190 - 160 * a);
  out[i + 2] = v < 0 ? 255 : 20;
  out[i + 3] = Math.round(255 * Math.min(1, 1.15 * a));
}

function heat(grid, values) {
  const small = document.createElement("canvas");
  [small.height, small.width] = grid;
  const c = small.getContext("2d"), data = c.createImageData(small.width, small.height);
  const most = Math.max(1e-9, ...values.map(Math.abs));
  values.forEach((v, i) => colour(v / most, data.data, 4 * i));
  c.putImageData(data, 0, 0);
  return small;
}

function paint({ canvas, img, map, frames, size }) {
  if (!img.naturalWidth) return;
  const fine = Math.max(1, Math.ceil(600 / img.naturalWidth)); // frames stay thin on small pictures
  canvas.width = img.naturalWidth * fine;
  canvas.height = img.naturalHeight * fine;
  const c = canvas.getContext("2d"), scale = canvas.width / (size[0] || img.naturalWidth);
  c.globalAlpha = Number($("opacity").value) / 100;
  c.imageSmoothingQuality = "high";
  c.drawImage(map, 0, 0, canvas.width, canvas.height);
  c.globalAlpha = 1;
  for (const [x, y, w, h] of frames) {
    const r = [x * scale + 2, y * scale + 2, w * scale - 4, h * scale - 4];
    c.lineWidth = 4;
    c.strokeStyle = "#000";
    c.strokeRect(...r);
    c.lineWidth = 2;
    c.strokeStyle = "#fff";
    c.strokeRect(...r);
  }
}

// source(img) puts the picture into img; size is that of the picture whose pixels frames count.
function map(name, source, grid, values, frames, size) {
  const img = el("img", { alt: name }), canvas = el("canvas", { role: "img", "aria-label": t("overlay", name) });
  const one = { canvas, img, map: heat(grid, values), frames, size };
  img.addEventListener("load", () => paint(one));
  source(img);
  drawn.push(one);
  return el("figure", {}, el("div", { class: "frame" }, img, canvas), el("figcaption", { class: "dim" }, name));
}

$("opacity").addEventListener("input", () => drawn.forEach(paint));

async function request(asked, hit) {
  const body = { a: asked.term, b: { id: hit.id }, language: language().slice(0, 2) };
  if (!asked.blob) return (await ask("POST", "/explain", body)).json();
  const form = new FormData();
  form.append("explain", JSON.stringify(body));
  form.append("picture", asked.blob, "picture");
  return (await ask("POST", "/explain", form)).json();
}

async function fill(asked, hit) {
  drawn = [];
  $("maps").replaceChildren();
  $("explainsays").textContent = t("explaining");
  try {
    const e = await request(asked, hit);
    const share = e.regions.reduce((sum, r) => sum + r.share, 0);
    $("explainsays").replaceChildren(el("span", { lang: language() }, e.text), share ? " " + t("regions", percent(share)) : "");
    if (asked.show && e.a.length)
      $("maps").append(map("A · " + asked.name, asked.show, e.grid, e.a, e.regions.map((r) => r.a), asked.size || [0, 0]));
    $("maps").append(map("B · " + fileName(hit.path), (img) => show(img, thumbnail(hit.id, 512)), e.grid, e.b,
      e.regions.map((r) => r.b), hit.size));
  } catch (error) {
    $("explainsays").textContent = error.message;
  }
}

// sides: what the query is made of, each {name, term, blob?, show?, size?}; the first is compared at first.
export function why(hit, sides) {
  problem(null);
  const select = $("side");
  select.replaceChildren(...sides.map((s, i) => el("option", { value: i }, s.name)));
  $("sidelabel").hidden = sides.length < 2;
  select.onchange = () => fill(sides[Number(select.value)], hit);
  open($("explain"));
  fill(sides[0], hit);
}
