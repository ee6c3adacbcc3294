#!/usr/bin/env python3
"""soak.py - a server under strain, as `make soak` builds it: with the address and undefined-behaviour sanitizers.

In turn: requests that are none or lie; a thousand connections that say nothing, half a thing or break off; a mixed
load for some minutes with slow clients beside it.  The server must answer all along, and after it as before; it may
be too busy (503) for one request in a hundred; no sanitizer may have said anything, at the end about leaks neither;
and its resident memory must stand still: between the first and the last tenth of the mixed load after its warm-up (a
third of it, ten minutes at most) the median may rise by GROWTH; a load of less than ten minutes is all warm-up, and
is not judged.  Values and forms that a document does not allow are schemathesis.sh's.  The standard library alone.
"""

import argparse
import base64
import collections
import glob
import http.client
import json
import os
import random
import re
import resource
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

GROWTH = 8 << 20  # bytes
JUDGED = 10  # minutes
PATIENCE = 90  # seconds for an answer; the sanitizers and whoever shares the machine slow it
TIMEOUT = 10  # --timeout: without a byte
MOST_BODY = 2 << 20  # --max-body
SLOWEST_HEAD = 30  # seconds that the server gives a head, however it trickles
BUSY = .01  # the share of a phase's answers that may be 503
C = "/v1/collections/default"
JSON = {"Content-Type": "application/json"}
WORDS = ["a red cup", "红色的杯子", "a blue toy with a hole", "a photo of a bear", "玩具", "x" * 300, "two boxes, one green"]


