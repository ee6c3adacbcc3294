# links.sh - the path of a hit can be clicked on a terminal (OSC 8; python3's pty), and is plain everywhere else.
. tests/cli/lib.sh
[ -f "$root/weights/ken-small.safetensors" ] || { skip links "no weights/ken-small"; finish; }
mkdir pics && picture "pics/a b;ü.ppm" 250 20 60
export KEN_DB=$tmp/work/one.ken
run index pics
is 0 "a collection"
run search red --color always
that "none in a pipe" sh -c "! grep -q '$(printf '\033')' '$tmp/out'"

cat > look.py << 'PY'
# look.py ken: what `ken search` writes to a terminal.
import os, pty, re, socket, sys, urllib.parse
ken, wrong = sys.argv[1], []

def shown(*args, **env):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.pop("NO_COLOR", None)
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": "60"}, **env)
        os.execv(ken, ["ken", "search", "red", "--encoder", "none", *args])
    text = b""
    while True:
        try:
            got = os.read(fd, 65536)
        except OSError:
            break
        if not got:
            break
        text += got
    os.waitpid(pid, 0)
    return text.decode()

def check(what, ok, seen=""):
    if not ok:
        wrong.append(what)
        print("not ok:", what, repr(seen)[:300])

LINK = re.compile("\033]8;;([^\033]*)\033\\\\([^\033]*)\033]8;;\033\\\\")
name = "pics/a b;ü.ppm"
for flags in (), ("-l",):
    t = shown(*flags)
    links = LINK.findall(t)
    check(f"one link {flags}", len(links) == 1, t)
    address, text = links[0] if links else ("", "")
    url = urllib.parse.urlsplit(address)
    check(f"to the file {flags}", url.scheme == "file" and urllib.parse.unquote(url.path) == os.path.realpath(name), address)
    check(f"of this machine {flags}", url.netloc in ("", socket.gethostname()), address)
    check(f"as an address is written {flags}", re.fullmatch("[A-Za-z0-9%:/._~-]*", address), address)
    check(f"under its name {flags}", text == name, text)
    plain = shown(*flags, NO_COLOR="1")
    bare = re.sub("\033\\[[0-9;]*m", "", LINK.sub(lambda m: m[2], t))
    check(f"NO_COLOR has none, and the same text {flags}", "\033" not in plain and bare == plain, plain)
for what in (("--color=never",), ("--json",), ("--csv",), ("-0",)):
    check(f"none with {what}", "\033]8" not in shown(*what))
check("none where the terminal is dumb", "\033" not in shown(TERM="dumb"))
sys.exit(len(wrong) > 0)
PY
python3 look.py "$ken" > "$tmp/out" 2> "$tmp/err"
status=$?
is 0 "on terminals"
finish
