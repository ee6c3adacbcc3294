// app.js - the page as a whole: which part is shown, keys, colours, language, what is dropped and pasted.

import { switchLanguage, t, translate } from "./text.js";
import { $, isPicture, problem } from "./page.js";
import { asker, keepKey, learn } from "./api.js";
import * as search from "./search.js";
import * as objects from "./objects.js";
import * as collection from "./collection.js";
import { focusCard } from "./cards.js";

const THEME = "ken.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
let page = "";

// ---- parts ----

async function route() {
  const view = new URLSearchParams(location.search).get("view");
  page = view === "objects" || view === "collection" ? view : "search";
  for (const main of document.querySelectorAll("main")) main.hidden = main.dataset.page !== page;
  for (const a of document.querySelectorAll("#pages a")) {
    if (a.dataset.page === page) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  problem(null);
  for (const d of document.querySelectorAll("dialog[open]")) d.close();
  collection.leave();
  if (page === "objects") await objects.list();
  else if (page === "collection") await collection.list();
  else await search.restore();
}

document.addEventListener("click", (e) => {
  const a = e.target.closest('a[href^="?"]');
  if (!a || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
  e.preventDefault();
  history.pushState({}, "", a.getAttribute("href"));
  route();
});
addEventListener("popstate", route);

function find(object) {
  history.pushState({}, "", "?object=" + encodeURIComponent(object));
  route();
}

// ---- colours and language ----

const isDark = () => (localStorage.getItem(THEME) || (dark.matches ? "dark" : "light")) === "dark";

function colours() {
  const button = $("theme"), text = t(isDark() ? "toLight" : "toDark");
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  button.textContent = isDark() ? "☀" : "☾";
  button.setAttribute("aria-label", text);
  button.title = text;
}

$("theme").addEventListener("click", () => {
  localStorage.setItem(THEME, isDark() ? "light" : "dark");
  colours();
});
dark.addEventListener("change", colours);
$("language").addEventListener("click", () => {
  switchLanguage();
  colours();
  route();
});

// ---- keys ----

$("help").addEventListener("click", () => $("helptext").showModal());

addEventListener("keydown", (e) => {
  const typing = e.target.matches("input:not([type=range]):not([type=checkbox]), textarea, select");
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
  if (e.key === "Escape" && page === "search") {
    $("words").focus();
    $("words").select();
  } else if (!typing && e.key === "/") {
    e.preventDefault();
    if (page !== "search") {
      history.pushState({}, "", "?");
      route();
    }
    $("words").focus();
    $("words").select();
  } else if (!typing && e.key === "?") {
    e.preventDefault();
    $("helptext").showModal();
  } else if (e.target === document.body && page === "search" && (e.key === "ArrowDown" || e.key === "ArrowRight")) {
    if (focusCard(0)) e.preventDefault();
  }
});
document.querySelector(".skip").addEventListener("click", (e) => {
  e.preventDefault();
  if (!focusCard(0)) $("results").focus();
});

// ---- dropping and pasting ----

// Where pictures go: to the panel they are dropped on, else to what the part is for.
function deliver(files, target) {
  const on = target && target.closest && target.closest("[data-drop]");
  const to = on ? on.dataset.drop : { search: "search", objects: "recognise", collection: "add" }[page];
  ({ search: search.take, teach: objects.addPhotographs, recognise: objects.recognise, add: collection.add })[to](files);
}

const carries = (e) => e.dataTransfer && [...e.dataTransfer.types].some((type) => type === "Files" || type === "text/uri-list");
let depth = 0;

function dropping(on) {
  depth = on ? depth : 0;
  $("dropping").hidden = !on;
}

addEventListener("dragenter", (e) => {
  if (!carries(e)) return;
  e.preventDefault();
  depth++;
  dropping(true);
});
addEventListener("dragleave", () => --depth <= 0 && dropping(false));
addEventListener("dragover", (e) => carries(e) && e.preventDefault());
addEventListener("drop", (e) => {
  if (!carries(e)) return;
  e.preventDefault();
  dropping(false);
  const files = [...e.dataTransfer.files], own = /\/items\/(\d+)\/thumbnail/.exec(e.dataTransfer.getData("text/uri-list"));
  if (files.some(isPicture)) deliver(files.filter(isPicture), e.target);
  else if (own && page === "search") search.go({ like: [own[1]] }); // one of the page's own results
  else problem(new Error(t("noPicture")));
});
addEventListener("paste", (e) => {
  const files = [...e.clipboardData.files].filter(isPicture);
  if (!files.length) return;
  e.preventDefault();
  deliver(files, document.activeElement);
});

// ---- the key ----

let asking = null;
asker.key = (wrong) => {
  asking = asking || new Promise((done) => {
    const d = $("keyask");
    $("keysays").hidden = !wrong;
    $("key").value = "";
    d.returnValue = "";
    d.showModal();
    d.addEventListener("close", () => {
      const given = d.returnValue === "use" && $("key").value.trim();
      if (given) keepKey(given);
      asking = null;
      done(Boolean(given));
    }, { once: true });
  });
  return asking;
};

translate();
colours();
search.setUp();
objects.setUp(find);
collection.setUp();
learn().then(() => search.setUpOffers()).catch(problem).then(route);