class Tally:
    """Answers by phase and status, what clients did that went as it should, and what is wrong."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answers = collections.defaultdict(collections.Counter)
        self.went_well = collections.Counter()
        self.problems = []

    def count(self, phase, status):
        with self.lock:
            self.answers[phase][status] += 1

    def well(self, what):
        with self.lock:
            self.went_well[what] += 1

    def wrong(self, what):
        with self.lock:
            self.problems.append(what)
            if len(self.problems) <= 20:
                print(f"  WRONG: {what}", flush=True)

    def judge_busy(self):
        for phase, counts in self.answers.items():
            if counts[503] > BUSY * counts.total():
                self.wrong(f"{phase}: {counts[503]} of {counts.total()} found the server too busy")

    def print(self):
        print(f"\n{'phase':12}{'answers':>9}{'2xx':>8}{'4xx':>8}{'5xx':>8}  by status, and the others")
        for phase, counts in self.answers.items():
            sums = collections.Counter({0: 0})
            for status, n in counts.items():
                sums[status // 100 if isinstance(status, int) else 0] += n
            each = ", ".join(f"{s}: {n}" for s, n in sorted(counts.items(), key=lambda x: str(x[0])))
            print(f"{phase:12}{counts.total() - sums[0]:9}{sums[2]:8}{sums[4]:8}{sums[5]:8}  {each}")


def in_threads(tally, *works):
    """Does them all at once; what one of them raises is wrong."""
    def guarded(work):
        try:
            work()
        except Exception as e:  # whatever it is: a thread that ends early has tested nothing
            tally.wrong(f"{getattr(work, '__qualname__', work)}: {e!r}")

    threads = [threading.Thread(target=guarded, args=(w,), daemon=True) for w in works]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


class Server:
    """ken serve over pictures of its own, and what can be seen of it from outside."""

    def __init__(self, build, top):
        self.build, self.top, self.pics, self.process = build, top, os.path.join(top, "pics"), None
        self.samples = []  # (time, bytes)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("KEN_")}
        # little quarantine, or it would grow for minutes; each process writes into a file of its own
        self.env.update(HOME=top, LC_ALL="C.UTF-8", KEN_DB=os.path.join(top, "db"), KEN_MODELS=os.path.abspath("weights"),
                        ASAN_OPTIONS=f"quarantine_size_mb=8:exitcode=23:log_path={top}/sanitizer",
                        UBSAN_OPTIONS=f"print_stacktrace=1:log_path={top}/sanitizer")

    def start(self):
        run = dict(env=self.env, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([f"{self.build}/ken-toys", "render", "--ids", "0:8", "--views", "2", "-o", self.pics], **run)
        write_tetrahedron(os.path.join(self.pics, "part.stl"))
        subprocess.run([f"{self.build}/ken", "index", "-q", self.pics], **run)
        self.pictures = []
        for path in sorted(glob.glob(f"{self.pics}/*/*.png")):
            with open(path, "rb") as f:
                self.pictures.append(f.read())
        self.err = open(os.path.join(self.top, "err"), "w+b")
        self.process = subprocess.Popen(
            [f"{self.build}/ken", "serve", "--listen", "127.0.0.1:0", "--shims", "--roots", self.pics, "--workers", "4",
             "--max-body", str(MOST_BODY >> 20), "--timeout", str(TIMEOUT), "--connections", "1300"],
            env=self.env, stdout=subprocess.PIPE, stderr=self.err, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def runs(self):
        return self.process.poll() is None

    def dial(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def ask(self, method, path, body=None, headers=None):
        """Status and bytes of the answer."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    def post(self, path, value, method="POST"):
        return self.ask(method, path, json.dumps(value), JSON)

    def check_alive(self, tally):
        try:
            status, _ = self.ask("GET", "/livez")
        except OSError as e:
            status = type(e).__name__
        tally.count("alive", status)
        if status != 200:
            tally.wrong(f"/livez: {status}")

    def metric(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.ask("GET", "/metrics")[1].decode(), re.M)[1])

    def resident(self):
        """Bytes of the server and of the processes that it has started."""
        pids, n = [self.process.pid], 0
        while pids:
            p = pids.pop()
            try:
                with open(f"/proc/{p}/statm") as f:
                    n += int(f.read().split()[1]) * resource.getpagesize()
                with open(f"/proc/{p}/task/{p}/children") as f:
                    pids += map(int, f.read().split())
            except OSError:
                continue
        return n

    def stop(self, tally):
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(180)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "killed: it would not end"
        if status != 0:
            tally.wrong(f"the server ended with {status}")
        self.err.seek(0)
        said = self.err.read().decode(errors="replace")
        if "ERROR" in said or "runtime error" in said:
            tally.wrong("it complained:\n" + said[:4000])
        for path in sorted(glob.glob(f"{self.top}/sanitizer.*")):
            with open(path, errors="replace") as f:
                tally.wrong(f"a sanitizer:\n{f.read()[:6000]}")


def write_tetrahedron(path):
    """Four corners and the four triangles between them, as ASCII STL."""
    p = [(0, 0, 0), (4, 0, 0), (0, 3, 0), (0, 0, 2)]
    with open(path, "w") as f:
        f.write("solid tetrahedron\n")
        for t in ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)):
            f.write("facet normal 0 0 0\nouter loop\n")
            f.writelines(f"vertex {p[i][0]} {p[i][1]} {p[i][2]}\n" for i in t)
            f.write("endloop\nendfacet\n")
        f.write("endsolid\n")


def form(*parts):
    """Body and headers of a form; a part is (name, bytes or str)."""
    out = b""
    for name, value in parts:
        file = f'; filename="{name}.png"' if isinstance(value, bytes) else ""
        out += f'--XyZ\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        out += (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return out + b"--XyZ--\r\n", {"Content-Type": "multipart/form-data; boundary=XyZ"}


# ---- what is known before, and must be the same after ----

