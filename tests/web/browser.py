"""browser.py - a headless Chromium, driven over the pipe of its DevTools protocol; the standard library alone.

Commands and answers are JSON, each ended by a zero byte, on the browser's file descriptors 3 and 4
(--remote-debugging-pipe).  https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

KEYS = {"Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Tab": ("Tab", 9, ""),
        "ArrowLeft": ("ArrowLeft", 37, ""), "ArrowUp": ("ArrowUp", 38, ""), "ArrowRight": ("ArrowRight", 39, ""),
        "ArrowDown": ("ArrowDown", 40, ""), " ": ("Space", 32, " ")}
SHIFT = 8


def find():
    """The browser's program, or None."""
    return next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)


class Page:
    """One tab of a browser of its own."""

    def __init__(self, language="en-US", width=1280, height=900):
        self.folder = tempfile.mkdtemp(prefix="ken-web-")
        to_browser, self.to = os.pipe()
        self.answers, from_browser = os.pipe()
        # the browser reads 3 and writes 4
        launch = 'exec 3<&%d 4>&%d; exec "$@"' % (to_browser, from_browser)
        self.process = subprocess.Popen(
            ["bash", "-c", launch, "sh", find(), "--headless=new", "--remote-debugging-pipe", "--no-sandbox",
             "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-extensions", "--hide-scrollbars",
             "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--lang=" + language,
             "--accept-lang=" + language, "--user-data-dir=" + self.folder,
             "--window-size=%d,%d" % (width, height), "about:blank"],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, HOME=self.folder, LANGUAGE=language.replace("-", "_")))
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.rest, self.events, self.session = 0, b"", [], None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.send(domain + ".enable")
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    # ---- the protocol ----

    def read(self, until):
        """The next message, or None when the time is over."""
        while b"\0" not in self.rest:
            left = until - time.time()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                return None
            more = os.read(self.answers, 1 << 20)
            if not more:
                raise RuntimeError("the browser has ended")
            self.rest += more
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def send(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        until = time.time() + 120
        while True:
            answer = self.read(until)
            if answer is None:
                raise RuntimeError(method + ": no answer in two minutes")
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError("%s: %s" % (method, answer["error"]["message"]))
                return answer["result"]
            self.events.append(answer)

    def heard(self, method):
        """What the browser has told so far under that name."""
        self.js("0")
        return [e["params"] for e in self.events if e.get("method") == method]

    # ---- what a person does ----

    def js(self, expression):
        r = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in r:
            raise RuntimeError(expression + ": " + json.dumps(r["exceptionDetails"])[:600])
        return r["result"].get("value")

    def wait(self, expression, seconds=90):
        """Until the expression is true; False if that never comes."""
        until = time.time() + seconds
        while time.time() < until:
            try:
                if self.js("Boolean(%s)" % expression): # an element itself does not travel
                    return True
            except RuntimeError as e: # between two documents
                if "context" not in str(e):
                    raise
            time.sleep(.1)
        return False

    def go(self, url):
        self.send("Page.navigate", url=url)
        return self.wait("document.readyState === 'complete'")

    def reload(self):
        self.js("window.old = 1")
        self.send("Page.reload")
        return self.wait("!window.old && document.readyState === 'complete'")

    def type(self, text):
        self.send("Input.insertText", text=text)

    def key(self, name, modifiers=0):
        code, number, text = KEYS[name] if name in KEYS else ("", ord(name.upper()), name)
        send = dict(key=name, code=code, windowsVirtualKeyCode=number, modifiers=modifiers)
        self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **send)
        self.send("Input.dispatchKeyEvent", type="keyUp", **send)

    def place(self, selector):
        """The middle of an element, brought into view and come to rest."""
        at = self.js("""(async () => {
            const e = document.querySelector(%s);
            const where = () => { const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; };
            for (let still = 0, was = null; e && still < 4;) {
              e.scrollIntoView({block: "center", behavior: "instant"});
              await new Promise((done) => setTimeout(done, 40));
              still = was && String(where()) === String(was) ? still + 1 : 0;
              was = where();
            }
            return e && where();
          })()""" % json.dumps(selector))
        if not at:
            raise RuntimeError("there is no " + selector)
        return at

    def mouse(self, kind, x, y, down=True):
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1 if down else 0, clickCount=1)

    def click(self, selector):
        x, y = self.place(selector)
        self.mouse("mouseMoved", x, y, False)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y, False)

    def drag(self, x0, y0, x1, y1):
        self.mouse("mouseMoved", x0, y0, False)
        self.mouse("mousePressed", x0, y0)
        for i in range(1, 6):
            self.mouse("mouseMoved", x0 + (x1 - x0) * i / 5, y0 + (y1 - y0) * i / 5)
        self.mouse("mouseReleased", x1, y1, False)

    def drop(self, selector, *files):
        x, y = self.place(selector)
        data = {"items": [], "files": [os.path.abspath(f) for f in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.send("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def choose(self, selector, *files):
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[os.path.abspath(f) for f in files])

    def paste(self, file):
        """As a copied picture comes: headless, the system's clipboard holds none."""
        data = base64.b64encode(open(file, "rb").read()).decode()
        self.js("(() => { const b = Uint8Array.from(atob('%s'), (c) => c.charCodeAt(0)), d = new DataTransfer();"
                " d.items.add(new File([b], 'image.png', {type: 'image/png'}));"
                " document.activeElement.dispatchEvent(new ClipboardEvent('paste',"
                " {clipboardData: d, bubbles: true, cancelable: true})); })()" % data)

    def picture(self, path):
        data = self.send("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def media(self, **features):
        self.send("Emulation.setEmulatedMedia", features=[{"name": k.replace("_", "-"), "value": v} for k, v in features.items()])

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.answers)
        shutil.rmtree(self.folder, ignore_errors=True)
