// collection.js - the collection: its sizes, pictures added, folders read again, near duplicates.

import { t } from "./text.js";
import { $, button, el, facts, fileName, isPicture, problem } from "./page.js";
import { ask, events, get, offers, post, show, thumbnail } from "./api.js";

const watched = new Map(); // of running jobs: how to stop listening

async function sizes() {
  const s = await get("/stats"), i = s.index;
  facts($("stats"), [[t("pictures"), s.items.toLocaleString()], [t("objects"), s.objects.toLocaleString()], [t("modelName"), s.model],
    [t("index"), t("indexed", i.kind, i.n.toLocaleString()) + (i.pending ? ", " + t("pending", i.pending) : "")],
    [t("store"), s.store]]);
}

// ---- adding ----

async function addOne(file) {
  const form = new FormData();
  form.append("image", file, file.name);
  await ask("POST", "/items", form);
}

export async function add(files) {
  const list = [...files].filter(isPicture), bar = $("addprogress");
  if (!list.length) {
    $("addsays").textContent = t("noPicture");
    return;
  }
  let added = 0;
  $("notadded").replaceChildren();
  bar.hidden = false;
  bar.max = list.length;
  for (const [i, file] of list.entries()) {
    bar.value = i;
    $("addsays").textContent = t("adding", i, list.length);
    try {
      await addOne(file);
      added++;
    } catch (e) {
      $("notadded").append(el("li", {}, t("notAdded", file.name, e.message)));
    }
  }
  bar.hidden = true;
  $("addsays").textContent = t("addedAll", added);
  sizes().catch(problem);
}

// ---- jobs ----

function describe(job) {
  const r = job.report;
  if (r) return t("jobDone", r.added, r.updated, r.removed, r.failed);
  const so = job.total ? t("job", job.stage, job.done, job.total) : job.stage + " " + (job.done || "");
  return so + (job.seconds_left ? ", " + t("jobLeft", Math.round(job.seconds_left)) : "");
}

function row(job) {
  const on = job.state === "running", id = "job" + job.id, was = $(id);
  const li = el("li", { id }, el("span", { class: "badge " + job.state }, t(job.state)), el("span", { class: "grow" }, describe(job)),
    on ? el("progress", { "aria-label": describe(job), ...(job.total ? { max: job.total, value: job.done } : {}) }) : null,
    on ? button(t("stop"), () => ask("DELETE", "/v1/jobs/" + job.id).catch(problem), { class: "small" }) : null,
    job.problem ? el("span", { class: "bad" }, job.problem) : null);
  if (was) was.replaceWith(li);
  else $("jobs").prepend(li);
  $("nojobs").hidden = true;
}

async function watch(job) {
  row(job);
  if (job.state !== "running" || watched.has(job.id) || !offers("GET", "/v1/jobs/{job}/events")) return;
  const stop = new AbortController();
  watched.set(job.id, stop);
  try {
    await events(`/v1/jobs/${job.id}/events`, row, stop.signal);
    row(await get("/v1/jobs/" + job.id));
    await sizes();
  } catch (e) {
    problem(e);
  } finally {
    watched.delete(job.id);
  }
}

async function listJobs() {
  for (const job of (await get("/v1/jobs")).jobs) watch(job);
}

// ---- near duplicates ----

function group(items, i) {
  return el("section", {}, el("h3", {}, t("dupGroup", i + 1, items.length)), el("ul", { class: "tiles" }, ...items.map((item) => {
    const name = fileName(item.path), img = el("img", { alt: name, width: 128, height: 128, loading: "lazy" });
    show(img, thumbnail(item.id, 128));
    return el("li", {}, img, el("span", { class: "dim name" }, name));
  })));
}

async function findDups() {
  $("dupsays").textContent = t("searching");
  try {
    const { groups } = await get("/dups");
    $("dupsays").textContent = groups.length ? "" : t("noDups");
    $("dups").replaceChildren(...groups.map(group));
  } catch (e) {
    $("dupsays").textContent = e.message;
  }
}

export async function list() {
  $("adding").hidden = !offers("POST", "/items");
  $("indexing").hidden = !offers("GET", "/v1/jobs");
  $("scanning").hidden = !offers("POST", "/index");
  $("duplicates").hidden = !offers("GET", "/dups");
  try {
    await sizes();
    if (!$("indexing").hidden) await listJobs();
  } catch (e) {
    problem(e, list);
  }
}

export function leave() {
  for (const stop of watched.values()) stop.abort();
}

export function setUp() {
  $("newpictures").addEventListener("change", () => {
    add($("newpictures").files);
    $("newpictures").value = "";
  });
  $("scan").addEventListener("click", () => post("/index", {}).then(watch).catch(problem));
  $("finddups").addEventListener("click", findDups);
}
