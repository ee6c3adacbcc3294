# shell.sh - ken search without a query, at a terminal (python3's pty): lines, keys, settings, the end.
. tests/cli/lib.sh
[ -f "$root/weights/ken-small.safetensors" ] || { skip shell "no weights/ken-small"; finish; }
"$B/ken-toys" render --ids 0:6 --views 2 -o pics > "$tmp/out" 2>&1
rm -f pics/*.csv pics/*.jsonl
export KEN_DB=$tmp/work/toys.ken COLUMNS=200
run index pics
is 0 "a collection"
run search
is 2 "without a terminal"
err "no query" "a query is needed"

cat > typist.py << 'PY'
# typist.py ken: types into `ken search` and compares with what `ken search QUERY` prints on a terminal.
import os, pty, re, select, signal, subprocess, sys, termios, time
ken = sys.argv[1]
wrong = []

class Shell:
    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(ken, ["ken", *args])
        self.seen = b""
    def read(self, end, seconds=60):
        until = time.time() + seconds
        while time.time() < until:
            if re.search(end, self.seen):
                return True
            if select.select([self.fd], [], [], .1)[0]:
                try:
                    got = os.read(self.fd, 65536)
                except OSError:
                    got = b""
                if not got:
                    return re.search(end, self.seen) is not None
                self.seen += got
        return False
    def type(self, keys):
        """What is printed between the line and the next prompt."""
        if isinstance(keys, str):
            keys = keys.encode()
        self.seen = b""
        os.write(self.fd, keys + b"\r")
        # the line is shown for the last time, then the end of the line, the answer, the prompt
        if not self.read(rb"\r\n(?s:.*\n|)\rken> \x1b\[K$"):
            return "no prompt: " + repr(self.seen)
        text = self.seen.split(b"\r\n", 1)[1].rsplit(b"\rken> ", 1)[0]
        return text.replace(b"\r\n", b"\n").decode()
    def end(self, keys):
        os.write(self.fd, keys)
        self.read(rb"(?!)", 20)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

def once(*args):
    s = Shell("search", *args, "--encoder", "none")
    s.read(rb"(?!)", 60)
    os.waitpid(s.pid, 0)
    return s.seen.replace(b"\r\n", b"\n").decode()

def check(what, ok, seen=""):
    if not ok:
        wrong.append(what)
        print("not ok:", what, repr(seen)[:600])

def same(what, keys, *args):
    seen, want = s.type(keys), once(*args)
    check(what, seen == want and "pics/" in want, (seen, want))

s = Shell("search")
check("a prompt", s.read(rb"\rken> \x1b\[K$"), s.seen)
before = termios.tcgetattr(s.fd)
same("words", "a red cup", "a", "red", "cup")
same("once more, by the arrow", b"\x1b[A", "a red cup")
same("a picture and words", './pics/3/mixed-0.png + "0.5:a red cup"', "./pics/3/mixed-0.png", "+", "0.5:a red cup")
same("the line before the last", b"\x1b[A\x1b[A", "a red cup")
same("there and back", b"\x10\x10\x10\x0e", "./pics/3/mixed-0.png", "+", "0.5:a red cup")
same("corrected in the middle", b"a red cXup" + b"\x1b[D" * 2 + b"\x7f", "a red cup")
same("at both ends", b" red cu\x01a\x05pp\x08", "a red cup")
same("delete", b"xa red cup\x1b[H\x1b[3~", "a red cup")
same("a word is cut", b"a red mug\x17cup", "a red cup")
same("emptied and typed anew", b"something else\x15a red cup", "a red cup")
same("Ctrl-C empties it", b"something else\x03a red cup", "a red cup")
same("cut to the end", b"a red cup and more" + b"\x1b[D" * 9 + b"\x0b", "a red cup")
same("Chinese, a character at a time", "红色的杯子子".encode() + b"\x7f", "红色的杯子")
same("unknown keys are nothing", b"a red\x1b[15~ cup\x1b[1;5P", "a red cup")
check(":n", s.type(":n 2") == "")
same("is kept", "a red cup", "a red cup", "-n", "2")
check(":n shows", s.type(":n") == "2\n")
check(":where", s.type(':where name = "mixed-1.png"') == "")
same("is kept", "a red cup", "a red cup", "-n", "2", "--where", "name = mixed-1.png")
check(":where - clears", s.type(":where -") == "")
same("as before", "a red cup", "a red cup", "-n", "2")
check(":n - too", s.type(":n -") == "" and s.type(":n") == "10\n")
seen = s.type(":where objct = 1")
check("a wrong test is told", "objct" in s.type("cup"))
s.type(":where -")
check("a wrong value", "expects" in s.type(":group cats"))
check("a quote without an end", "quote" in s.type('"a red'))
check("no such setting", "no :x" in s.type(":x"))
check("a picture that is not there", "none.jpg" in s.type("./none.jpg"))
check("nothing found is no end", "pics/" not in s.type(":min 0.99999") + s.type("cup") and s.type(":min -") == "")
check("help", ":where" in s.type(":help"))
check("an empty line", s.type("") == "")
same("it still answers", "a red cup", "a red cup")
status = s.end(b":quit\r")
check("quit", status == 0, status)
s = Shell("search")
s.read(rb"\rken> \x1b\[K$")
after = termios.tcgetattr(s.fd)
check("Ctrl-D", s.end(b"\x04") == 0)
s = Shell("search", "--db", "/nowhere")
s.read(rb"(?!)", 20)
check("no collection, no shell", os.waitstatus_to_exitcode(os.waitpid(s.pid, 0)[1]) == 4, s.seen)

# the terminal is as it was, also while a query runs
m, t = pty.openpty()
was = termios.tcgetattr(t)
p = subprocess.Popen([ken, "search"], stdin=t, stdout=t, stderr=t, close_fds=True)
os.write(m, b"a red cup\r:quit\r")
p.wait(60)
check("the terminal is as it was", termios.tcgetattr(t) == was)
sys.exit(len(wrong) > 0)
PY
python3 typist.py "$ken" > "$tmp/out" 2> "$tmp/err"
status=$?
is 0 "typed at a terminal"
finish
