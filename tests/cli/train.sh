# train.sh - a small run end to end; interrupted, killed and resumed to the same bits.
. tests/cli/lib.sh

vocab=$root/weights/vocab.txt
toys=toys:0-40,views=clean:2+full:2
small="--arch conv4 --size 28 --classes 6 --images 3 --seed 3 --threads 1 --progress none"

# The steps of a log without what the clock says
steps() { sed 's/,"images_per_second.*//' "$1/log.jsonl"; }
same() { # run, run, what
    that "$3: best" cmp -s "$1/best.safetensors" "$2/best.safetensors"
    that "$3: last" cmp -s "$1/last.safetensors" "$2/last.safetensors"
    steps "$1" > one.log; steps "$2" > two.log
    that "$3: log" cmp -s one.log two.log
}

run train $toys --val toys:1000000-1000010,views=clean:2 $small --steps 40 --eval-every 10 --save-every 10 -o whole --json
is 0 "a run ends well"
json 'd["steps"] == 40 and d["images"] == 720 and 0 <= d["best"] <= 1 and 0 <= d["data_wait"] <= 1' "and says what it did"
that "the log has a line a step and one a judgement" [ "$(wc -l < whole/log.jsonl)" = 44 ]
that "two checkpoints are kept" [ "$(ls whole | grep -c checkpoint-)" = 2 ]
that "the configuration has no path" sh -c '! grep -q /tmp whole/config.json'
python3 -c 'import json
lines = [json.loads(l) for l in open("whole/log.jsonl")]
steps = [l for l in lines if "lr" in l]
assert all({"step","epoch","loss","lr","active","images_per_second","data_wait"} <= set(l) for l in steps)
assert [l["step"] for l in steps] == list(range(40))
mean = lambda x: sum(l["loss"] for l in x) / len(x)
assert mean(steps[-8:]) < mean(steps[:8]), (mean(steps[:8]), mean(steps[-8:]))
assert all({"val_loss","val_recall1"} <= set(l) for l in lines if "lr" not in l)' 2> "$tmp/err" && pass || fail "every step is logged and the loss falls"

that "the report is one page without scripts" sh -c 'grep -q "<polyline" whole/report.html && ! grep -q "<script" whole/report.html'
that "with the hardest pictures in it" grep -q "data:image/jpeg;base64" whole/report.html
run train $toys $small --steps 40 -o whole
is 2 "a folder with a run is not overwritten"
err "--resume" "and the way out is said"
run train $toys $small --lr 0.5 --steps 40 -o whole --resume
is 2 "nor gone on with under other settings"

run train $toys $small --steps 40 --threads 2 --eval-every 10 --val toys:1000000-1000010,views=clean:2 -o two
same whole two "two threads"

# killed at any moment, fifty times, in steps and in saves
long="--classes 4 --images 2 --steps 600 --save-every 2 --eval-every 100"
run train $toys $small $long -o long
is 0 "a longer run"
kills=0 tries=0
while [ $kills -lt 50 ] && [ $tries -lt 100 ]; do
    tries=$((tries + 1))
    "$ken" train $toys $small $long --resume -o killed > "$tmp/out" 2> "$tmp/err" &
    pid=$!
    sleep 0.$((tries % 3))$((tries % 10))
    kill -9 $pid 2> /dev/null
    wait $pid 2> /dev/null
    status=$?
    [ $status = 137 ] && kills=$((kills + 1))
    [ $status = 0 ] && break
done
that "it was killed often ($kills times)" [ $kills -ge 10 ]
run train $toys $small $long --resume -o killed
is 0 "killed $kills times, the run still ends well"
same long killed "killed $kills times"

# without a validation set the mean loss since the last judgement counts, over sittings, too
once="--classes 4 --images 2 --steps 300 --save-every 2 --eval-every 300"
run train $toys $small $once -o uncut --json
uncut=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["best"])' "$tmp/out")
"$ken" train $toys $small $once -o cut > "$tmp/out" 2> "$tmp/err" &
pid=$!
while [ ! -e cut/last.safetensors ]; do sleep 0.02; done
kill -9 $pid 2> /dev/null
wait $pid 2> /dev/null
run train $toys $small $once --resume -o cut --json
json "d['best'] == $uncut" "a mean loss goes on where it was cut ($uncut)"

