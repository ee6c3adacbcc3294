# output.sh - standard output: pipes, terminals, full disks.
. tests/cli/lib.sh

run config
no_err "the answer alone"
that "no colours in a pipe" sh -c '! grep -q "$(printf "\033")" "$1"' sh "$tmp/out"

# a reader that leaves early ends the program without a word
(trap '' PIPE; "$ken" help; echo $? > "$tmp/code") 2> "$tmp/err" | true
no_err "a closed pipe is silent, even where SIGPIPE is ignored"
status=$(cat "$tmp/code")
that "... and the status says so" test "$status" = 141 -o "$status" = 0
if [ -w /dev/full ]; then
    "$ken" config > /dev/full 2> "$tmp/err"
    status=$?
    : > "$tmp/out"
    is 2 "a full disk"
    err "standard output: No space left on device" "a full disk is told"
else
    skip cli/output/full "no /dev/full"
fi

# on a terminal: a table with a bold head, unless NO_COLOR
terminal() { # command line, in a terminal of 60 columns
    python3 - "$@" > "$tmp/out" << 'PY'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
data = b""
while True:
    try:
        part = os.read(fd, 65536)
    except OSError:
        break
    if not part:
        break
    data += part
os.waitpid(pid, 0)
sys.stdout.buffer.write(data.replace(b"\r\n", b"\n"))
PY
}
: > "$tmp/err"
terminal "$ken" config --origin
out "$(printf '\033[1m')key" "a bold head"
NO_COLOR=1; export NO_COLOR
terminal "$ken" config --origin
that "NO_COLOR" sh -c '! grep -q "$(printf "\033")" "$1"' sh "$tmp/out"
terminal "$ken" config --origin --color
out "$(printf '\033[1m')key" "--color beats NO_COLOR"
unset NO_COLOR
TERM=dumb terminal "$ken" config
that "TERM=dumb" sh -c '! grep -q "$(printf "\033")" "$1"' sh "$tmp/out"

# the elastic column is cut so that lines fit, by the width of characters, not their bytes
mkdir -p .ken
wide=/$(printf '\346\226\207%.0s' $(seq 60))
NO_COLOR=1 terminal "$ken" config --origin --db "$wide"
that "lines fit 60 columns" python3 - "$tmp/out" << 'PY'
import sys, unicodedata
def width(s):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in s)
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
bad = [l for l in lines if width(l) > 60]
db = [l for l in lines if l.startswith("db ")]
sys.exit(bool(bad) or "…" not in db[0])
PY
# control characters do not reach a terminal, a pipe gets the bytes
NO_COLOR=1 terminal "$ken" config --model "$(printf 'a\033]0;x\007b')"
that "control characters" sh -c '! grep -q "$(printf "\033")" "$1"' sh "$tmp/out"
run config --model "$(printf 'a\033b')"
out "$(printf 'a\033b')" "bytes as they are"
finish
