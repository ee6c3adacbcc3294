#!/usr/bin/env python3
"""soak.py - a server under strain, as `make soak` builds it: with the address and undefined-behaviour sanitizers.

In turn: requests that are none or lie; a thousand connections that say nothing, half a thing or vanish; a mixed
load for some minutes with slow clients beside it.  The server must answer all along, and after it as before; no
sanitizer may have said anything, at the end about leaks neither; and its resident memory must stand still: between
the first and the last tenth of the mixed load after its warm-up (a third of it, ten minutes at most) the median may
rise by GROWTH; a load of less than ten minutes is all warm-up, and is not judged.  The standard library alone.
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
C = "/v1/collections/default"
WORDS = ["a red cup", "红色的杯子", "a blue toy with a hole", "a photo of a bear", "玩具", "x" * 300, "two boxes, one green"]


class Tally:
    """Answers by phase and status, and what is wrong."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answers = collections.defaultdict(collections.Counter)
        self.problems = []

    def count(self, phase, status):
        with self.lock:
            self.answers[phase][status] += 1

    def wrong(self, what):
        with self.lock:
            self.problems.append(what)
            if len(self.problems) <= 20:
                print(f"  WRONG: {what}", flush=True)


class Server:
    """ken serve over pictures of its own, and what can be seen of it from outside."""

    def __init__(self, build, top):
        self.top, self.pics = top, os.path.join(top, "pics")
        env = {k: v for k, v in os.environ.items() if not k.startswith("KEN_")}
        env.update(HOME=top, LC_ALL="C.UTF-8", KEN_DB=os.path.join(top, "db"), KEN_MODELS=os.path.abspath("weights"),
                   # little quarantine, or it would grow for minutes; each process writes into a file of its own
                   ASAN_OPTIONS=f"quarantine_size_mb=8:exitcode=23:log_path={top}/sanitizer",
                   UBSAN_OPTIONS=f"print_stacktrace=1:log_path={top}/sanitizer")
        run = dict(env=env, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([f"{build}/ken-toys", "render", "--ids", "0:8", "--views", "2", "-o", self.pics], **run)
        write_box(os.path.join(self.pics, "box.stl"))
        subprocess.run([f"{build}/ken", "index", "-q", self.pics], **run)
        self.err = open(os.path.join(top, "err"), "w+b")
        self.process = subprocess.Popen(
            [f"{build}/ken", "serve", "--listen", "127.0.0.1:0", "--shims", "--roots", self.pics, "--workers", "4",
             "--max-body", str(MOST_BODY >> 20), "--timeout", str(TIMEOUT), "--connections", "1300"],
            env=env, stdout=subprocess.PIPE, stderr=self.err, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.samples = []  # (time, bytes)
        self.most = 0
        self.pictures = []
        for path in sorted(glob.glob(f"{self.pics}/*/*.png")):
            with open(path, "rb") as f:
                self.pictures.append(f.read())

    def dial(self, timeout=PATIENCE):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

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
        return self.ask(method, path, json.dumps(value), {"Content-Type": "application/json"})

    def alive(self, tally, phase):
        try:
            status, _ = self.ask("GET", "/livez")
        except OSError as e:
            status = type(e).__name__
        tally.count(phase, status)
        if status != 200:
            tally.wrong(f"{phase}: /livez: {status}")
        return status == 200

    def metric(self, name):
        text = self.ask("GET", "/metrics")[1].decode()
        found = re.search(rf"^{name} (\S+)$", text, re.M)
        return float(found[1]) if found else None

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
        self.most = max(self.most, n)
        return n

    def stop(self, tally):
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
        logs = sorted(glob.glob(f"{self.top}/sanitizer.*"))
        for path in logs:
            with open(path, errors="replace") as f:
                tally.wrong(f"a sanitizer:\n{f.read()[:6000]}")
        return len(logs)


def write_box(path):
    """Two sides of a wedge and its ends, as ASCII STL."""
    p = [(0, 0, 0), (4, 0, 0), (0, 3, 0), (0, 0, 2)]
    with open(path, "w") as f:
        f.write("solid wedge\n")
        for t in ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)):
            f.write("facet normal 0 0 0\nouter loop\n")
            f.writelines(f"vertex {p[i][0]} {p[i][1]} {p[i][2]}\n" for i in t)
            f.write("endloop\nendfacet\n")
        f.write("endsolid\n")


