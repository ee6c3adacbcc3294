# explain.sh - why two agree: sentence, JSON, picture, and what is refused.
. tests/cli/lib.sh
picture red.ppm 200 10 10 80 60
picture blue.ppm 10 10 200 50 100
small=$root/weights/ken-small.safetensors

# shape of the answer: grid, maps, regions within their pictures
shape='d["grid"][0] * d["grid"][1] == len(d["a"] or d["b"]) and 0 < len(d["text"]) and 0 <= d["score"] <= 1'
inside='all(0 <= r[k][0] and r[k][0] + r[k][2] <= w and 0 <= r[k][1] and r[k][1] + r[k][3] <= h and r[k][2] > 0
    for r in d["regions"] for k, w, h in %s) and all(0 < r["share"] <= 1 for r in d["regions"])'

run explain -m "$small" red.ppm blue.ppm -o map.png --json
is 0 "two pictures"
json "$shape" "its shape"
json 'len(d["a"]) == len(d["b"]) and d["method"] == "parts"' "both maps"
json "$(printf "$inside" '(("a", 80, 60), ("b", 50, 100))')" "regions lie in their pictures"
json 'abs(sum(d["a"]) - d["raw"]) < 1e-4 and abs(sum(d["b"]) - d["raw"]) < 1e-4' "maps sum to the cosine"
raw=$(sed -n 's/.*"raw": *\([-0-9.e]*\).*/\1/p' "$tmp/out")
run compare -m "$small" red.ppm blue.ppm --json
json "abs(d[\"raw\"] - $raw) < 1e-5" "the cosine is that of compare"
run preprocess -m "$small" map.png -o map.npy
is 0 "the map is a picture"
that "a PNG" sh -c 'head -c 4 map.png | grep -q PNG'
run explain -m "$small" red.ppm blue.ppm -o map.jpg
is 0 "a JPEG"
out " % of what makes A and B alike comes from " "a sentence for people"

run explain -m "$small" "text:a brown bear" red.ppm --json
is 0 "words and a picture"
json "$shape" "its shape"
json 'd["a"] == [] and len(d["b"]) > 0' "words have no map"
json 'all(r["a"] == [] and len(r["b"]) == 4 for r in d["regions"])' "nor regions"
run explain -m "$small" red.ppm "text:一只棕色的熊" --json -o words.png
is 0 "a picture and Chinese words"
json 'd["b"] == [] and len(d["a"]) > 0' "the map is of the picture"
json '"与“一只棕色的熊”相符之处有 " in d["text"] and d["text"].endswith("。") and " of " not in d["text"]' "the sentence is Chinese"
run explain -m "$small" red.ppm "text:一只棕色的熊" --language en
out 'of what fits "一只棕色的熊" comes from the ' "or English, where that is asked"
run explain -m "$small" red.ppm blue.ppm --language zh
out "A 与 B 的相似之处有 " "of two pictures too"
out " 来自 A 的" "it says where"

run explain -m "$small" red.ppm blue.ppm --method gradcam --grid 20 --regions 1 --json
is 0 "Grad-CAM"
json 'd["grid"] == [20, 20] and len(d["regions"]) <= 1 and min(d["a"]) >= 0 and d["method"] == "gradcam"' "as asked for"
json 'not sum(d["a"]) or abs(sum(d["a"]) - 1) < 1e-4' "shares"
run explain -m "$small" red.ppm blue.ppm --csv
out "share,a_x,a_y,a_width,a_height,b_x,b_y,b_width,b_height" "as CSV"

run explain -m "$small" red.ppm
is 2 "one side is not enough"
run explain -m "$small" text:a text:b
is 2 "no picture"
err "no place to show" "why"
run explain -m "$small" red.ppm missing.ppm
is 2 "a missing picture"
err "missing.ppm" "is named"
printf 'P6 9 9 255\nxx' > broken.ppm
run explain -m "$small" red.ppm broken.ppm
is 2 "a broken picture"
run explain -m "$small" red.ppm blue.ppm --method magic
is 2 "an unknown method"
run explain -m "$small" red.ppm blue.ppm --grid 1000
is 2 "too fine a grid"
run explain -m "$small" red.ppm blue.ppm -o no/such/map.png
is 2 "a map that cannot be written"
no_out "says nothing then"
need_model hf-clip
photos=$root/tests/golden/models
run explain -m "$model" "$photos/apple.png" "$photos/milk.png" --json -o vit.png
is 0 "a transformer"
json 'd["method"] == "relevance" and abs(sum(d["a"]) - 1) < 1e-3 and d["text"].startswith("By attention relevance, ")' \
    "says how it was found"
run explain -m "$model" red.ppm "text:a red apple" --json
is 0 "a transformer and words"
run explain -m "$model" red.ppm blue.ppm --method parts
is 5 "a class token is no sum"
err "parts explains" "says of what"
need_model
run explain -m "$model" red.ppm text:x
is 5 "words need a text network"
run explain -m "$model" red.ppm blue.ppm --json
is 0 "a CIFAR network"
json 'abs(sum(d["a"]) - d["raw"]) < 1e-4' "its parts"
finish