cp -r whole hurt
for f in hurt/checkpoint-00000040.safetensors; do python3 -c 'import sys
f = open(sys.argv[1], "r+b"); f.seek(-40, 2); b = f.read(1); f.seek(-40, 2); f.write(bytes([b[0] ^ 1]))' $f; done
run train $toys $small --val toys:1000000-1000010,views=clean:2 --steps 40 --eval-every 10 --resume -o hurt
is 0 "a damaged checkpoint is passed over"
err "damaged" "and said"
same whole hurt "from the checkpoint before"

run train $toys --arch conv4 --size 28 --batch 8 --loss softmax --repeat 3 --steps 1 -o odd
is 2 "--repeat where no classes are drawn"; err "softmax" "is refused, and why"

# models out, models in
picture red.ppm 200 30 30
run embed red.ppm -m whole/best.safetensors --jsonl
json 'd["dim"] == 64' "a run's model serves at once"
run train $toys $small --loss softmax --steps 3 -o head
run classify red.ppm -m head/best.safetensors --json
json 'len(d["labels"]) > 0' "and one with a head classifies"
run train $toys $small --init whole/best.safetensors --freeze v.1,v.2 --steps 3 -o again
is 0 "a model is gone on from"
run train $toys $small --init whole/best.safetensors --freeze nothing --steps 3 -o never
is 2 "a freeze of nothing is refused"
run train $toys $small --vocab "$vocab" --steps 3 -o words
is 0 "a text network is trained beside"
run embed -m words/best.safetensors --text 'a brown bear' --text '一只棕色的熊' --jsonl
jsonl 'len(d) == 2 and all(x["kind"] == "text" and x["dim"] == 64 for x in d)' "and reads both languages"
run train $toys $small --online --steps 3 -o online
is 2 "online wants to know the old ones"
run train $toys toys:100-120,views=clean:4 $small --online --init whole/best.safetensors --val toys:1000000-1000010,views=clean:2 \
    --lr 3 --optimizer sgd --steps 6 --eval-every 3 -o online
is 1 "a network that forgets is refused"
err "refused" "and that is said"
run embed red.ppm -m online/best.safetensors -o one.npy
run embed red.ppm -m whole/best.safetensors -o two.npy
that "best is the initial one" cmp -s one.npy two.npy

# a teacher: of the same length, whose vectors are wanted themselves, and of another one, by its likenesses
"$B/ken-toys" render --ids 1000100:1000112 --size 28 --mode clean -o unseen > "$tmp/out" 2> "$tmp/err"
status=$?
is 0 "pictures that nothing has seen"
pupil="--arch conv4 --size 28 --seed 9 --threads 1 --progress none --loss distill --batch 18"
alike() { # model, model: the mean cosine of their vectors of pictures that neither has seen
    rm -f a.npy b.npy
    "$ken" embed unseen/*/*.png -m "$1" -o a.npy 2> /dev/null; "$ken" embed unseen/*/*.png -m "$2" -o b.npy 2> /dev/null
    python3 -c 'import array
def rows(path):
    f = open(path, "rb").read()
    start = 10 + int.from_bytes(f[8:10], "little")
    v = array.array("f", f[start:])
    return [v[i:i + 64] for i in range(0, len(v), 64)]
a, b = rows("a.npy"), rows("b.npy")
assert len(a) == len(b) >= 12
print(sum(sum(x * y for x, y in zip(p, q)) for p, q in zip(a, b)) / len(a))'
}
run train $toys $pupil --teacher whole/best.safetensors --steps 1 --lr 0 -o ignorant
is 0 "a pupil"
asked="--steps 60 --save-every 20 --eval-every 60 --val toys:1000000-1000010,views=clean:2"
run train $toys $pupil --teacher whole/best.safetensors $asked -o taught
is 0 "is taught"
before=$(alike ignorant/last.safetensors whole/best.safetensors) after=$(alike taught/last.safetensors whole/best.safetensors)
that "and gives its teacher's vectors of pictures that it has not seen ($before, then $after)" \
    python3 -c "assert $before < .7 and $after > .9"
