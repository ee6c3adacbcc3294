// api.js - requests to the server: what it offers, the key where it asks for one, errors in words.

import { t } from "./text.js";

const C = "/v1/collections/default";
const KEY = "ken.key";
let paths = {}, schemas = {};

// An answer that is no success; its message is for people.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Set by the page: asks the person for a key and resolves to whether one was given.
export const asker = { key: async () => false };

export const key = () => sessionStorage.getItem(KEY);
export const keepKey = (value) => sessionStorage.setItem(KEY, value);

export async function learn() {
  const doc = await (await ask("GET", "/v1/openapi.json")).json();
  paths = doc.paths || {};
  schemas = (doc.components && doc.components.schemas) || {};
}

// Whether the server has that route; the path as in its table, of the collection if it begins without /v1.
export function offers(method, path) {
  const at = path.startsWith("/v1") ? path : "/v1/collections/{collection}" + path;
  return Boolean(paths[at] && paths[at][method.toLowerCase()]);
}

// Whether a search takes that member, and that word for it.
export function searchTakes(name, word = "") {
  const member = schemas.Search && schemas.Search.properties[name];
  return Boolean(member) && JSON.stringify(member).includes(word);
}

function inWords(status, error) {
  const said = (error && error.message) || String(status);
  if (status === 413) return t("tooLarge", said);
  if (status === 403) return t("notAllowed", said);
  if (status === 503) return t("busy") + " (" + said + ")";
  return t("serverSays", said);
}

async function once(method, path, body, signal) {
  const headers = {};
  if (key()) headers.Authorization = "Bearer " + key();
  if (body && !(body instanceof FormData)) headers["Content-Type"] = "application/json";
  const sent = body && !(body instanceof FormData) ? JSON.stringify(body) : body;
  try {
    return await fetch(path, { method, headers, body: sent, signal });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new Refused(0, t("offline"));
  }
}

// The answer to a request; asks for a key where one is needed.  Throws Refused.
export async function ask(method, path, body, signal) {
  const at = path.startsWith("/") && !path.startsWith("/v1") ? C + path : path;
  for (;;) {
    const answer = await once(method, at, body, signal);
    if (answer.ok) return answer;
    if (answer.status === 401 && (await asker.key(Boolean(key())))) continue;
    const said = await answer.json().catch(() => null);
    throw new Refused(answer.status, inWords(answer.status, said && said.error));
  }
}

export const get = async (path) => (await ask("GET", path)).json();
export const post = async (path, body, signal) => (await ask("POST", path, body, signal)).json();

// Server-sent events, read by fetch since EventSource can send no key: fn(data) for each until they end.
export async function events(path, fn, signal) {
  const reader = (await ask("GET", path, undefined, signal)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (data) fn(JSON.parse(data));
    }
  }
}

// Put a picture of the server into img: straight, or by a request of ours where it needs a key.
export async function show(img, url) {
  if (!key()) {
    img.src = url;
    return;
  }
  try {
    const blob = await (await ask("GET", url)).blob();
    if (img.src.startsWith("blob:")) URL.revokeObjectURL(img.src);
    img.src = URL.createObjectURL(blob);
  } catch {
    img.removeAttribute("src"); // its file name stands there
  }
}

export const thumbnail = (id, width, view) =>
  `${C}/items/${id}/thumbnail?w=${width}` + (view === undefined ? "" : `&view=${view}`);

// The command that asks the same: words for a shell.
export function curl(method, path, body, files) {
  const quote = (s) => "'" + s.replace(/'/g, "'\\''") + "'";
  const words = ["curl", "-s", "-X", method, quote(location.origin + C + path)];
  if (key()) words.push("-H", '"Authorization: Bearer $KEN_API_KEY"');
  if (!files) return words.concat("-H", quote("Content-Type: application/json"), "-d", quote(JSON.stringify(body))).join(" ");
  words.push("-F", quote("query=" + JSON.stringify(body)));
  for (const [part, name] of Object.entries(files)) words.push("-F", quote(part + "=@" + name));
  return words.join(" ");
}