def form(*parts):
    """Body and type of a form; a part is (name, bytes or str)."""
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
    image, headers = form(("query", json.dumps({"query": [{"image": {"part": "f"}}], "where": where})),
                          ("f", server.pictures[3]))
    answers = [server.post(f"{C}/search", {"query": q, "limit": 8, "where": where})
               for q in ("a red cup", "蓝色的玩具", [{"id": "2"}, {"id": "5", "weight": -0.5}])]
    answers.append(server.ask("POST", f"{C}/search", image, headers))
    answers.append(server.post("/v1/embeddings", {"input": ["a red cup", "杯子"]}))
    out = []
    for status, body in answers:
        d = json.loads(body)
        hits = [(h["id"], h["score"], h["raw"], h["path"]) for h in d.get("hits", [])]
        out.append((status, hits, [e["embedding"] for e in d.get("data", [])]))
    return out


# ---- requests that are none ----

def damaged_picture(r, picture):
    p = bytearray(picture)
    what = r.randrange(4)
    if what == 0:  # a bomb: so many pixels
        p[16:24] = struct.pack(">II", r.choice((60000, 1, 0, 0x7FFFFFFF)), r.choice((60000, 0xFFFFFFFF, 30000)))
    elif what == 1:
        del p[r.randrange(len(p)):]
    elif what == 2:
        for _ in range(r.randrange(1, 9)):
            p[r.randrange(len(p))] = r.randrange(256)
    else:
        p = bytearray(r.choice((b"GIF89a", b"\xff\xd8\xff\xe0", b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"P6 99999 99999 255\n",
                                b"BM", b"\0\0\0\x18ftypheic", b"solid x\n")) + p[8:r.randrange(9, 400)])
    return bytes(p)


def odd_value(r):
    return r.choice((None, True, -1, 0, 1e308, 10 ** 30, 0.5, "", "\ufffd", "a" * 5000, [], {}, [[]] * 70,
                     {"text": "a", "id": "1"}, [{"text": "x"}] * 65, {"image": {"part": "f", "id": "1"}},
                     {"image": {"data": "AAAA" * 50}}, {"image": {"url": "http://127.0.0.1/"}}, "../../etc/passwd"))


def odd_json(r, value):
    """A text beside what the document says: other values and names, deep, broken, no text at all."""
    v = dict(value)
    for _ in range(r.randrange(1, 3)):
        v[r.choice([*v, "limit", "where", "nothing", "min_score"])] = odd_value(r)
    text = json.dumps(v).encode()
    what = r.randrange(8)
    if what == 0:
        text = b'{"a":' * r.choice((50, 5000)) + text
    elif what == 1:
        text = text.replace(b'"', b'"\xff', 1)
    elif what == 2:
        text += r.choice((b"}", b" null", b"\0", b"," + text))
    elif what == 3:
        text = text.replace(b'"', b'"\\u0000', 1)
    elif what == 4:
        text = text.replace(b":", r.choice((b":NaN,", b":1e999,", b"::")), 1)
    return text


PATHS = ("/livez", "/metrics", "/v1/models", "/v1/limits?a=1", f"{C}/items?limit=3", f"{C}/items/1",
         f"{C}/items/99999999999999999999", f"{C}/items/1/thumbnail?w=64", f"{C}/items/2/original", f"{C}/objects/%C3%A9",
         f"{C}/stats", f"{C}/dups?min_raw=0.99", "/v1/jobs/none/events", "/../etc/passwd", "/%2e%2e/%00", "/" + "a" * 9000,
         "/?" + "&".join(f"k{i}=v" for i in range(200)))
