# preview.sh - pictures on a terminal (python3's pty): in the form that it understands, and nowhere else.
. tests/cli/lib.sh
[ -f "$root/weights/ken-small.safetensors" ] || { skip preview "no weights/ken-small"; finish; }
mkdir pics && picture pics/red.ppm 250 20 60 300 200
export KEN_DB=$tmp/work/one.ken
run index pics
is 0 "a collection"
run search --preview kitty red
is 0 "in a pipe"
that "there is no picture" [ "$(tr -d '\033' < "$tmp/out" | wc -c)" = "$(wc -c < "$tmp/out")" ]
run search --preview cinema red
is 2 "a form that there is not"

cat > look.py << 'PY'
# look.py ken folder-of-terminal.py: what `ken search --preview` writes to terminals of several kinds.
import base64, os, re, sys
sys.path.insert(0, sys.argv[2])
import terminal
from terminal import check
ken = sys.argv[1]

def shown(*args, **env):
    return terminal.shown(ken, "search", "red", "--encoder", "none", *args, without=(
        "COLORTERM", "TERM_PROGRAM", "NO_COLOR", "KITTY_WINDOW_ID", "LC_TERMINAL", "VTE_VERSION"), **env)

def mean(pixels, n):
    return [sum(pixels[c::n]) / (len(pixels) // n) for c in range(3)]

KITTY, ITERM, SIXEL, COLOUR = b"\x1b_G", b"\x1b]1337;File", rb"\x1bP[0-9;]*q", rb"\x1b\[[0-9;]*[34]8;[25];"
def kinds(t):
    return [k for k, p in (("kitty", re.escape(KITTY)), ("iterm", re.escape(ITERM)), ("sixel", SIXEL)) if re.search(p, t)]

t = shown("--preview", "auto", TERM="xterm-256color")
if b"CHAFA=0" in t or b"not installed" in t:
    print("skipped")
    sys.exit(7)
check("nothing if nothing is asked for", not kinds(shown(TERM="xterm-kitty")))
check("blocks where there are no graphics", not kinds(t) and re.search(COLOUR, t) and "\u2580".encode()[:2] in t, t)
t = shown("--preview", "auto", TERM="xterm-256color", NO_COLOR="1")
check("without colours", not kinds(t) and not re.search(COLOUR, t) and t.count(b"\n") > 8, t)
t = shown("--preview", "auto", TERM="xterm-kitty")
check("kitty", kinds(t) == ["kitty"], t)
parts = re.findall(rb"\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\", t)
keys = dict(k.split(b"=") for k in parts[0][0].split(b",")) if parts else {}
data = b"".join(base64.b64decode(p[1]) for p in parts)
n = int(keys.get(b"f", 32)) // 8
check("all of its pixels", len(data) == int(keys.get(b"s", 0)) * int(keys.get(b"v", 0)) * n > 0, t)
r, g, b = mean(data, n) if data else (0, 0, 0)
check("in the picture's colours", r > 230 and g < 80 and b < 90, repr((r, g, b)))
ratio = int(keys.get(b"s", 1)) / int(keys.get(b"v", 1))
check("and shape", abs(ratio - 1.5) < .12, repr(ratio))
check("iTerm", kinds(shown("--preview", "auto", TERM="xterm-256color", TERM_PROGRAM="iTerm.app")) == ["iterm"])
check("sixel", kinds(shown("--preview", "auto", TERM="mlterm")) == ["sixel"])
for kind in ("kitty", "iterm", "sixel"):
    check(kind + " by its name", kinds(shown("--preview", kind, TERM="xterm-256color")) == [kind])
check("blocks by their name", not kinds(shown("--preview", "blocks", TERM="xterm-kitty")))
check("none in JSON", not kinds(shown("--preview", "kitty", "--json", TERM="xterm-kitty")))
os.rename("pics/red.ppm", "pics/gone.ppm")
t = shown("--preview", "kitty", TERM="xterm-kitty")
check("a file that has gone is passed over", not kinds(t) and b"red.ppm" in t, t)
terminal.finish()
PY
python3 -B look.py "$ken" "$root/tests/cli" > "$tmp/out" 2> "$tmp/err"
status=$?
if [ $status = 7 ]; then
    skip preview "this build shows no pictures"
else
    is 0 "on terminals"
fi
finish
