// page.js - what every part of the page does with its elements: make them, open dialogs, tell what went wrong.

import { t } from "./text.js";

export const $ = (id) => document.getElementById(id);

// An element: attributes by name, functions as listeners ("click"), children as elements or text.
export function el(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") e.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

export const button = (text, click, attributes = {}) => el("button", { type: "button", click, ...attributes }, text);
export const fileName = (path) => path.split("/").pop();
export const percent = (x) => Math.round(100 * x);
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// What went wrong, in words, read out at once; again: what "Try again" does.
export function problem(error, again) {
  if (error && error.name === "AbortError") return;
  const p = $("problem");
  p.hidden = !error;
  p.replaceChildren();
  if (!error) return;
  p.append(error.message || String(error));
  if (again) p.append(" ", button(t("again"), () => { problem(null); again(); }, { class: "small" }));
}

export function open(dialog) {
  if (!dialog.open) dialog.showModal();
}

for (const d of document.querySelectorAll("dialog")) {
  d.addEventListener("click", (e) => {
    if (e.target === d || e.target.closest("[data-close]")) d.close();
  });
}

// Whether the person agrees.
export function sure(text) {
  const d = $("sure");
  $("suretext").textContent = text;
  d.returnValue = "";
  d.showModal();
  return new Promise((done) => d.addEventListener("close", () => done(d.returnValue === "yes"), { once: true }));
}

// Terms and values of a <dl>; those without a value are left out.
export function facts(dl, list) {
  dl.replaceChildren();
  for (const [name, value] of list)
    if (value !== null && value !== undefined && value !== "") dl.append(el("dt", {}, name), el("dd", {}, String(value)));
}

export const isPicture = (file) => file.type.startsWith("image/") || /\.(heic|heif|avif|ppm|pgm|tga|psd)$/i.test(file.name || "");