BODIES = ((f"{C}/search", {"query": "a red cup", "limit": 3}), (f"{C}/search/batch", {"searches": [{"query": "x"}]}),
          (f"{C}/explain", {"a": {"text": "x"}, "b": {"id": "1"}}), ("/v1/embeddings", {"input": "abc"}),
          ("/post", {"data": [{"text": "a"}]}), ("/api/search/text", {"query": "a"}), (f"{C}/index", {"paths": ["/etc"]}),
          (f"{C}/recognize", {"image": {"data": "UDYgMiAyIDI1NQphYmNkZWZnaGlqa2w="}}), (f"{C}/items", {"images": []}))
JUNK = (b"\r\n", b"\0", b"%00", b"%zz", b": ", b"Content-Length: -1\r\n", b"Content-Length: 7\r\n", b"Host: x\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"\xff\xfe", b"ffffffffffffffff\r\n", b"HTTP/9.9",
        b'{"a":[[[[[[', b"../", b"\\u0000", b" ", b"Range: bytes=-1\r\n", b"Cookie: " + b"a" * 3000 + b"\r\n")


def head(r, method, path, kind, lines):
    out = [f"{method} {path} HTTP/1.{r.choice('1111110')}", "Host: localhost"]
    return "\r\n".join(out + ([f"Content-Type: {kind}"] if kind else []) + lines + ["", ""]).encode()


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


