# interrupt.sh - Ctrl-C keeps what is done; progress tells how far it came.
. tests/cli/lib.sh
need_model

mkdir many
python3 - << 'PY'
for i in range(600):
    rows = bytes((i * 7 + k * (1 + i % 5)) % 256 for k in range(96 * 96 * 3))
    with open(f"many/{i:03}.ppm", "wb") as f:
        f.write(b"P6 96 96 255\n" + rows * 1)
PY
# the signal comes with the first line that tells of encoded pictures
python3 - "$ken" "$model" > "$tmp/out" 2> "$tmp/err" << 'PY'
import json, signal, subprocess, sys
p = subprocess.Popen([sys.argv[1], "index", "--db", "c", "-m", sys.argv[2], "--threads", "1", "--progress", "json",
                      "--json", "many"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
lines, sent = [], False
for line in p.stderr:
    try:
        lines.append(json.loads(line))
    except ValueError:
        continue
    if not sent and lines[-1]["done"]:
        p.send_signal(signal.SIGINT)
        sent = True
report = p.stdout.read()
print(json.dumps({"status": p.wait(), "lines": lines, "report": json.loads(report)}))
PY
json 'd["status"] in (130, 0)' "the status of an interrupted index"
json 'all(set(l) >= {"stage", "unit", "done", "total", "seconds", "rate", "left"} for l in d["lines"])' "progress as JSON"
kept=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["report"]["added"])' "$tmp/out")
run check --db c
is 0 "the collection is whole"
run stats --db c --json
json "d['items'] == $kept" "what was told as added is there"
run index --db c many --json
is 0 "a second run"
json "d['added'] == 600 - $kept" "goes on from there"

# the bar is for terminals; it is drawn in place and leaves nothing behind
python3 - "$ken" "$model" > "$tmp/out" << 'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "index", "--db", "d", "-m", sys.argv[2], "many", "--threads", "1"])
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
sys.stdout.buffer.write(data)
PY
that "a bar is drawn" grep -q '/600' "$tmp/out"
that "and erased" python3 -c 'import sys
data = open(sys.argv[1], "rb").read()
last = data.rindex(b"/600")
sys.exit(b"\r\x1b[K" not in data[last:])' "$tmp/out"
run index --db e -m "$model" many
no_err "no bar in a pipe"
run index --db f -m "$model" many -q
no_err "-q"
finish
