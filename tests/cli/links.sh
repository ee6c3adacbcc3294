# links.sh - the path of a hit can be clicked on a terminal (OSC 8; python3's pty), and is plain everywhere else.
. tests/cli/lib.sh
[ -f "$root/weights/ken-small.safetensors" ] || { skip links "no weights/ken-small"; finish; }
mkdir pics && picture "pics/a b;ü.ppm" 250 20 60
export KEN_DB=$tmp/work/one.ken
run index pics
is 0 "a collection"
run search red --color always
is 0 "in a pipe"
out "a b;ü.ppm" "is the hit"
that "without a link" sh -c "! grep -q '$(printf '\033')' '$tmp/out'"

cat > look.py << 'PY'
# look.py ken folder-of-terminal.py: what `ken search` writes to a terminal.
import os, re, socket, sys, urllib.parse
sys.path.insert(0, sys.argv[2])
import terminal
from terminal import check
ken = sys.argv[1]

def shown(*args, **env):
    text = terminal.shown(ken, "search", "red", "--encoder", "none", *args, without=("NO_COLOR",),
                          **{"TERM": "xterm-256color", "COLUMNS": "60", **env}).decode()
    check(f"the picture's name {args}", name in LINK.sub(lambda m: m[2], text), text)
    return text

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
terminal.finish()
PY
python3 -B look.py "$ken" "$root/tests/cli" > "$tmp/out" 2> "$tmp/err"
status=$?
is 0 "on terminals"
finish