def odd_form(r, pictures):
    body, _ = form(*[(r.choice(("image", "f", "query", "a" * 100, "")), damaged_picture(r, r.choice(pictures)))
                     for _ in range(r.choice((1, 1, 1, 1, 3, 200)))][:200])
    if len(body) > MOST_BODY // 2:
        body = body[:MOST_BODY // 2]
    what = r.randrange(6)
    if what == 0:
        body = body[:r.randrange(len(body))]
    elif what == 1:
        body = body.replace(b"form-data", r.choice((b"form-dat", b"x" * 5000, b"\0")), 1)
    elif what == 2:
        body = body.replace(b"\r\n\r\n", b"\r\n", 1)
    kinds = ("multipart/form-data; boundary=XyZ",) * 6 + ("multipart/form-data", "multipart/form-data; boundary=",
             "multipart/form-data; boundary=" + "a" * 200, 'multipart/form-data; boundary="XyZ', "multipart/mixed")
    return body, r.choice(kinds)


def malformed(r, pictures):
    """The bytes of one request."""
    what = r.randrange(10)
    if what < 2:
        out = head(r, r.choice(("GET", "GET", "HEAD", "PUT", "BREW", "DELETE")), r.choice(PATHS), None, [])
        what = 9
    else:
        path, value = r.choice(BODIES)
        body, kind = json.dumps(value).encode(), "application/json"
        if what < 5:
            body = odd_json(r, value)
        elif what < 7:
            body, kind = odd_form(r, pictures)
            path = r.choice((f"{C}/search", f"{C}/recognize", "/api/search/image", f"{C}/explain"))
        elif what == 9:
            kind = r.choice((kind, "text/plain", "application/json; charset=utf-7", ""))
        lines, sent = lying_length(r, body) if what in (7, 8) else ([f"Content-Length: {len(body)}"], body)
        out = head(r, "POST", path, kind, lines) + sent
    out = bytearray(out)
    for _ in range(r.randrange(1, 5) if what == 9 else 0):
        at, junk = r.randrange(len(out) + 1), r.choice(JUNK)
        how = r.randrange(4)
        if how == 0 and at < len(out):
            out[at] = r.randrange(256)
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
    request = malformed(r, server.pictures)
    status = exchange(server, request, r)
    tally.count(phase, status)
    if isinstance(status, int) and (status < 500 or status in (501, 503, 505)) or status in ("closed", "left"):
        return
    tally.wrong(f"{phase}: request {i} of seed {seed}: {status}: {request[:300]!r}")


def in_threads(n, work):
    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def many_malformed(server, tally, seed, n):
    phase = "malformed"

    def work(k):
        for i in range(k, n, 4):
            if server.process.poll() is not None:
                return
            one_malformed(server, tally, phase, seed, i)
            if i % 2000 == 1999:
                print(f"  {i + 1}", flush=True)
            if i % 500 == 0:
                server.alive(tally, "alive")
                server.resident()

    in_threads(4, work)
    server.alive(tally, "alive")


# ---- connections ----

TCP_REPAIR = 19


def vanish(s):
    """Gone without a word, as when a cable is cut; where that is not allowed, with a reset."""
    try:
        s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        silent = True
    except OSError:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        silent = False
    s.close()
    return silent


def silent_parts():
    post = f"POST {C}/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return (b"", b"GET /li", b"GET /livez HTTP/1.1\r\nHost: local", (post + "Content-Length: 500\r\n\r\n{").encode(),
            (post + "Transfer-Encoding: chunked\r\n\r\n1000\r\nabc").encode(), (post + "Content-Length: 0").encode())


def crowd(server, tally, n):
    """n connections that stand, and some that have vanished: the others are answered, and in the end these go."""
    phase, parts = "connections", silent_parts()
    before = known(server)
    socks = []
    for i in range(n):
        socks.append(server.dial())
        socks[-1].sendall(parts[i % len(parts)])
    standing = server.metric("ken_http_connections")
    silent = 0
    for i in range(100):  # half open: the server asks these and is told nothing, or does not know that they are gone
        s = server.dial()
        s.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"[:None if i % 2 else 20])
        silent += vanish(s)
    for _ in range(20):
        server.alive(tally, phase)
    if known(server) != before:
        tally.wrong(f"{phase}: other answers while {n} connections stand")
    server.resident()
    until, there = time.monotonic() + SLOWEST_HEAD + TIMEOUT + PATIENCE, 0
    for s in socks:
        s.settimeout(max(.01, until - time.monotonic()))
        try:
            while s.recv(4096):
                pass
        except TimeoutError:
            there += 1
        except OSError:
            pass
        s.close()
    if there:
        tally.wrong(f"{phase}: {there} of {n} silent ones are still there")
    while (left := server.metric("ken_http_connections")) is not None and left > 1 and time.monotonic() < until + 30:
        time.sleep(1)
    if left is not None and left > 1:
        tally.wrong(f"{phase}: the server still counts {left:.0f} of them")
    tally.count(phase, "hung up on")
    server.alive(tally, phase)
    return standing, silent


class Slow(threading.Thread):
    """Clients that send a byte now and then, or ask a lot and read nothing, until told to end."""

    def __init__(self, server, tally, n):
        super().__init__(daemon=True)
        self.server, self.tally, self.n, self.end = server, tally, n, threading.Event()

    def start_one(self, r):
        s = self.server.dial()
        reader = r.randrange(3) == 0
        if reader:  # more than the kernel holds for it
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60
            try:
                s.sendall(request)
            except OSError:
                pass
            rest = b""
        else:
            body = b'{"query": "a red cup"}'
            rest = random.choice((b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                                  f"POST {C}/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                  f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body))
            at = r.randrange(len(rest))
            s.sendall(rest[:at])
            rest = rest[at:]
        s.setblocking(False)
        return {"s": s, "rest": rest, "since": time.monotonic(), "reader": reader}

    def finish(self, peers, p, status):
        self.tally.count("slow", status)
        p["s"].close()
        peers.remove(p)

    def step(self, peers, p):
        if p["rest"]:
            p["s"].send(p["rest"][:1])
            p["rest"] = p["rest"][1:]
        age = time.monotonic() - p["since"]
        if p["reader"]:
            if age > 3 * TIMEOUT:  # by now it has been given up
                self.finish(peers, p, "reader")
            return
        try:
            got = p["s"].recv(4096)
            self.finish(peers, p, int(got[9:12]) if got[9:12].isdigit() else "closed")
        except BlockingIOError:
            if age > SLOWEST_HEAD + TIMEOUT + PATIENCE + len(p["rest"]):
                self.tally.wrong("slow: a client that trickles has neither an answer nor an end")
                self.finish(peers, p, "nothing")

    def run(self):
        r, peers = random.Random(3), []
        while not self.end.wait(.5):
            while len(peers) < self.n:
                try:
                    peers.append(self.start_one(r))
                except OSError:
                    break
            for p in list(peers):
                try:
                    self.step(peers, p)
                except BlockingIOError:
                    pass
                except OSError:
                    self.finish(peers, p, "closed")
        for p in peers:
            p["s"].close()


# ---- the mixed load ----

class Load:
    """What a client does; each call is one request or a few that belong together."""

    def __init__(self, server, tally, seed, k):
        self.server, self.tally, self.k, self.seed = server, tally, k, seed
        self.r, self.turn = random.Random(seed * 31 + k), 0
        self.weighted = [(self.words, 14), (self.picture, 8), (self.both, 4), (self.items, 10), (self.thumbnail, 8),
                         (self.original, 6), (self.batch, 4), (self.embed, 5), (self.explain, 2), (self.objects, 3),
                         (self.upload, 3), (self.share, 4), (self.health, 6), (self.page, 5), (self.index, 1), (self.leave, 5),
                         (self.broken, 12), (self.wrong, 6), (self.dups, 2)]

    def expect(self, name, answer, *statuses):
        status, body = answer
        self.tally.count("load", status)
        if status not in statuses and status != 503:
            self.tally.wrong(f"load: {name}: {status}: {body[:200]!r}")
        return body if status in statuses else None

    def any_picture(self):
        return self.r.choice(self.server.pictures)

    def own_picture(self):
        """None that another client sends: what is sent twice is kept once, of one object."""
        return self.r.choice(self.server.pictures[self.k::5])

    def words(self):
        q = {"query": self.r.choice(WORDS), "limit": self.r.randrange(1, 20)}
        q.update(self.r.choice(({}, {"expand": "aqe"}, {"where": "dir ~ *pics*"}, {"min_score": "auto"}, {"exact": True},
                                {"facets": ["dir", "ext"]}, {"group_by": "dir"}, {"expand": "prompts"})))
        body = self.expect("words", self.server.post(f"{C}/search", q), 200)
        if body and "hits" not in json.loads(body):
            self.tally.wrong("load: a search without hits")

    def picture(self):
        q = {"query": [{"image": {"part": "f"}}], "limit": 3}
        if self.r.randrange(4):
            q["verify"] = 0
        body, headers = form(("query", json.dumps(q)), ("f", self.any_picture()))
        self.expect("picture", self.server.ask("POST", f"{C}/search", body, headers), 200)

    def both(self):
        body, headers = form(("query", self.r.choice(WORDS)), ("image", self.any_picture()))
        self.expect("both", self.server.ask("POST", "/api/search/hybrid", body, headers), 200)
        self.expect("text", self.server.post("/api/search/text", {"query": self.r.choice(WORDS)}), 200)

    def items(self):
        path = self.r.choice(("items?limit=5", "items/1", "items/3", "stats", "objects", "items?cursor=4&limit=2"))
        self.expect(path, self.server.ask("GET", f"{C}/{path}"), 200)

    def thumbnail(self):
        i = self.r.randrange(1, 18)
        path = f"{C}/items/{i}/thumbnail?w={self.r.choice((16, 64, 256, 300))}"
        self.expect(path, self.server.ask("GET", path), 200)

    def original(self):
        start = self.r.choice(("0-9", "5-", "-20", "99999999-", "9-1"))
        answer = self.server.ask("GET", f"{C}/items/{self.r.randrange(1, 17)}/original", None, {"Range": f"bytes={start}"})
        self.expect("original", answer, 200, 206, 416)

    def batch(self):
        q = {"searches": [{"query": w, "limit": 2} for w in WORDS[:self.r.randrange(1, 6)]]}
        self.expect("batch", self.server.post(f"{C}/search/batch", q), 200)

    def embed(self):
        data = [self.r.choice(WORDS), {"image": base64.b64encode(self.any_picture()).decode()}]
        self.expect("embed", self.server.post("/v1/embeddings", {"input": data[:self.r.randrange(1, 3)]}), 200)
        self.expect("post", self.server.post("/post", {"data": [{"text": self.r.choice(WORDS)}]}), 200)

    def explain(self):
        q = {"a": {"text": "a red cup"}, "b": {"id": str(self.r.randrange(1, 17))}}
        headers = {"Content-Type": "application/json", "Accept": self.r.choice(("image/png", "application/json"))}
        self.expect("explain", self.server.ask("POST", f"{C}/explain", json.dumps(q), headers), 200)

    def objects(self):
        at = f"{C}/objects/thing%20{self.k}"
        body, headers = form(("image", self.own_picture()))
        self.expect("teach", self.server.ask("PUT", at, body, headers), 200, 201)
        self.expect("recognize", self.server.ask("POST", f"{C}/recognize", body, headers), 200)
        self.expect("object", self.server.ask("GET", at), 200)
        self.expect("forget", self.server.ask("DELETE", at), 204)

    def share(self):
        """The same picture as other clients, sent and removed at any time; see the end for what must hold."""
        body, headers = form(("image", self.server.pictures[4 + 5 * self.r.randrange(2)]))
        got = self.expect("share", self.server.ask("POST", f"{C}/items", body, headers), 201)
        for item in json.loads(got)["items"] if got and self.r.randrange(2) else ():
            self.expect("unshare", self.server.ask("DELETE", f"{C}/items/{item['id']}"), 204, 404)

    def upload(self):
        body, headers = form(("image", self.own_picture()))
        got = self.expect("upload", self.server.ask("POST", f"{C}/items", body, headers), 201)
        for item in json.loads(got)["items"] if got else ():
            at = f"{C}/items/{item['id']}"
            self.expect("describe", self.server.post(at, {"meta": {"description": "it"}}, "PUT"), 200)
            self.expect("remove", self.server.ask("DELETE", at), 204)

    def health(self):
        path = self.r.choice(("/livez", "/readyz", "/version", "/metrics", "/v1/limits", "/v1/models", "/v1/openapi.json"))
        self.expect(path, self.server.ask("GET", path), 200)

    def page(self):
        path = self.r.choice(("/", "/nothing-there"))
        self.expect(path, self.server.ask("GET", path), 200 if path == "/" else 404)

    def dups(self):
        self.expect("dups", self.server.ask("GET", f"{C}/dups?min_raw=0.9"), 200)

    def index(self):
        got = self.expect("index", self.server.post(f"{C}/index", {}), 202)
        if got:
            at = f"/v1/jobs/{json.loads(got)['id']}"
            if self.r.randrange(2):
                events = self.expect("events", self.server.ask("GET", f"{at}/events"), 200)
                if events is not None and b"event: " not in events:
                    self.tally.wrong(f"load: events without an end: {events[-200:]!r}")
            self.expect("job", self.server.ask("GET", at), 200, 404)
            self.expect("cancel", self.server.ask("DELETE", at), 204, 404)

    def leave(self):
        """Asked, and gone before the answer."""
        body, headers = form(("query", "cup"), ("image", self.any_picture()))
        lines = [f"Content-Length: {len(body)}"]
        with self.server.dial() as s:
            s.sendall(head(self.r, "POST", "/api/search/hybrid", headers["Content-Type"], lines) + body)
            time.sleep(self.r.choice((0, .01, .1)))
        self.tally.count("load", "left")

    def broken(self):
        one_malformed(self.server, self.tally, "load", self.seed, 10 ** 6 * (self.k + 1) + self.turn)

    def wrong(self):
        what = self.r.randrange(4)
        if what == 0:
            self.expect("no text", self.server.post(f"{C}/search", {"query": ""}), 422)
        elif what == 1:
            self.expect("no item", self.server.ask("GET", f"{C}/items/999999"), 404)
        elif what == 2:
            body, headers = form(("image", damaged_picture(self.r, self.any_picture())))
            self.expect("no picture", self.server.ask("POST", "/api/search/image", body, headers), 200, 413, 422)
        else:
            self.expect("outside", self.server.post(f"{C}/index", {"paths": ["/etc"]}), 403)

    def run(self, until):
        doing, weights = zip(*self.weighted)
        while time.monotonic() < until and self.server.process.poll() is None:
            self.turn += 1
            act = self.r.choices(doing, weights)[0]
            try:
                act()
            except (OSError, http.client.HTTPException, ValueError) as e:
                self.tally.count("load", type(e).__name__)
                self.tally.wrong(f"load: {act.__name__}: {e!r}")


def watch(server, tally, before, until):
    """Samples of memory, and what is known asked again each minute."""
    next_question, start = time.monotonic() + 60, time.monotonic()
    while time.monotonic() < until and server.process.poll() is None:
        server.samples.append((time.monotonic() - start, server.resident()))
        if time.monotonic() > next_question:
            next_question += 60
            try:
                if known(server) != before:
                    tally.wrong("load: a known query has another answer")
            except (OSError, http.client.HTTPException, ValueError, KeyError) as e:
                tally.wrong(f"load: a known query: {e!r}")
            print(f"  {(time.monotonic() - start) / 60:.1f} min: {sum(tally.answers['load'].values())} answers, "
                  f"{server.samples[-1][1] >> 20} MiB", flush=True)
        time.sleep(1)


def whole(server, tally):
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
    slow = Slow(server, tally, 60)
    slow.start()
    until = time.monotonic() + 60 * minutes
    in_threads(5, lambda k: Load(server, tally, seed, k).run(until) if k < 4 else watch(server, tally, before, until))
    slow.end.set()
    slow.join()
    warm = min(600, 20 * minutes)  # seconds
    rest = [(t, n) for t, n in server.samples if t >= warm]
    tenth = max(1, len(rest) // 10)
    first, last = (statistics.median(n for _, n in part) for part in (rest[:tenth], rest[-tenth:]))
    if minutes >= JUDGED and last - first > GROWTH:
        tally.wrong(f"load: it has grown by {(last - first) / 2 ** 20:.1f} MiB in {minutes - warm / 60:.1f} minutes")
    return first, last, warm


def table(tally):
    classes = [("2xx", 2), ("3xx", 3), ("4xx", 4), ("5xx", 5)]
    print(f"\n{'phase':14}{'answers':>9}" + "".join(f"{c:>8}" for c, _ in classes) + "  by status, and the others")
    for phase, counts in tally.answers.items():
        numbers = {s: n for s, n in counts.items() if isinstance(s, int)}
        sums = [sum(n for s, n in numbers.items() if s // 100 == c) for _, c in classes]
        each = ", ".join(f"{s}: {n}" for s, n in sorted(counts.items(), key=lambda x: str(x[0])))
        print(f"{phase:14}{sum(numbers.values()):9}" + "".join(f"{n:8}" for n in sums) + f"  {each}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--minutes", type=float, default=30, help="of mixed load")
    p.add_argument("--malformed", type=int, default=10000)
    p.add_argument("--connections", type=int, default=1000)
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    tally = Tally()
    with tempfile.TemporaryDirectory() as top:
        server = Server(os.environ["KEN_BUILD"], top)
        try:
            before = known(server)
            start = server.resident()
            print(f"{o.malformed} malformed requests", flush=True)
            many_malformed(server, tally, o.seed, o.malformed)
            after_malformed = server.resident()
            print(f"{o.connections} connections", flush=True)
            standing, silent = crowd(server, tally, o.connections) if o.connections else (0, 0)
            after_crowd = server.resident()
            print(f"{o.minutes:g} minutes of mixed load", flush=True)
            first, last, warm = mixed_load(server, tally, before, o.seed, o.minutes)
            if known(server) != before:
                tally.wrong("a known query has another answer than before")
            whole(server, tally)
            died = server.metric("ken_decoders_died_total")
            if died:
                tally.wrong(f"{died:.0f} decoders died")
        finally:
            said = server.stop(tally)
    table(tally)
    mib = [f"{n / 2 ** 20:.1f}" for n in (start, after_malformed, after_crowd, first, last, server.most)]
    print(f"\nresident MiB, decoders included: {mib[0]} at the start, {mib[1]} after the malformed, {mib[2]} after the "
          f"connections,\n  {mib[3]} after {warm / 60:.1f} minutes of load, {mib[4]} at its end, {mib[5]} at most; it may "
          f"grow by {GROWTH >> 20}")
    print(f"connections that stood: {standing}; that vanished without a word: {silent}; decoders that died: {died:.0f}; "
          f"sanitizers' reports: {said}")
    print(f"{len(tally.problems)} problems")
    return bool(tally.problems)


if __name__ == "__main__":
    sys.exit(main())
