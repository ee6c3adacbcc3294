"use strict";
const form = document.getElementById("search"), words = document.getElementById("words");
const say = document.getElementById("status"), list = document.getElementById("hits");

async function search(text) {
  const answer = await fetch("/v1/collections/default/search", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ query: text, limit: 20 }) });
  const body = await answer.json();
  list.replaceChildren();
  if (!answer.ok) { say.textContent = body.error.message; return; }
  say.textContent = `${body.hits.length} hits, ${body.took_ms.total} ms`;
  for (const hit of body.hits) {
    const li = document.createElement("li"), img = document.createElement("img");
    img.src = hit.thumbnail_url;
    img.alt = hit.path.split("/").pop();
    li.append(img, ` ${hit.rank}. ${hit.score}`);
    list.append(li);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  history.pushState(null, "", "?q=" + encodeURIComponent(words.value));
  search(words.value);
});
const asked = new URLSearchParams(location.search).get("q");
if (asked) { words.value = asked; search(asked); }