def known(server):
    """Answers to a few questions, without what may differ."""
    where = "dir ~ *pics*"
    image = form(("query", json.dumps({"query": [{"image": {"part": "f"}}], "where": where})), ("f", server.pictures[3]))
    answers = [server.post(f"{C}/search", {"query": q, "limit": 8, "where": where})
               for q in ("a red cup", "蓝色的玩具", [{"id": "2"}, {"id": "5", "weight": -0.5}])]
    answers.append(server.ask("POST", f"{C}/search", *image))
    answers.append(server.post("/v1/embeddings", {"input": ["a red cup", "杯子"]}))
    out = []
    for status, body in answers:
        d = json.loads(body)
        hits = [(h["id"], h["score"], h["raw"], h["path"]) for h in d.get("hits", [])]
        out.append((status, hits, [e["embedding"] for e in d.get("data", [])]))
    return out


def check_known(server, tally, before, when):
    try:
        if known(server) != before:
            tally.wrong(f"{when}: a known query has another answer")
    except (OSError, http.client.HTTPException, ValueError, KeyError) as e:
        tally.wrong(f"{when}: a known query: {e!r}")


# ---- requests that are none ----

PATHS = ("/livez", "/metrics", "/v1/limits?a=1", f"{C}/items?limit=3", f"{C}/items/99999999999999999999",
         f"{C}/items/1/thumbnail?w=64", f"{C}/items/2/original", f"{C}/objects/%C3%A9", "/v1/jobs/none/events",
         "/../etc/passwd", "/%2e%2e/%00", "/" + "a" * 9000, "/?" + "&".join(f"k{i}=v" for i in range(200)))
BODIES = ((f"{C}/search", {"query": "a red cup", "limit": 3}), (f"{C}/explain", {"a": {"text": "x"}, "b": {"id": "1"}}),
          ("/v1/embeddings", {"input": "abc"}), ("/post", {"data": [{"text": "a"}]}), (f"{C}/index", {"paths": ["/etc"]}),
          (f"{C}/recognize", {"image": {"data": "UDYgMiAyIDI1NQphYmNkZWZnaGlqa2w="}}), (f"{C}/items", {"images": []}))
JUNK = (b"\r\n", b"\0", b"%00", b"%zz", b": ", b"Content-Length: -1\r\n", b"Content-Length: 7\r\n", b"Host: x\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"\xff\xfe", b"ffffffffffffffff\r\n", b"HTTP/9.9",
        b'{"a":[[[[[[', b"../", b"\\u0000", b" ", b"Range: bytes=-1\r\n", b"Cookie: " + b"a" * 3000 + b"\r\n")


def head(r, method, path, lines):
    return "\r\n".join([f"{method} {path} HTTP/1.{r.choice('1111110')}", "Host: localhost", *lines, "", ""]).encode()


def lying_length(r, body):
    """Lines that say how long a body is, and what is sent of it."""
    n = len(body)
    what = r.randrange(9)
    if what == 0:
        return [f"Content-Length: {n + r.choice((1, 1000, 1 << 20))}"], body
    if what == 1:
        return [f"Content-Length: {r.randrange(n + 1)}"], body
    if what == 2:
        return [f"Content-Length: {r.choice(('-1', '1e3', '0x10', '', '18446744073709551616', '99999999999999'))}"], body
    if what == 3:
        return [f"Content-Length: {n}", f"Content-Length: {n + 5}"], body
    if what == 4:
        return [f"Content-Length: {n}", "Transfer-Encoding: chunked"], b"%x\r\n%s\r\n0\r\n\r\n" % (n, body)
    if what == 5:  # pieces that are longer or shorter than they say
        return ["Transfer-Encoding: chunked"], b"%x\r\n%s\r\n0\r\n\r\n" % (max(0, n + r.randrange(-9, 9)), body)
    if what == 6:
        return ["Transfer-Encoding: chunked"], r.choice((b"-5\r\n", b"fffffffffffffffff\r\n", b"\r\n", b"5;a=b\r\n")) + body
    if what == 7:  # too long, and says so; the rest may never come
        return [f"Content-Length: {MOST_BODY + r.choice((1, 1 << 16, 1 << 40))}"], body + bytes(r.choice((0, 1 << 16)))
    size = r.choice((1 << 16, 1 << 16, 1 << 16, MOST_BODY + (1 << 17)))  # too long only once it is there
    return ["Transfer-Encoding: chunked"], b"%x\r\n%s\r\n0\r\n\r\n" % (size, bytes(size))


