# convert.sh - ken-convert: flags, what it says, its exit status, and what it leaves behind; then models with texts.
. tests/cli/lib.sh
models=$root/tests/golden/models

conv() {
    "$convert" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}
nothing_left() { # what
    that "$1 leaves nothing" [ -z "$(ls "$tmp/work")" ]
}

# ---- help and wrong use ----
conv --help
is 0 "--help"; out "examples:" "--help has examples"; out "--trainable" "--help lists the flags"; no_err "--help"
conv --version
is 0 "--version"; out "ken-convert " "--version"
conv
is 2 "no input"; err "which checkpoint" "no input"; no_out "no input"
conv "$models/cifar/model.th"
is 2 "no output"; err "-o" "no output"
conv "$models/cifar/model.th" -o x --dtype int8
is 2 "int8"; err "--trainable" "int8 says what it takes"
conv "$models/cifar/model.th" -o x --dtype f64
is 2 "an unknown dtype"
conv "$models/cifar/model.th" -o x --nonsense
is 2 "an unknown flag"
conv "$models/cifar/model.th" -o x --size zero
is 2 "a size that is no number"
conv "$models/cifar/model.th" -o x --arch none
is 2 "an unknown architecture"
conv "$models/open-clip" -o x --activation relu
is 2 "an unknown activation"
conv "$models/cifar/model.th" -o "$tmp/none/x.safetensors"
is 2 "a folder that is not there"; err "none/x.safetensors" "it is named"
nothing_left "wrong use"
cp "$models/cifar/model.th" "$tmp/own.th"
conv "$tmp/own.th" -o "$tmp/own.th"
is 2 "the output is the input"
that "the input is untouched" cmp -s "$models/cifar/model.th" "$tmp/own.th"

# ---- inputs at fault ----
conv missing.pt -o x
is 5 "a missing input"; err "missing.pt" "a missing input is named"
conv "$models/apple.png" -o x
is 5 "a picture"; err "not a checkpoint" "a picture"
head -c 20000 "$models/resnet-basic/model.pth" > "$tmp/cut.pth"
conv "$tmp/cut.pth" -o x
is 5 "a truncated zip"; err "truncated" "a truncated zip"
head -c 9000 "$models/cifar/model.th" > "$tmp/cut.th"
conv "$tmp/cut.th" -o x
is 5 "a truncated pickle"
cp "$models/open-clip/open_clip_pytorch_model.bin" "$tmp/alone.bin"
conv "$tmp/alone.bin" -o x
is 5 "an activation that nothing tells"; err "--activation" "it says what to give"
mkdir "$tmp/empty"
conv "$tmp/empty" -o x
is 5 "an empty folder"
conv "$models/resnet-basic/model.pth" "$models/resnet-bottleneck/model.npz" -o x
is 5 "two checkpoints at once"; err "appears twice" "two checkpoints at once"
python3 - "$tmp/strange.npz" << 'PY'
import struct, sys, zipfile
head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n"
array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + b"\0\0\0\0"
with zipfile.ZipFile(sys.argv[1], "w") as z:
    for name in ("layer1.0.conv1.weight", "conv1.weight", "layer1.0.secret"):
        z.writestr(name + ".npy", array)
PY
conv "$tmp/strange.npz" -o x
is 5 "tensors that do not fit"
nothing_left "a bad input"

# ---- what it says ----
conv "$models/ofa-chinese/epoch_latest.pt" -o "$tmp/m.safetensors" --dtype bf16
is 0 "OFA's"; no_err "OFA's"
out "custom" "the architecture"; out "Chinese-CLIP's code" "where the activation is from"
out "dropped" "what was dropped"; out "pooler" "the pooler is"; out "vocab.txt" "the tokenizer's file"
conv "$models/hf-clip" -o "$tmp/m.safetensors" --json
is 0 "--json"
json 'd["activation_from"] == "config.json" and d["image"]["act"] == "quickgelu"' "the activation"
json 'd["preprocess_from"] == "preprocessor_config.json" and d["preprocess"]["hf_crop"] == 1' "the preprocessing"
json 'any(t["name"] == "v.1.qkv.w" and len(t["from"]) == 3 and "scaled" in t["done"] for t in d["tensors"])' "parts"
json 'd["dtype"] == "f32" and d["folded"] is True and d["text"]["heads"] == 2' "settings"
conv "$models/cifar/model.th" -o "$tmp/m.safetensors" -q
is 0 "--quiet"; no_out "--quiet"; no_err "--quiet"
cp "$models/openai-rn/model.pt" "$tmp/alone.pt"
conv "$tmp/alone.pt" -o "$tmp/m.safetensors"
is 0 "no tokenizer"; err "no tokenizer" "it says so"; out "OpenAI's archive" "OpenAI's marks"
run embed --model "$tmp/m.safetensors" --text word --jsonl
is 5 "texts for a model without tokenizer"

# ---- labels, notes ----
printf 'ant\nbee\n"cow"\ndog\nelk\nfox\ngnu\nhen\nibis\njay\n' > "$tmp/labels"
conv "$models/cifar/model.th" -o "$tmp/m.safetensors" --labels "$tmp/labels" --licence MIT --source "made here" --dtype bf16
is 0 "--labels"
cp "$models/apple.png" .
run classify --model "$tmp/m.safetensors" apple.png --json
is 0 "a kept head classifies"; out '"label"' "with labels"
run models --models "$tmp" --json
json 'any(m["licence"] == "MIT" and m["dtype"] == "bf16" for m in d)' "the licence is there"
head -n 3 "$tmp/labels" > "$tmp/few"
conv "$models/cifar/model.th" -o x --labels "$tmp/few"
is 2 "too few labels"

# ---- texts ----
need_model open-clip
run tokens --model "$model" "a photo" --json
is 0 "tokens"; json 'd[0][0] == 552 and d[0][-1] == 553' "start and end of a short vocabulary"
run embed --model "$model" --text "a photo" apple.png --jsonl
is 0 "words and pictures"; jsonl '[x["kind"] for x in d] == ["text", "image"] and d[0]["dim"] == 24' "both are embedded"
run compare --model "$model" apple.png "text:a green apple" --json
is 0 "words with pictures"; json '-1 <= d["raw"] <= 1' "a cosine"
run classify --model "$model" apple.png --labels "an apple,a car" --json
is 0 "zero-shot"
finish
