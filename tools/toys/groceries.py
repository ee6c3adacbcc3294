#!/usr/bin/env python3
"""groceries.py DATA OUT - lists that ken-small is trained on beside the toys.

DATA is the Grocery Store Dataset (Klasson, Zhang and Kjellstrom, WACV 2019).  Writes OUT/train.csv,
path,label of its training photographs without the kinds of weights/grocery-heldout.txt, and
OUT/texts.csv, label,text: names and descriptions in English, names in Chinese.
"""
import csv
import os
import re
import sys

WEIGHTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../weights")
EN = ["a photo of {}", "{}", "{} in a shop", "a picture of {}, a kind of {kind}"]
ZH = ["{}", "{kind}，{}"]


def rows(path):
    with open(path, encoding="utf-8") as f:
        return list(csv.reader(f))


def sentences(path):
    with open(path, encoding="utf-8") as f:
        return [s.strip() for s in re.split(r"(?<=[.!])\s+", f.read()) if len(s.split()) > 3]


def main():
    data, out = sys.argv[1:3]
    held = {line.strip() for line in open(os.path.join(WEIGHTS, "grocery-heldout.txt"), encoding="utf-8")}
    chinese = {r[0]: r for r in rows(os.path.join(WEIGHTS, "grocery-zh.csv"))[1:]}
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "train.csv"), "w", encoding="utf-8", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        for path in (line.split(", ")[0] for line in open(os.path.join(data, "train.txt"), encoding="utf-8")):
            label = path.split("/")[-2]
            if label not in held:
                w.writerow([path, label])
    with open(os.path.join(out, "texts.csv"), "w", encoding="utf-8", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        for name, _, kind, _, _, description in (r[:6] for r in rows(os.path.join(data, "classes.csv"))[1:]):
            if name in held:
                continue
            said = [t.format(name.replace("-", " "), kind=kind.replace("-", " ")) for t in EN]
            said += sentences(data + description)
            said += [t.format(chinese[name][2], kind=chinese[name][3]) for t in ZH]
            for text in said:
                w.writerow([name, text])


if __name__ == "__main__":
    main()