def malformed(r):
    """The bytes of one request."""
    mangled = r.randrange(2)
    if r.randrange(3) == 0:
        mangled = 1
        out = head(r, r.choice(("GET", "GET", "HEAD", "PUT", "BREW", "DELETE")), r.choice(PATHS), [])
    else:
        path, value = r.choice(BODIES)
        body = json.dumps(value).encode()
        kind = r.choice(("application/json", "application/json", "text/plain", "application/json; charset=utf-7", ""))
        lines, sent = ([f"Content-Length: {len(body)}"], body) if mangled else lying_length(r, body)
        out = head(r, "POST", path, [f"Content-Type: {kind}", *lines]) + sent
    out = bytearray(out)
    for _ in range(r.randrange(1, 5) if mangled else 0):
        at, junk, how = r.randrange(len(out) + 1), r.choice(JUNK), r.randrange(4)
        if how == 0:
            out[at:at + 1] = bytes([r.randrange(256)])
        elif how == 1:
            out[at:at] = junk
        elif how == 2:
            del out[at:]
        else:
            del out[at:at + 7]
    return bytes(out)


def exchange(server, request, r):
    """The status that comes back, "closed", "left" (we went before) or "nothing"."""
    leaves = r.randrange(8) == 0
    try:
        with server.dial() as s:
            try:
                s.sendall(request)
            except OSError:
                pass  # it has answered and closed: the answer may be there
            if leaves:
                return "left"
            got = b""
            if not select.select([s], [], [], 1)[0]:
                s.shutdown(socket.SHUT_WR)  # the server waits for more: it shall not
            while len(got) < 12:
                piece = s.recv(4096)
                if not piece:
                    return "closed"
                got += piece
            found = re.match(rb"HTTP/1\.[01] (\d{3})", got)
            return int(found[1]) if found else got[:12].decode("latin1")
    except TimeoutError:
        return "nothing"
    except ConnectionResetError:
        return "closed"


def one_malformed(server, tally, phase, seed, i):
    r = random.Random(seed * 1000003 + i)
    request = malformed(r)
    status = exchange(server, request, r)
    tally.count(phase, status)
    if status not in ("closed", "left", 501, 503, 505) and not (isinstance(status, int) and status < 500):
        tally.wrong(f"{phase}: request {i} of seed {seed}: {status}: {request[:300]!r}")


def many_malformed(server, tally, seed, n):
    def work(k):
        for i in range(k, n, 4):
            if not server.runs():
                return
            one_malformed(server, tally, "malformed", seed, i)
            if i % 500 == 0:
                server.check_alive(tally)

    in_threads(tally, *(lambda k=k: work(k) for k in range(4)))
    server.check_alive(tally)


# ---- connections ----

def silent_parts():
    post = f"POST {C}/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return (b"", b"GET /li", b"GET /livez HTTP/1.1\r\nHost: local", (post + "Content-Length: 500\r\n\r\n{").encode(),
            (post + "Transfer-Encoding: chunked\r\n\r\n1000\r\nabc").encode(), (post + "Content-Length: 0").encode())


def break_off(server, request):
    with server.dial() as s:
        s.sendall(request)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset


