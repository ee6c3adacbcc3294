"""page.py KEN WEB OUT - walk through every feature of the page as a person would, and look at what comes of it.

Run in a folder with toys/ (indexed in $KEN_DB) and more/ (other photographs of two of them).  KEN is the
program, WEB the page's sources, OUT the folder for screenshots.  What the page shows is held against what
the server answers when it is asked directly.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

from browser import SHIFT, Page

KEN, WEB, OUT = sys.argv[1:4]
good = bad = 0


def check(ok, what, seen=""):
    global good, bad
    if ok:
        good += 1
    else:
        bad += 1
        print("not ok: %s%s" % (what, "  (saw %s)" % json.dumps(seen, ensure_ascii=False)[:700] if seen != "" else ""))


class Server:
    def __init__(self, port=0, **env):
        roots = os.path.abspath("toys") + ":" + os.environ["KEN_DB"]
        self.process = subprocess.Popen([KEN, "serve", "--listen", "127.0.0.1:%d" % port, "--roots", roots], text=True,
                                        stdout=subprocess.PIPE, stderr=open("serve.err", "w"), env=dict(os.environ, **env))
        self.url = self.process.stdout.readline().strip()

    def ask(self, path, body=None):
        r = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(),
                                   {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(r, timeout=120))

    def search(self, *query, **more):
        return [h["id"] for h in self.ask(C + "/search", {"query": list(query), "limit": 24, **more})["hits"]]

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


C = "/v1/collections/default"
CARDS = "[...document.querySelectorAll('#hits .card')].map((c) => c.dataset.id)"
ALTS = "[...document.querySelectorAll('#hits .pic img')].map((i) => i.alt)"
TEXT = "document.getElementById('%s').textContent"
FOCUS = "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"


def cards(p, wanted, what):
    """The page comes to show just these results."""
    p.wait("JSON.stringify(%s) === %s" % (CARDS, json.dumps(json.dumps(wanted, separators=(",", ":")))), 40)
    seen = p.js(CARDS)
    check(seen == wanted, what, [seen[:5], wanted[:5], p.js(TEXT % "status"), p.js(TEXT % "problem")])


def first(p, wanted, what):
    p.wait("(%s)[0] === %s" % (CARDS, json.dumps(wanted)), 40)
    seen = p.js(CARDS)[:3]
    check(seen[:1] == [wanted], what, [seen, wanted, p.js(TEXT % "problem")])


def address(p):
    return {k: v[0] for k, v in parse_qs(urlsplit(p.js("location.href")).query).items()}


def enter(p, words):
    p.click("#words")
    p.js("document.activeElement.select()")
    p.type(words)
    p.key("Enter")


def fresh(p, s):
    p.go(s.url + "/")
    p.wait("document.querySelector('#latestlist img')", 40)


# ---- words and the address ----

def words(p, s):
    fresh(p, s)
    check(p.js("document.title") == "ken · find pictures", "a title")
    check(p.js("document.querySelectorAll('#latestlist li').length") > 10, "what there is, at first")
    enter(p, "a red octopus")
    wanted = s.search("a red octopus")
    cards(p, wanted, "words find what the server finds")
    names = {h["id"]: h["path"].split("/")[-1] for h in s.ask(C + "/search", {"query": "a red octopus", "limit": 24})["hits"]}
    check(p.js(ALTS) == [names[i] for i in wanted], "each picture carries its file name")
    check(address(p) == {"q": "a red octopus"}, "the query stands in the address", address(p))
    check(re.match(r"\d+ results in [\d.]+ ms", p.js(TEXT % "status")), "how many, in a live region", p.js(TEXT % "status"))
    check(p.js("document.getElementById('status').getAttribute('role')") == "status", "which is one")
    check(p.js("[...document.querySelectorAll('#hits .rank')].map((r) => Number(r.textContent))") ==
          list(range(1, len(wanted) + 1)), "ranks")
    check(p.wait("[...document.querySelectorAll('#hits .pic img')].slice(0, 5).every((i) => i.naturalWidth > 0)", 40), "pictures come")
    width = "parseFloat(document.querySelector('#hits .meter i').style.width)"
    check(abs(p.js(width) - 100 * s.ask(C + "/search", {"query": "a red octopus"})["hits"][0]["score"]) <= 1, "a score bar as long as the score")
    p.picture(OUT + "/results.png")
    enter(p, "a blue bird")
    cards(p, s.search("a blue bird"), "other words")
    p.js("history.back()")
    cards(p, wanted, "back")
    check(p.js("document.getElementById('words').value") == "a red octopus", "the field, too")
    p.js("history.forward()")
    cards(p, s.search("a blue bird"), "forward")
    p.reload()
    cards(p, s.search("a blue bird"), "reload")
    p.go(s.url + "/?q=a+red+octopus&n=5")
    cards(p, wanted[:5], "an address is a search")
    p.click("#more")
    cards(p, wanted[:10], "show more")


def feedback(p, s):
    p.go(s.url + "/?q=a+red+octopus")
    p.wait("document.querySelector('#hits .card')")
    ids = p.js(CARDS)
    buttons = p.js("[...document.querySelectorAll('#hits .card:first-child .acts button')].map((b) => b.textContent)")
    check(buttons == ["More like this", "Less like this", "Why"], "the buttons' words", buttons)
    p.click("#hits .card:nth-child(6) .acts button:first-child")
    first(p, ids[5], "more like this brings it first")
    check(address(p).get("like") == ids[5] and "q" in address(p), "and into the address", address(p))
    cards(p, s.search({"text": "a red octopus", "weight": .4}, {"id": ids[5], "weight": .6}), "words .4, picture .6")
    check(p.js(TEXT % "terms").startswith("like "), "a chip says so", p.js(TEXT % "terms"))
    second = p.js(CARDS)[1]
    p.click("#hits .card:nth-child(2) .acts button:nth-child(2)")
    check(p.wait("%s.indexOf('%s') !== 1" % (CARDS, second), 40), "less like this takes it down")
    check(address(p).get("unlike") == second, "and stands there, too", address(p))
    p.click("#terms .not button")
    check(p.wait("!location.search.includes('unlike')") and p.js("!document.querySelector('#terms .not')"), "a chip can go")
    p.click("#clear")
    check(p.wait("document.getElementById('start').hidden === false") and address(p) == {}, "a new search")


def options(p, s):
    p.go(s.url + "/?q=a+red+octopus")
    p.wait("document.querySelector('#hits .card')")
    p.click("#options summary")
    p.click("#relevant")
    relevant = s.search("a red octopus", min_score="auto")
    cards(p, relevant, "only what is relevant")
    check(0 < len(relevant) < 24, "which is not all", len(relevant))
    p.click("#relevant")
    cards(p, s.search("a red octopus"), "and all again")
    p.click("#where")
    p.type("kind=model")
    p.key("Enter")
    cards(p, s.search("a red octopus", where="kind=model"), "a filter")
    check(address(p).get("where") == "kind=model", "which the address keeps", address(p))
    p.js("document.getElementById('where').select()")
    p.type("kind=")
    p.key("Enter")
    check(p.wait("!document.getElementById('problem').hidden"), "one that is wrong is told", p.js(TEXT % "problem"))
    odd = "zorgblat quxfrim"
    strange = s.ask(C + "/search", {"query": odd}).get("strange")
    p.go(s.url + "/?q=" + odd.replace(" ", "+"))
    p.wait("document.querySelector('#hits .card')")
    check(strange == [odd] and "hardly knows these words: " + odd in p.js(TEXT % "status"), "words the model doesn't know are told",
          [strange, p.js(TEXT % "status")])
    p.go(s.url + "/?q=a+red+octopus&group=1")
    cards(p, s.search("a red octopus", group_by="near"), "near duplicates as one")


# ---- pictures ----

def pictures(p, s):
    toy = sorted(glob.glob("toys/1100003/*.png"))[1]
    found = {h["path"]: h["id"] for h in s.ask(C + "/search", {"query": "a toy", "limit": 100})["hits"]}
    me = next(i for path, i in found.items() if path.endswith(toy[5:]))
    other = next(i for path, i in found.items() if path.endswith("1100005/full-0.png"))
    fresh(p, s)
    p.drop("body", toy)
    first(p, me, "a dropped picture finds itself")
    check(p.js("document.getElementById('preview').naturalWidth") == 160 and p.js(TEXT % "picturename") == "full-1.png", "and is shown")
    whole = p.js(CARDS)
    check(p.js("[...document.querySelectorAll('#hits .score')][0].textContent").startswith(("99", "100")), "certainly", p.js("document.querySelector('#hits .score').textContent"))
    p.reload()
    cards(p, whole, "it stays after a reload")
    check(p.wait("document.getElementById('preview').naturalWidth > 0"), "shown, too")
    crop(p, whole)
    weight(p, s)
    p.click("#unpicture")
    check(p.wait("document.getElementById('picture').hidden"), "the picture can go")
    p.click("#clear")
    p.click("#words")
    p.paste(toy)
    first(p, me, "a pasted picture")
    p.click("#clear")
    p.choose("#file", "toys/1100005/full-0.png")
    first(p, other, "a chosen picture")
    p.click("#clear")
    p.click("#camera")
    check(p.wait("document.getElementById('video').videoWidth > 0", 30), "the camera is seen")
    p.click("#shoot")
    check(p.wait("document.querySelectorAll('#hits .card').length > 0 && document.getElementById('picturename').textContent === 'photograph.jpg'", 40), "and its photograph searched")
    p.click("#clear")
    p.drop("body", os.path.join(WEB, "app.js"))
    check(p.wait("!document.getElementById('problem').hidden") and "no picture" in p.js(TEXT % "problem"), "what is no picture is told")


def crop(p, whole):
    style = "['left', 'top', 'width', 'height'].map((k) => parseFloat(document.getElementById('crop').style[k]))"
    x, y, w, h = p.js("(() => { document.getElementById('picture').scrollIntoView({block: 'center', behavior: 'instant'});"
                      " const r = document.getElementById('preview').getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()")
    p.drag(x + w * .5, y + h * .5, x + w * .95, y + h * .95)
    at = p.js(style)
    check(abs(at[0] - 50) < 3 and abs(at[2] - 45) < 3, "a frame is drawn", at)
    check(p.wait("JSON.stringify(%s) !== %s" % (CARDS, json.dumps(json.dumps(whole, separators=(",", ":")))), 40), "and its part searched")
    p.js("document.getElementById('crop').focus()")
    p.key("ArrowLeft")
    p.key("ArrowLeft", SHIFT)
    now = p.js(style)
    check(abs(now[0] - at[0] + 2) < .01 and abs(now[2] - at[2] + 2) < .01, "by keys, too", [at, now])
    p.click("#whole")
    check(p.js(style) == [0, 0, 100, 100], "and the whole again")
    cards(p, whole, "with the whole's results")


def weight(p, s):
    p.click("#words")
    p.type("a blue bird")
    p.key("Enter")
    check(p.wait("!document.getElementById('weighing').hidden"), "words and a picture are weighed")
    check(p.js(TEXT % "weightvalue") == "40 % words, 60 % picture", "six to four at first", p.js(TEXT % "weightvalue"))
    p.wait("location.search.includes('q=') && !document.getElementById('results').hasAttribute('aria-busy')")
    before = p.js(CARDS)
    p.js("document.getElementById('weight').focus()")
    for _ in range(11):
        p.key("ArrowLeft")
    check(p.wait("location.search.includes('picture=5')"), "the slider stands in the address", address(p))
    check(p.wait("JSON.stringify(%s) !== %s" % (CARDS, json.dumps(json.dumps(before, separators=(",", ":")))), 40), "and changes the results")
    words_first = s.search("a blue bird")[0]
    first(p, words_first, "nearly all words: theirs come first")


# ---- why, large, models ----

def explanations(p, s):
    p.go(s.url + "/?q=a+red+octopus")
    p.wait("document.querySelector('#hits .card')")
    p.click("#hits .card:first-child .acts button:nth-child(3)")
    # a copy is read: Chromium complains of the page's own canvas when it is read more than once
    painted = ("(() => { const c = document.querySelector('#maps canvas'); if (!c || !c.width) return 0; const k ="
               " new OffscreenCanvas(c.width, c.height).getContext('2d', {willReadFrequently: true});"
               " k.drawImage(c, 0, 0); const d = k.getImageData(0, 0, c.width, c.height).data; let n = 0;"
               " for (let i = 3; i < d.length; i += 4) n += d[i] > 20; return n / (d.length / 4); })()")
    check(p.wait(painted + " > .02", 60), "a map lies over the picture", p.js(TEXT % "explainsays"))
    check(len(p.js(TEXT % "explainsays")) > 30, "a sentence says it", p.js(TEXT % "explainsays"))
    p.picture(OUT + "/why.png")
    p.key("Escape")
    check(p.wait("!document.getElementById('explain').open"), "Esc closes it")


def large(p, s):
    p.go(s.url + "/?q=a+red+octopus")
    p.wait("document.querySelector('#hits .card')")
    p.js("document.querySelector('#hits .pic').focus()")
    p.key("Enter")
    check(p.wait("document.getElementById('look').open") and p.js("document.getElementById('lookimg').alt") == p.js(ALTS)[0], "Enter opens a result")
    p.key("ArrowRight")
    check(p.js("document.getElementById('lookimg').alt") == p.js(ALTS)[1], "the next by an arrow")
    check(p.js("[...document.querySelectorAll('#lookfacts dt')].length") >= 3, "with facts")
    p.picture(OUT + "/look.png")
    p.key("Escape")
    check(p.wait("!document.getElementById('look').open") and p.js("document.activeElement === document.querySelectorAll('#hits .pic')[1]"), "the focus comes back to it")


def models(p, s):
    model = next(h["id"] for h in s.ask(C + "/search", {"query": "a part", "limit": 100})["hits"] if h["kind"] == "model")
    p.go(s.url + "/?like=" + model)
    first(p, model, "a 3-D model among the results")
    check(p.js("document.querySelector('#hits .kind').textContent") == "3-D model", "is named as one")
    source = "document.querySelector('#hits .pic img').src"
    x, y = p.place("#hits .pic")
    p.mouse("mouseMoved", x, y, False)
    check(p.wait(source + ".includes('view=3')", 30), "turns under the pointer", p.js(source))
    p.mouse("mouseMoved", 2, 2, False)
    p.media(prefers_reduced_motion="reduce")
    time.sleep(.6)
    before = p.js(source)
    p.mouse("mouseMoved", x, y, False)
    time.sleep(1.2)
    check(p.js(source) == before, "but not for who wants no motion")
    p.media()
    p.mouse("mouseMoved", 2, 2, False)
    p.click("#hits .pic")
    p.wait("document.getElementById('look').open")
    p.js("document.getElementById('lookview').focus()")
    p.key("ArrowRight")
    check("view=1" in p.js("document.getElementById('lookimg').src") and p.js(TEXT % "lookviewname") == "View 2 of 12", "turned by keys")
    p.key("Escape")


# ---- objects, the collection ----

def objects(p, s):
    p.click('#pages [data-page="objects"]')
    check(p.wait("!document.getElementById('page-objects').hidden") and address(p) == {"view": "objects"}, "the page of objects")
    p.click("#teach button.main")
    check("name" in p.js(TEXT % "teachsays") and p.js(FOCUS) == "objectname", "a name is asked for")
    p.type("dino")
    p.choose("#photographs", *sorted(glob.glob("more/1100003/*.png"))[:2])
    check(p.wait("document.querySelectorAll('#lesson li').length === 2"), "two photographs")
    p.click("#teach button.main")
    check(p.wait("document.querySelectorAll('#objects .card').length === 1", 60), "taught and listed", p.js(TEXT % "teachsays"))
    check("“dino” is known now, by 2 pictures." == p.js(TEXT % "teachsays"), "and said", p.js(TEXT % "teachsays"))
    p.drop('[data-drop="recognise"]', sorted(glob.glob("more/1100003/*.png"))[2])
    check(p.wait("document.querySelector('#recognised .yes')", 60) and p.js("document.querySelector('#recognised .yes').textContent") == "dino", "recognised", p.js(TEXT % "recognised"))
    check(re.search(r"\d+ % sure", p.js(TEXT % "recognised")), "with confidence", p.js(TEXT % "recognised"))
    p.picture(OUT + "/objects.png")
    p.choose("#which", "noise.png")
    check(p.wait("document.querySelector('#recognised .no')", 60) and "Unknown" in p.js(TEXT % "recognised"), "and what is unknown is called so", p.js(TEXT % "recognised"))
    p.click("#objects .acts button:first-child")
    cards(p, s.search({"object": "dino"}), "found in the collection")
    p.js("history.back()")
    p.wait("!document.getElementById('page-objects').hidden && document.querySelectorAll('#objects .card').length === 1")
    time.sleep(1)
    p.click("#objects .acts button:nth-child(2)")
    check(p.wait("document.getElementById('sure').open"), "asked before it is forgotten")
    p.click("#sure button.danger")
    check(p.wait("document.querySelectorAll('#objects .card').length === 0") and s.ask(C + "/objects")["objects"] == [], "forgotten")


def collection(p, s):
    p.click('#pages [data-page="collection"]')
    n = s.ask(C + "/stats")["items"]
    check(p.wait("document.querySelector('#stats dd')?.textContent === '%d'" % n), "the sizes", p.js(TEXT % "stats"))
    p.drop('[data-drop="add"]', *sorted(glob.glob("more/1100004/*.png"))[:2])
    check(p.wait("document.getElementById('addsays').textContent.startsWith('2 pictures added')", 90), "two pictures added", p.js(TEXT % "addsays") + p.js(TEXT % "notadded"))
    check(p.wait("document.querySelector('#stats dd').textContent === '%d'" % (n + 2)), "and counted")
    with open("broken.png", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\nno more")
    p.choose("#newpictures", "broken.png")
    check(p.wait("document.querySelector('#notadded li')", 60) and "broken.png" in p.js(TEXT % "notadded"), "a broken one is named", p.js(TEXT % "notadded"))
    os.link("more/1100004/clean-6.png", "toys/new.png")
    p.click("#scan")
    check(p.wait("document.querySelector('#jobs .badge.done')", 90), "folders are read again", p.js(TEXT % "jobs") + p.js(TEXT % "problem"))
    check("1 added" in p.js(TEXT % "jobs"), "with what came of it", p.js(TEXT % "jobs"))
    shutil.copy("toys/new.png", "toys/same.png")
    p.click("#scan")
    p.wait("document.querySelectorAll('#jobs .badge.done').length === 2", 90)
    p.click("#finddups")
    check(p.wait("document.querySelectorAll('#dups section').length > 0", 60), "near duplicates", p.js(TEXT % "dupsays"))
    check("new.png" in p.js(TEXT % "dups") and "same.png" in p.js(TEXT % "dups"), "both of them", p.js(TEXT % "dups"))
    p.picture(OUT + "/collection.png")


# ---- history, keys, language, colours ----

def history(p, s):
    fresh(p, s)
    enter(p, "a yellow duck")
    p.wait("document.querySelector('#hits .card')")
    p.click("#clear")
    p.wait("!document.getElementById('past').hidden")
    check("a yellow duck" in p.js(TEXT % "history"), "earlier searches are kept", p.js(TEXT % "history"))
    p.js("[...document.querySelectorAll('#history button')].find((b) => b.textContent === 'a yellow duck').click()")
    cards(p, s.search("a yellow duck"), "and asked again")
    p.click("#clear")
    p.wait("!document.getElementById('past').hidden")
    p.click("#forgetpast")
    check(p.js("document.getElementById('past').hidden && !localStorage.getItem('ken.history')"), "and can be cleared")


def keyboard(p, s):
    """No mouse from here on."""
    fresh(p, s)
    stops = []
    for _ in range(10):
        p.key("Tab")
        stops.append(p.js(FOCUS))
    check(stops[0] == "skip" and stops[1] == "brand" and stops[5:10] == ["language", "theme", "help", "words", "choose"], "the order of focus", stops)
    p.js("document.activeElement.blur()")
    p.key("/")
    check(p.js(FOCUS) == "words", "/ goes to the words")
    p.type("a red octopus")
    p.key("Enter")
    p.wait("document.querySelector('#hits .card')")
    p.key("ArrowDown")
    check(p.js("document.activeElement === document.querySelector('#hits .pic')"), "down to the results")
    p.key("ArrowRight")
    check(p.js("document.activeElement === document.querySelectorAll('#hits .pic')[1]"), "and along them")
    p.key("ArrowDown")
    check(p.js("document.activeElement.getBoundingClientRect().top > document.querySelector('#hits .pic').getBoundingClientRect().top + 50"), "down a row")
    outline = p.js("getComputedStyle(document.activeElement).outlineStyle")
    check(outline == "solid", "the focus is seen", outline)
    p.key("ArrowUp")
    third = p.js("document.activeElement.closest('.card').dataset.id")
    p.key("m")
    cards(p, s.search({"text": "a red octopus", "weight": .4}, {"id": third, "weight": .6}), "m is more like this")
    check(address(p).get("like") == third, "of the one in focus", address(p))
    p.key("Escape")
    check(p.js(FOCUS) == "words", "Esc goes back")
    p.js("document.activeElement.blur()")
    p.key("?")
    check(p.wait("document.getElementById('helptext').open"), "? helps")
    p.picture(OUT + "/help.png")
    p.key("Escape")
    check(p.wait("!document.getElementById('helptext').open"), "until Esc")


def chinese(p, s):
    fresh(p, s)
    p.click("#language")
    check(p.wait("document.documentElement.lang === 'zh-CN'"), "Chinese by a button")
    enter(p, "红色的章鱼")
    cards(p, s.search("红色的章鱼"), "Chinese words")
    check(p.js("document.querySelector('#hits .acts button').textContent") == "更像这个", "all of it")
    check(p.js("[...document.querySelectorAll('[data-t]')].every((e) => e.closest('kbd') || !/[a-z]{4}/i.test(e.textContent.replace(/Ctrl|Shift|English|curl|ken/g, '')))"),
          "no English left", p.js("[...document.querySelectorAll('[data-t]')].map((e) => e.textContent).filter((x) => /[a-z]{4}/i.test(x))"))
    p.picture(OUT + "/chinese.png")
    p.reload()
    check(p.wait("document.documentElement.lang === 'zh-CN'"), "and stays")
    p.wait("document.querySelector('#hits .card')")
    p.click("#language")
    check(p.wait("document.documentElement.lang === 'en'"), "and back")
    q = Page(language="zh-CN")
    q.go(s.url + "/")
    check(q.wait("document.documentElement.lang === 'zh-CN'"), "a Chinese browser gets Chinese", q.js("navigator.language"))
    q.close()


def phone(p, s):
    q = Page(width=390, height=844)
    for view in ("?q=a+red+octopus", "?view=objects", "?view=collection"):
        q.go(s.url + "/" + view)
        q.wait("document.querySelector('main:not([hidden]) :is(.card, #stats dd, #noobjects:not([hidden]))')")
        time.sleep(.5)
        wide = q.js("document.documentElement.scrollWidth")
        check(wide <= 390, "nothing reaches beyond a phone's side, " + view, wide)
    q.go(s.url + "/?q=a+red+octopus")
    q.wait("document.querySelector('#hits .card')")
    time.sleep(1)
    q.picture(OUT + "/phone.png")
    q.close()


CONTRAST = """(() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = (c) => { const f = c.slice(0, 3).map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  let n = 0;
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || seen.has(e) || !e.checkVisibility() || e.closest('option, video')) continue;
    seen.add(e);
    const stack = [];
    for (let x = e; x; x = x.parentElement) stack.push(parse(getComputedStyle(x).backgroundColor));
    const behind = stack.reverse().reduce((b, c) => over(c, b), [255, 255, 255, 1]);
    const ink = over(parse(getComputedStyle(e).color), behind), [a, b] = [light(ink), light(behind)].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    n++;
    if (ratio < 4.5) poor.push([e.textContent.slice(0, 30), e.className, Math.round(ratio * 100) / 100]);
  }
  return [n, poor];
})()"""


def colours(p, s):
    p.media(prefers_color_scheme="dark")
    p.go(s.url + "/?q=a+red+octopus")
    p.wait("document.querySelector('#hits .card')")
    background = "getComputedStyle(document.body).backgroundColor"
    check(p.js(background) == "rgb(20, 24, 26)", "dark where the system is", p.js(background))
    time.sleep(1)
    p.picture(OUT + "/dark.png")
    for _ in range(2):
        for view in ("?q=a+red+octopus", "?", "?view=objects", "?view=collection"):
            p.go(s.url + "/" + view)
            p.wait("document.readyState === 'complete' && [...document.querySelectorAll('main:not([hidden]) :is(.card, #latestlist li, #stats dd, #noobjects:not([hidden]))')].length")
            n, poor = p.js(CONTRAST)
            check(n > 10 and not poor, "contrast of every text at least 4.5 to 1, %s %s" % (view, p.js("document.documentElement.dataset.theme")), poor)
        p.click("#theme")
    check(p.js("document.documentElement.dataset.theme") == "dark", "and by a button")
    p.js("localStorage.removeItem('ken.theme')")
    p.media()


def accessible(p, s):
    needed = {"button", "link", "textbox", "searchbox", "checkbox", "combobox", "slider", "image", "meter", "dialog",
              "progressbar", "main", "navigation", "search"} - {"main", "search"}
    for view in ("?q=a+red+octopus", "?view=objects", "?view=collection"):
        p.go(s.url + "/" + view)
        p.wait("[...document.querySelectorAll('main:not([hidden]) :is(.card, #stats dd, #noobjects:not([hidden]))')].length")
        nodes = [n for n in p.send("Accessibility.getFullAXTree")["nodes"] if not n.get("ignored")]
        roles = [n["role"]["value"] for n in nodes]
        mute = [n["role"]["value"] for n in nodes if n["role"]["value"] in needed and not n.get("name", {}).get("value", "").strip()]
        # an empty alt makes a picture a decoration, which is ignored
        check(len(nodes) > 30 and not mute, "everything has a name, " + view, mute)
        check(roles.count("main") == 1 and "navigation" in roles and "heading" in roles, "landmarks, " + view)


# ---- the server's side ----

def curl(p, s):
    p.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"], origin=s.url)
    p.go(s.url + "/?q=a+red+octopus+isn't&n=5")
    p.wait("document.querySelector('#hits .card')")
    p.click("#curl")
    p.wait("document.getElementById('status').textContent === 'Copied.' || document.getElementById('copy').open")
    command = p.js("document.getElementById('copy').open ? document.getElementById('copytext').value : navigator.clipboard.readText()")
    r = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120)
    try:
        ids = [h["id"] for h in json.loads(r.stdout)["hits"]]
    except (ValueError, KeyError):
        ids = r.stdout
    check(ids == p.js(CARDS), "the copied command asks the same", [command, ids])
    p.js("document.getElementById('copy').close()")


def keys(s):
    k = Server(KEN_API_KEY="sesame")
    p = Page()
    p.go(k.url + "/")
    check(p.wait("document.getElementById('keyask').open"), "a key is asked for")
    p.type("wrong")
    p.key("Enter")
    check(p.wait("document.getElementById('keyask').open && !document.getElementById('keysays').hidden"), "a wrong one is told")
    p.type("sesame")
    p.key("Enter")
    check(p.wait("document.querySelector('#latestlist img')?.naturalWidth > 0", 60), "the right one opens all, pictures too")
    check(p.js("sessionStorage.getItem('ken.key') === 'sesame' && !JSON.stringify(localStorage).includes('sesame')"), "kept for this tab alone")
    enter(p, "a red octopus")
    check(p.wait("document.querySelector('#hits .card')", 60), "and is sent")
    check(not any("sesame" in e["request"]["url"] for e in p.heard("Network.requestWillBeSent")), "never in an address")
    p.close()
    k.stop()


def away():
    s = Server()
    p = Page()
    fresh(p, s)
    port = urlsplit(s.url).port
    s.stop()
    enter(p, "a red octopus")
    check(p.wait("document.getElementById('problem').textContent.includes(\"can't be reached\")", 60), "a server that is gone, in words", p.js(TEXT % "problem"))
    s = Server(port)
    p.click("#problem button")
    check(p.wait("document.querySelector('#hits .card') && document.getElementById('problem').hidden", 60), "trying again helps")
    p.close()
    s.stop()


def outside(p, s):
    """What the browser has noticed: nothing."""
    for what, key in (("Runtime.exceptionThrown", "exceptionDetails"), ("Runtime.consoleAPICalled", "args")):
        check(not p.heard(what), "no " + what, p.heard(what))
    # what is refused with 422 on purpose, a broken picture and a wrong filter, the browser notes
    entries = [e["entry"] for e in p.heard("Log.entryAdded") if not e["entry"].get("url", "").endswith(("/items", "/search"))]
    check(not entries, "nothing in the log, of the policy neither", entries)
    hosts = {urlsplit(e["request"]["url"])[:2] for e in p.heard("Network.requestWillBeSent")}
    own = tuple(urlsplit(s.url)[:2])
    check({h for h in hosts if h[0] in ("http", "https", "ws", "wss")} == {own}, "no request to another host", [list(h) for h in hosts])
    head = urllib.request.urlopen(s.url + "/").headers
    policy = head["Content-Security-Policy"]
    check("default-src 'self'" in policy and "unsafe" not in policy, "a strict policy", policy)
    html = open(os.path.join(WEB, "index.html"), encoding="utf-8").read()
    check(not re.search(r"\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|<style|https?://(?!www\.w3\.org)", html), "no inline script or style, nothing from elsewhere")
    served = sum(len(urllib.request.urlopen(s.url + "/" + name).read()) for name in os.listdir(WEB))
    check(0 < served < 200000, "under 200 kB", served)
    print("the page has %d bytes" % served)


def main():
    import struct
    import zlib
    noise = b"".join(b"\0" + os.urandom(96 * 3) for _ in range(96))
    part = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open("noise.png", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">2I5B", 96, 96, 8, 2, 0, 0, 0)) +
                part(b"IDAT", zlib.compress(noise)) + part(b"IEND", b""))
    s = Server()
    p = Page()
    only = os.environ.get("ONLY", "").split()
    for step in (words, feedback, options, pictures, explanations, large, models, objects, collection, history, keyboard, chinese,
                 phone, colours, accessible, curl, outside):
        if only and step.__name__ not in only:
            continue
        began = time.time()
        try:
            step(p, s)
        except Exception as e: # the other steps shall be seen as well
            check(False, "%s: %s" % (step.__name__, str(e)[:400]))
        print("%s %.0f s" % (step.__name__, time.time() - began), flush=True)
    p.close()
    check(s.stop() == 0, "the server ends in peace")
    if not only:
        keys(s)
        away()
    print("checks: %d good, %d bad" % (good, bad))
    sys.exit(bad > 0)


main()
