#!/usr/bin/env python3
"""metrics.py - writes metrics_cases.h: random cases and what scikit-learn and numpy say of them.

AP, NDCG, AUROC, precision, recall and the confusions are scikit-learn's, mAP@R is its AP of the first R
ranks; DIR and ECE are written out in numpy from their definitions.
"""
import numpy as np
from sklearn.metrics import (average_precision_score, confusion_matrix, ndcg_score, precision_score,
                             recall_score, roc_auc_score)

rng = np.random.default_rng(5)


def array(name, ctype, values, fmt):
    body = ", ".join(fmt % v for v in values)
    return f"static const {ctype} {name}[] = {{ {body} }};\n"


def ranking(i):
    n = int(rng.integers(3, 60))
    rel = (rng.random(n) < rng.uniform(0.05, 0.6)).astype(int)
    rel[rng.integers(n)] = 1
    score = np.arange(n, 0, -1.0)
    ap = average_precision_score(rel, score)
    ndcg = ndcg_score([rel], [score], k=10)
    rr = 1 / (np.nonzero(rel)[0][0] + 1)
    R, top = rel.sum(), (np.arange(n) < 5).astype(int)
    at_r = average_precision_score(rel[:R], score[:R]) * rel[:R].sum() / R if rel[:R].any() else 0
    p5 = precision_score(rel, top) * top.sum() / 5  # places behind the end are wrong
    r5 = recall_score(rel, top)
    return array(f"rel{i}", "unsigned char", rel, "%d"), (
        f"{{ rel{i}, {n}, {float(ap)!r}, {float(rr)!r}, {float(ndcg)!r}, {float(at_r)!r}, {float(p5)!r}, {float(r5)!r} }}")


def confusions():
    r = np.random.default_rng(6)
    truth, answer = r.integers(0, 7, 200), r.integers(0, 7, 200)
    answer[::2] = truth[::2]
    m = confusion_matrix(truth, answer)
    cells = sorted(((-m[t, a], t, a) for t in range(7) for a in range(7) if t != a and m[t, a]))
    return (array("truths", "uint32_t", truth, "%d") + array("answers", "uint32_t", answer, "%d")
            + "static const uint32_t cells[][3] = { " + ", ".join(f"{{ {t}, {a}, {-c} }}" for c, t, a in cells) + " };\n")


def dir_at(scores, correct, unknown, fpir):
    best = 0.0
    for t in np.concatenate([unknown, scores, [np.inf]]):  # every threshold that matters
        for threshold in (t, np.nextafter(np.float32(t), np.float32(np.inf))):
            if np.mean(unknown >= threshold) <= fpir:
                best = max(best, np.mean(correct & (scores >= threshold)))
    return best


def ece(confidence, correct, bins):
    order = np.argsort(confidence, kind="stable")
    edges = [len(order) * b // bins for b in range(bins + 1)]
    return sum(len(part) / len(order) * abs(confidence[part].mean() - correct[part].mean())
               for part in (order[a:b] for a, b in zip(edges, edges[1:])) if len(part))


def open_set(i):
    n, m = int(rng.integers(20, 90)), int(rng.integers(10, 300))
    known = np.round(rng.normal(0.6, 0.2, n), 2).astype(np.float32)  # rounded: ties
    unknown = np.round(rng.normal(0.4, 0.2, m), 2).astype(np.float32)
    correct = rng.random(n) < 0.7
    auroc = roc_auc_score(np.r_[np.ones(n), np.zeros(m)], np.r_[known, unknown])
    rates = [dir_at(known, correct, unknown, p) for p in (0.01, 0.1)]
    conf = rng.random(n).astype(np.float32)
    error = ece(conf.astype(np.float64), correct.astype(float), 15)
    text = (array(f"known{i}", "float", known, "%#.9gf") + array(f"unknown{i}", "float", unknown, "%#.9gf")
            + array(f"correct{i}", "unsigned char", correct, "%d") + array(f"conf{i}", "float", conf, "%#.9gf"))
    return text, (
        f"{{ known{i}, unknown{i}, conf{i}, correct{i}, {n}, {m}, {float(auroc)!r}, {float(rates[0])!r}, {float(rates[1])!r}, {float(error)!r} }}")


out = ["/* Written by metrics.py; not edited. */\n"]
rankings = [ranking(i) for i in range(12)]
sets = [open_set(i) for i in range(6)]
for text, _ in rankings + sets:
    out.append(text)
out.append("static const struct { const unsigned char *rel; size_t n; double ap, rr, ndcg, at_r, p5, r5; } rankings[] = {\n    "
           + ",\n    ".join(r for _, r in rankings) + "\n};\n")
out.append("static const struct { const float *known, *unknown, *conf; const unsigned char *correct; size_t n, m;\n"
           "    double auroc, dir1, dir10, ece; } open_sets[] = {\n    " + ",\n    ".join(r for _, r in sets) + "\n};\n")
out.append(confusions())
open("metrics_cases.h", "w").write("".join(out))