def crowd(server, tally, before, n):
    """n connections that stand, and some that break off: the others are answered, and in the end these go."""
    parts, socks = silent_parts(), []
    for i in range(n):
        socks.append(server.dial())
        socks[-1].sendall(parts[i % len(parts)])
    standing = server.metric("ken_http_connections")
    if standing < n:
        tally.wrong(f"connections: {standing:.0f} stand of {n}")
    for i in range(100):
        break_off(server, b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"[:None if i % 2 else 20])
    for _ in range(20):
        server.check_alive(tally)
    check_known(server, tally, before, f"while {n} connections stand")
    until, there = time.monotonic() + SLOWEST_HEAD + TIMEOUT + PATIENCE, 0
    for s in socks:
        s.settimeout(max(.01, until - time.monotonic()))
        try:
            while s.recv(4096):
                pass
        except TimeoutError:
            there += 1
        except ConnectionResetError:
            pass
        s.close()
    if there:
        tally.wrong(f"connections: {there} of {n} silent ones are still there")
    while (left := server.metric("ken_http_connections")) > 1 and time.monotonic() < until + 30:
        time.sleep(1)
    if left > 1:
        tally.wrong(f"connections: the server still counts {left:.0f} of them")
    server.check_alive(tally)


# ---- clients that send a byte now and then, or ask a lot and read nothing ----

def slow_client(server, r):
    s, reads_nothing = server.dial(), r.randrange(3) == 0
    rest = b""
    if reads_nothing:  # more than the kernel holds for it
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60)
    else:
        body = b'{"query": "a red cup"}'
        rest = r.choice((head(r, "GET", "/livez", ["Connection: close"]),
                         head(r, "POST", f"{C}/search", ["Content-Type: application/json", "Connection: close",
                                                         f"Content-Length: {len(body)}"]) + body))
        at = r.randrange(len(rest))
        s.sendall(rest[:at])
        rest = rest[at:]
    s.setblocking(False)
    return {"s": s, "rest": rest, "since": time.monotonic(), "reads_nothing": reads_nothing}


def step(p):
    """A byte more; the status at the end, "closed", "given up" or "nothing", or None."""
    age = time.monotonic() - p["since"]
    if p["reads_nothing"]:
        return "given up" if age > 3 * TIMEOUT else None
    try:
        p["rest"] = p["rest"][p["s"].send(p["rest"][:1]):]
        got = p["s"].recv(4096)
        return int(got[9:12]) if got else "closed"
    except BlockingIOError:
        return "nothing" if age > SLOWEST_HEAD + TIMEOUT + PATIENCE + len(p["rest"]) else None
    except ConnectionError:
        return "closed"


def slow_clients(server, tally, seed, until, n=60):
    r, peers = random.Random(seed), []
    while time.monotonic() < until and server.runs():
        time.sleep(.5)
        while len(peers) < n:
            peers.append(slow_client(server, r))
        for p in list(peers):
            status = step(p)
            if status is None:
                continue
            tally.count("slow", status)
            if status not in (200, 408, 503, "closed", "given up"):
                tally.wrong(f"slow: {status}")
            p["s"].close()
            peers.remove(p)
    for p in peers:
        p["s"].close()


# ---- the mixed load ----

def words_query(r):
    q = {"query": r.choice(WORDS), "limit": r.randrange(1, 20)}
    q.update(r.choice(({}, {"expand": "aqe"}, {"where": "dir ~ *pics*"}, {"min_score": "auto"}, {"exact": True},
                       {"facets": ["dir", "ext"]}, {"group_by": "dir"}, {"expand": "prompts"})))
    return q


def damaged(r, picture):
    """A bomb, cut, or with other bytes."""
    p, what = bytearray(picture), r.randrange(3)
    if what == 0:
        p[16:24] = struct.pack(">II", r.choice((60000, 1, 0, 0x7FFFFFFF)), r.choice((60000, 0xFFFFFFFF, 30000)))
    elif what == 1:
        del p[r.randrange(len(p)):]
    for _ in range(r.randrange(1, 9) if what == 2 else 0):
        p[r.randrange(len(p))] = r.randrange(256)
    return bytes(p)


def get(path, **headers):
    return "GET", path, None, headers


def post(path, value, **headers):
    return "POST", path, json.dumps(value), {**JSON, **headers}


