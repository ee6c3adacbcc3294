# eval.sh - ken eval recognize: lists, folders, and a trained network against PyTorch.
. tests/cli/lib.sh
need_model

mkdir -p g/red g/blue q/red q/blue
for i in 1 2 3; do
    picture g/red/$i.ppm $((170 + 20 * i)) 20 20
    picture g/blue/$i.ppm 20 20 $((170 + 20 * i))
done
picture q/red/a.ppm 225 20 20
picture q/blue/a.ppm 20 20 225
picture "q/blue/b, \"c.ppm" 20 20 222
run eval recognize -m "$model" --gallery g --queries q --json
is 0 "folders"
json 'd["queries"] == 3 and d["objects"] == 2 and d["top1"] == 1 and d["map"] <= 1' "scores"
json 'set(d) >= {"queries","objects","top1","top5","top10","map","mrr","ndcg10","auroc","ece","seconds"}' "every member"
cp "$tmp/out" folders
printf 'path,label\r\n"red/a.ppm",red\r\nblue/a.ppm,blue\r\n"blue/b, ""c.ppm",blue\r\n' > q/list.csv
run eval recognize -m "$model" --gallery g --queries q/list.csv --json
json 'd["top1"] == 1 and d["queries"] == 3' "a CSV file with a header, quotes and CRLF"
(cd q && sed 1d list.csv > "$tmp/bare.csv")
run eval recognize -m "$model" --gallery g --queries "$tmp/bare.csv" --root q --json
json 'd["top1"] == 1 and d["queries"] == 3' "--root, and no header"
run eval recognize -m "$model" --gallery g --queries q --unknown g --json
json 'd["auroc"] is not None and 0 <= d["auroc"] <= 1 and 0 <= d["ece"] <= 1' "unknown queries"
echo 'red/a.ppm' > q/bad.csv
run eval recognize -m "$model" --gallery g --queries q/bad.csv
is 2 "a record without a label"
err "record 1" "is named"
mkdir empty
run eval recognize -m "$model" --gallery empty --queries q
is 2 "an empty gallery"

# The right answers among 296 by PyTorch on the same weights: tests/golden/eval_reference.py
th=$data/cifar-resnet/resnet56-4bfd9763.th
if [ -x "$convert" ] && [ -f "$th" ] && [ -f "$data/grocery/val.txt" ]; then
    for part in train val; do
        sed 's/^\([^,]*\), \([0-9]*\), .*/\1,\2/' "$data/grocery/$part.txt" > $part.csv
    done
    "$convert" "$th" -o r56.safetensors > "$tmp/out" 2> "$tmp/err"
    status=$?
    is 0 "ResNet-56 converts"
    run eval recognize -m ./r56.safetensors --precision f32 --gallery train.csv --queries val.csv \
        --root "$data/grocery" --json
    is 0 "the grocery photographs"
    json 'd["queries"] == 296 and abs(d["top1"] * 296 - 30) <= 1.001' "top-1 as PyTorch, to within one query"
    run embed -m ./r56.safetensors "$data/grocery/val/Fruit" -o fruit.npy --names fruit.txt
    is 0 "embed a real folder"
else
    skip cli/eval/grocery "no grocery photographs or CIFAR checkpoint at $data"
fi
finish