cp -r taught cut-short && rm cut-short/checkpoint-00000060.safetensors
run train $toys $pupil --teacher whole/best.safetensors $asked --resume -o cut-short
same taught cut-short "with a teacher, gone on with"
run train $toys $small --teacher "$root/weights/ken-small.safetensors" --teacher-weight 2 --steps 2 -o larger
is 0 "a teacher of larger pictures and longer vectors, beside labels"
that "leaves its fingerprint" grep -q '"teacher":	"[0-9a-f]\{32\}"' larger/config.json
run train $toys $pupil --steps 1 -o alone
is 2 "distill wants a teacher"; err "--teacher" "and says so"
run train $toys $small --teacher whole/best.safetensors --teacher-weight 0 --steps 1 -o alone
is 2 "a teacher of no weight is refused"; err "--teacher-weight 0" "and the option is named"
run train $toys $pupil --teacher "$vocab" --steps 1 -o bad
is 2 "a teacher is a model file"; err "vocab.txt" "and the other file is named"

# packed for use
for dtype in f32 bf16; do
    "$convert" words/best.safetensors --dtype $dtype -o packed-$dtype.safetensors --name packed --licence MIT > "$tmp/out" 2> "$tmp/err"
    status=$?
    is 0 "a trained model is packed as $dtype"
    run compare red.ppm 'text:a brown bear' -m packed-$dtype.safetensors --precision f32 --json
    cp "$tmp/out" packed-$dtype.json
done
run compare red.ppm 'text:a brown bear' -m words/best.safetensors --precision f32 --json
cp "$tmp/out" trained.json
python3 -c 'import json
raw = [json.load(open(f))["raw"] for f in ("trained.json", "packed-f32.json", "packed-bf16.json")]
assert abs(raw[0] - raw[1]) < 1e-5 and abs(raw[0] - raw[2]) < 0.02, raw' 2> "$tmp/err" && pass || fail "and answers as before"
"$convert" packed-bf16.safetensors -o again.safetensors > "$tmp/out" 2> "$tmp/err"; status=$?
is 5 "but not twice"
err "already" "and why is said"
for loss in triplet contrastive infonce supcon proto softmax arcface cosface proxyanchor; do
    run train $toys $small --loss $loss --steps 2 -o "loss-$loss"
    is 0 "loss $loss runs"
done
for optimizer in sgd adamw lars lion; do
    run train $toys $small --optimizer $optimizer --steps 2 -o "with-$optimizer"
    is 0 "optimizer $optimizer runs"
done
run train $toys $small --lr 1e30 --clip 0 --optimizer sgd --steps 30 -o nan
is 2 "a run that leaves the numbers stops"
err "lower --lr" "and says what to do"

# wrong use
run train $toys
is 2 "a run needs a folder"
run train toys:5-5 $small -o x
is 2 "no toys"
run train toys:0-9,views=nothing:2 $small -o x
is 2 "no such mode"
run train $toys --arch nothing -o x
is 2 "no such network"
run train $toys $small --augment crop:2-1 -o x
is 2 "no such augmentation"
mkdir -p mixed/a mixed/b
picture mixed/a/1.ppm 200 30 30; picture mixed/a/2.ppm 190 30 30; picture mixed/b/1.ppm 30 30 200; picture mixed/b/2.ppm 30 30 190
echo broken > mixed/b/3.ppm
run train mixed $small --classes 2 --images 2 --steps 2 -o folder
is 0 "a folder of folders"
err "1 broken" "its broken file is counted"
err "3.ppm" "and named"
finish