# What a client asks for: how often, with which answers, what they hold, and a request (r: random, p: a picture).
REQUESTS = {
    "words": (14, (200,), b'"hits"', lambda r, p: post(f"{C}/search", words_query(r))),
    "picture": (8, (200,), b'"hits"', lambda r, p: ("POST", f"{C}/search", *form(("query", json.dumps(
        {"query": [{"image": {"part": "f"}}], "limit": 3, **r.choice(({}, {"verify": 0}))})), ("f", p)))),
    "hybrid": (4, (200,), b"", lambda r, p: ("POST", "/api/search/hybrid", *form(("query", r.choice(WORDS)), ("image", p)))),
    "text": (4, (200,), b"", lambda r, p: post("/api/search/text", {"query": r.choice(WORDS)})),
    "items": (10, (200,), b"", lambda r, p: get(f"{C}/" + r.choice(
        ("items?limit=5", "items/1", "items/3", "stats", "objects", "items?cursor=4&limit=2", "dups?min_raw=0.9")))),
    "thumbnail": (8, (200,), b"", lambda r, p: get(
        f"{C}/items/{r.randrange(1, 18)}/thumbnail?w={r.choice((16, 64, 256, 300))}")),
    "original": (6, (200, 206, 416), b"", lambda r, p: get(
        f"{C}/items/{r.randrange(1, 17)}/original", Range="bytes=" + r.choice(("0-9", "5-", "-20", "99999999-", "9-1")))),
    "batch": (4, (200,), b'"hits"', lambda r, p: post(
        f"{C}/search/batch", {"searches": [{"query": w, "limit": 2} for w in WORDS[:r.randrange(1, 6)]]})),
    "embed": (5, (200,), b"embedding", lambda r, p: post("/v1/embeddings", {"input": [
        r.choice(WORDS), {"image": base64.b64encode(p).decode()}][:r.randrange(1, 3)]})),
    "post": (5, (200,), b"", lambda r, p: post("/post", {"data": [{"text": r.choice(WORDS)}]})),
    "explain": (2, (200,), b"", lambda r, p: post(f"{C}/explain", {"a": {"text": "a red cup"}, "b": {
        "id": str(r.randrange(1, 17))}}, Accept=r.choice(("image/png", "application/json")))),
    "health": (6, (200,), b"", lambda r, p: get(r.choice(
        ("/", "/livez", "/readyz", "/version", "/metrics", "/v1/limits", "/v1/models", "/v1/openapi.json")))),
    "no page": (2, (404,), b"", lambda r, p: get("/nothing-there")),
    "no text": (2, (422,), b"", lambda r, p: post(f"{C}/search", {"query": ""})),
    "no item": (2, (404,), b"", lambda r, p: get(f"{C}/items/999999")),
    "no picture": (2, (200, 413, 422), b"", lambda r, p: ("POST", "/api/search/image", *form(("image", damaged(r, p))))),
    "outside": (2, (403,), b"", lambda r, p: post(f"{C}/index", {"paths": ["/etc"]})),
}


