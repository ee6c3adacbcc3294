// picture.js - the picture that is searched for: taken from a file, cropped, kept small for the history.

import { t } from "./text.js";
import { $, problem } from "./page.js";

const WHOLE = { x: 0, y: 0, w: 1, h: 1 };
const SMALL = 96 << 10;
const LEAST = 0.04; // of a side: a smaller frame is a slip of the hand
let blob = null, name = "", bitmap = null, crop = { ...WHOLE };
let changed = () => {}, timer = 0;

export const has = () => Boolean(blob);
export const current = () => blob && { blob, name, crop: { ...crop } };
export const isWhole = () => crop.w === 1 && crop.h === 1;

// fn is called after the person has chosen another part of the picture.
export function onCrop(fn) {
  changed = fn;
}

export function put(picture) {
  blob = picture && picture.blob;
  name = picture ? picture.name : "";
  crop = (picture && picture.crop && { ...picture.crop }) || { ...WHOLE };
  bitmap = null;
  $("picture").hidden = !blob;
  const img = $("preview");
  if (img.src.startsWith("blob:")) URL.revokeObjectURL(img.src);
  img.removeAttribute("src");
  if (!blob) return;
  img.src = URL.createObjectURL(blob);
  img.alt = name;
  $("picturename").textContent = name;
  explain(true);
  draw();
}

function explain(shown) {
  $("crop").hidden = !shown;
  $("crophow").textContent = t(shown ? "cropHow" : "noPreview");
}
$("preview").addEventListener("error", () => blob && explain(false));

const decoded = async () => (bitmap = bitmap || (await createImageBitmap(blob)));

async function drawn(part, longest, type, quality) {
  const b = await decoded();
  const w = part.w * b.width, h = part.h * b.height, scale = Math.min(1, longest / Math.max(w, h));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(w * scale));
  canvas.height = Math.max(1, Math.round(h * scale));
  canvas.getContext("2d").drawImage(b, part.x * b.width, part.y * b.height, w, h, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, type, quality));
}

// What is sent: the file as it is, or the chosen part of it as PNG, of at most 2,048 pixels a side.
export const toSend = async () => (isWhole() ? blob : drawn(crop, 2048, "image/png"));

// What the browser's history keeps, as a data URL: a small file itself, else a smaller picture of it, or null for
// what the browser can't show.
export async function smallCopy() {
  try {
    const small = blob.size <= SMALL ? blob : await drawn(WHOLE, 448, "image/jpeg", 0.92);
    return await new Promise((done, fail) => {
      const r = new FileReader();
      r.onload = () => done(r.result);
      r.onerror = fail;
      r.readAsDataURL(small);
    });
  } catch {
    return null;
  }
}

export function fromDataUrl(url) {
  const [head, body] = url.split(",");
  const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5, head.indexOf(";")) });
}

// ---- the frame ----

function draw() {
  const s = $("crop").style;
  s.left = 100 * crop.x + "%";
  s.top = 100 * crop.y + "%";
  s.width = 100 * crop.w + "%";
  s.height = 100 * crop.h + "%";
  $("whole").hidden = isWhole();
}

const within = (x, low, high) => Math.min(high, Math.max(low, x));

function set(c) {
  c.w = within(c.w, LEAST, 1);
  c.h = within(c.h, LEAST, 1);
  c.x = within(c.x, 0, 1 - c.w);
  c.y = within(c.y, 0, 1 - c.h);
  crop = c;
  draw();
  clearTimeout(timer);
  timer = setTimeout(() => changed(), 350);
}

$("whole").addEventListener("click", () => {
  set({ ...WHOLE });
  $("crop").focus();
});

$("crop").addEventListener("keydown", (e) => {
  const step = 0.02, by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[e.key];
  if (!by) return;
  e.preventDefault();
  e.stopPropagation();
  const c = { ...crop };
  if (e.shiftKey) {
    c.w = Math.min(c.w + by[0], 1 - c.x);
    c.h = Math.min(c.h + by[1], 1 - c.y);
  } else {
    c.x += by[0];
    c.y += by[1];
  }
  set(c);
});

// A drag on a corner moves it, one inside a smaller frame moves the frame, any other draws a new one.
function begin(e) {
  const box = $("preview").getBoundingClientRect();
  const at = (v) => [within((v.clientX - box.left) / box.width, 0, 1), within((v.clientY - box.top) / box.height, 0, 1)];
  const [x, y] = at(e), was = { ...crop }, corner = e.target.dataset.c;
  const inside = !corner && !isWhole() && e.target === $("crop");
  const fixed = corner
    ? [corner.includes("w") ? was.x + was.w : was.x, corner.includes("n") ? was.y + was.h : was.y] : [x, y];
  const move = (v) => {
    const [nx, ny] = at(v);
    if (inside) set({ ...was, x: was.x + nx - x, y: was.y + ny - y });
    else if (Math.abs(nx - fixed[0]) > LEAST / 2 || Math.abs(ny - fixed[1]) > LEAST / 2)
      set({ x: Math.min(nx, fixed[0]), y: Math.min(ny, fixed[1]), w: Math.abs(nx - fixed[0]), h: Math.abs(ny - fixed[1]) });
  };
  const end = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
  e.preventDefault();
  $("crop").focus({ preventScroll: true });
}
$("preview").parentElement.addEventListener("pointerdown", begin);

// ---- the camera ----

// A photograph, or null if the person thought better of it; where there is no camera to look through, the
// system's own way to take one.
export async function photograph(chosen) {
  let stream;
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) {
    $("capture").onchange = () => chosen($("capture").files);
    $("capture").click();
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  } catch (e) {
    problem(new Error(t("cameraRefused", e.message || e.name)));
    return;
  }
  const d = $("shot"), video = $("video");
  video.srcObject = stream;
  d.showModal();
  $("shoot").focus();
  $("shoot").onclick = async () => {
    bitmapOf(video, (b) => chosen([new File([b], "photograph.jpg", { type: "image/jpeg" })]));
    d.close();
  };
  d.addEventListener("close", () => {
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  }, { once: true });
}

function bitmapOf(video, fn) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((b) => b && fn(b), "image/jpeg", 0.95);
}
