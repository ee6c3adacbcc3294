#!/usr/bin/env python3
"""omniglot_runs.py - runs of the layout of Lake's one-shot classification, from other characters.

    omniglot_runs.py OUT ZIP [ZIP_WHOSE_CHARACTERS_ARE_LEFT_OUT]    writes OUT/run01 ... OUT/run20
    omniglot_runs.py --mhd OUT                                      the error that SciPy's distances give

Each run: 20 characters of one alphabet, drawn by two people, one for training and one for testing.  All
is chosen by a fixed rule, so that the error of a baseline is a number to compare with.  Making runs
needs the standard library alone.
"""
import os
import random
import sys
import zipfile


def characters(path):
    """{alphabet: {character: [entries by drawer]}}"""
    found = {}
    for name in sorted(zipfile.ZipFile(path).namelist()):
        parts = name.split("/")
        if name.endswith(".png"):
            found.setdefault(parts[-3], {}).setdefault(parts[-2], []).append(name)
    return found


def make(out, path, without=None):
    z = zipfile.ZipFile(path)
    known = characters(without) if without else {}
    alphabets = {}
    for alphabet, chars in characters(path).items():
        left = {c: e for c, e in chars.items() if c not in known.get(alphabet, {})}
        if len(left) >= 20:
            alphabets[alphabet] = left
    names = sorted(alphabets)
    for run in range(1, 21):
        r = random.Random(run)
        chars = alphabets[names[run % len(names)]]
        chosen = r.sample(sorted(chars), 20)
        train, test = r.sample(range(20), 2)
        order = r.sample(range(20), 20)
        folder = f"run{run:02d}"
        for part in ("training", "test"):
            os.makedirs(os.path.join(out, folder, part), exist_ok=True)
        lines = []
        for i, c in enumerate(chosen):
            a, b = f"{folder}/test/item{order[i] + 1:02d}.png", f"{folder}/training/class{i + 1:02d}.png"
            for to, drawer in ((a, test), (b, train)):
                with open(os.path.join(out, to), "wb") as f:
                    f.write(z.read(chars[c][drawer]))
            lines.append(f"{a} {b}")
        with open(os.path.join(out, folder, "class_labels.txt"), "w") as f:
            f.write("\n".join(sorted(lines)) + "\n")


def mhd(out):
    """As demo_classification.py of brendenlake/omniglot measures it, with SciPy's cdist."""
    import numpy as np
    from PIL import Image
    from scipy.spatial.distance import cdist

    def load(name):
        ink = np.argwhere(np.array(Image.open(os.path.join(out, name)).convert("L")) < 128).astype(float)
        return ink - ink.mean(axis=0)

    errors = []
    for run in sorted(d for d in os.listdir(out) if d.startswith("run")):
        pairs = [line.split() for line in open(os.path.join(out, run, "class_labels.txt"))]
        trains = sorted(p[1] for p in pairs)
        items = [load(t) for t in trains]
        wrong = 0
        for test, answer in pairs:
            a = load(test)
            costs = []
            for b in items:
                d = cdist(a, b)
                costs.append(max(d.min(axis=1).mean(), d.min(axis=0).mean()))
            wrong += trains[int(np.argmin(costs))] != answer
        errors.append(wrong / len(pairs))
    print(f"{np.mean(errors):.6f}")


if __name__ == "__main__":
    mhd(sys.argv[2]) if sys.argv[1] == "--mhd" else make(*sys.argv[1:])