class Load:
    """What a client does; each action is one request or a few that belong together."""

    def __init__(self, server, tally, seed, k):
        self.server, self.tally, self.k, self.seed = server, tally, k, seed
        self.r, self.turn = random.Random(seed * 31 + k), 0
        self.actions = {name: (n, lambda name=name: self.simple(name)) for name, (n, *_) in REQUESTS.items()}
        self.actions.update(objects=(3, self.objects), upload=(3, self.upload), share=(4, self.share),
                            index=(1, self.index), leave=(5, self.leave), broken=(12, self.broken))

    def expect(self, name, request, *wanted):
        """The body of a wanted answer, else None; one that is neither wanted nor 503 is wrong."""
        status, body = self.server.ask(*request)
        self.tally.count("load", status)
        if status in wanted:
            self.tally.well(name)
            return body
        if status != 503:
            self.tally.wrong(f"load: {name}: {status}: {body[:200]!r}")
        return None

    def simple(self, name):
        _, wanted, holds, request = REQUESTS[name]
        body = self.expect(name, request(self.r, self.r.choice(self.server.pictures)), *wanted)
        if body is not None and holds not in body:
            self.tally.wrong(f"load: {name}: an answer without {holds}: {body[:200]!r}")

    def own_picture(self):
        """None that another client sends: what is sent twice is kept once, of one object."""
        return form(("image", self.r.choice(self.server.pictures[self.k::5])))

    def objects(self):
        at, picture = f"{C}/objects/thing%20{self.k}", self.own_picture()
        self.expect("teach", ("PUT", at, *picture), 200, 201)
        self.expect("recognize", ("POST", f"{C}/recognize", *picture), 200)
        self.expect("object", get(at), 200)
        self.expect("forget", ("DELETE", at), 204)

    def upload(self):
        got = self.expect("upload", ("POST", f"{C}/items", *self.own_picture()), 201)
        for item in json.loads(got)["items"] if got else ():
            at = f"{C}/items/{item['id']}"
            self.expect("describe", ("PUT", at, json.dumps({"meta": {"description": "it"}}), JSON), 200)
            self.expect("remove", ("DELETE", at), 204)

    def share(self):
        """The same picture as other clients, sent and removed at any time; see whole() for what must hold."""
        picture = form(("image", self.server.pictures[4 + 5 * self.r.randrange(2)]))
        got = self.expect("share", ("POST", f"{C}/items", *picture), 201)
        for item in json.loads(got)["items"] if got and self.r.randrange(2) else ():
            self.expect("unshare", ("DELETE", f"{C}/items/{item['id']}"), 204, 404)

    def index(self):
        got = self.expect("index", post(f"{C}/index", {}), 202)
        if got is None:
            return
        at = f"/v1/jobs/{json.loads(got)['id']}"
        events = self.expect("events", get(f"{at}/events"), 200)
        if events is not None and b"event: " not in events:
            self.tally.wrong(f"load: events without an end: {events[-200:]!r}")
        self.expect("job", get(at), 200, 404)
        self.expect("cancel", ("DELETE", at), 204, 404)

    def leave(self):
        """Asked, and gone before the answer."""
        body, kind = form(("query", "cup"), ("image", self.server.pictures[0]))
        with self.server.dial() as s:
            s.sendall(head(self.r, "POST", "/api/search/hybrid", [
                f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in kind.items())]) + body)
            time.sleep(self.r.choice((0, .01, .1)))
        self.tally.count("load", "left")

    def broken(self):
        one_malformed(self.server, self.tally, "load", self.seed, 10 ** 6 * (self.k + 1) + self.turn)

    def run(self, until):
        """Each action once, then by chance."""
        first = self.r.sample(sorted(self.actions), len(self.actions))
        weights = [n for n, _ in self.actions.values()]
        while time.monotonic() < until and self.server.runs():
            self.turn += 1
            name = first.pop() if first else self.r.choices(list(self.actions), weights)[0]
            try:
                self.actions[name][1]()
            except (OSError, http.client.HTTPException, ValueError) as e:
                self.tally.count("load", type(e).__name__)
                self.tally.wrong(f"load: {name}: {e!r}")


def watch(server, tally, before, until):
    """Samples of memory, and what is known asked again each minute."""
    next_question, start = time.monotonic() + 60, time.monotonic()
    while time.monotonic() < until and server.runs():
        server.samples.append((time.monotonic() - start, server.resident()))
        if time.monotonic() > next_question:
            next_question += 60
            check_known(server, tally, before, "load")
            print(f"  {(time.monotonic() - start) / 60:.1f} min: {tally.answers['load'].total()} answers, "
                  f"{server.samples[-1][1] >> 20} MiB", flush=True)
        time.sleep(1)


def check_whole(server, tally):
    """Every item has its file, and nobody's object is left."""
    items = json.loads(server.ask("GET", f"{C}/items?limit=1000&hidden=true")[1])["items"]
    for item in items:
        status, _ = server.ask("GET", f"{C}/items/{item['id']}/original")
        outside = not item["path"].startswith(server.pics)  # a picture that was sent: not given away, but there
        if item["hidden"] or status != 200 and not (status == 403 and outside and os.path.exists(item["path"])):
            tally.wrong(f"item {item['id']}, {item['path']}, has lost its file: {status}")
    sent, kept = sum(not i["path"].startswith(server.pics) for i in items), len(os.listdir(f"{server.top}/db/uploads"))
    if sent != kept:
        tally.wrong(f"{kept} files are kept of {sent} pictures that were sent")


def mixed_load(server, tally, before, seed, minutes):
    """The line that tells how the memory stood."""
    until = time.monotonic() + 60 * minutes
    in_threads(tally, *(lambda k=k: Load(server, tally, seed, k).run(until) for k in range(4)),
               lambda: watch(server, tally, before, until), lambda: slow_clients(server, tally, seed, until))
    names = {*REQUESTS, "teach", "recognize", "object", "forget", "upload", "describe", "remove", "share", "index", "events"}
    for name in sorted(names - {*tally.went_well}):
        tally.wrong(f"load: {name}: never a wanted answer")
    warm = min(600, 20 * minutes)  # seconds
    rest = [n for t, n in server.samples if t >= warm]
    if not rest:
        tally.wrong("load: no sample of its memory")
        return ""
    tenth = max(1, len(rest) // 10)
    first, last = statistics.median(rest[:tenth]), statistics.median(rest[-tenth:])
    if minutes >= JUDGED and last - first > GROWTH:
        tally.wrong(f"load: it has grown by {(last - first) / 2 ** 20:.1f} MiB in {minutes - warm / 60:.1f} minutes")
    return (f"{first / 2 ** 20:.1f} after {warm / 60:.1f} minutes of load, {last / 2 ** 20:.1f} at its end; it may grow by "
            f"{GROWTH >> 20}")


def soak(server, tally, o):
    before = known(server)
    if any(status != 200 for status, *_ in before):
        tally.wrong(f"what should be known: {before}"[:500])
    memory = [f"{server.resident() / 2 ** 20:.1f} at the start"]
    print(f"{o.malformed} malformed requests", flush=True)
    many_malformed(server, tally, o.seed, o.malformed)
    memory.append(f"{server.resident() / 2 ** 20:.1f} after the malformed")
    print(f"{o.connections} connections", flush=True)
    crowd(server, tally, before, o.connections)
    memory.append(f"{server.resident() / 2 ** 20:.1f} after the connections")
    print(f"{o.minutes:g} minutes of mixed load", flush=True)
    memory.append(mixed_load(server, tally, before, o.seed, o.minutes))
    check_known(server, tally, before, "at the end")
    check_whole(server, tally)
    if died := server.metric("ken_decoders_died_total"):
        tally.wrong(f"{died:.0f} decoders died")
    print("\nresident MiB, decoders included: " + ", ".join(memory))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--minutes", type=float, default=30, help="of mixed load")
    p.add_argument("--malformed", type=int, default=10000)
    p.add_argument("--connections", type=int, default=1000)
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    tally = Tally()
    with tempfile.TemporaryDirectory() as top:
        server = Server(os.environ["KEN_BUILD"], top)
        try:
            server.start()
            soak(server, tally, o)
        except (OSError, http.client.HTTPException, ValueError) as e:
            tally.wrong(f"the server can't be asked: {e!r}")
        finally:
            server.stop(tally)
    tally.judge_busy()
    tally.print()
    print(f"{len(tally.problems)} problems")
    return bool(tally.problems)


if __name__ == "__main__":
    sys.exit(main())
