# fits.py - what scikit-learn and SciPy fit, for tests/unit/test_fit.c: prints fits_cases.h.
#
#     python tests/golden/fits.py > tests/golden/fits_cases.h
import numpy as np
from scipy.stats import genpareto
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(4)


def c(name, a, kind="double"):
    a = np.asarray(a)
    body = ", ".join(repr(float(v)) if kind == "double" else str(int(v)) for v in a.ravel())
    print(f"static const {kind} {name}[] = {{ {body} }};")


print("/* fits_cases.h - by fits.py; do not edit. */")
print("/* clang-format off */")
rows = []
for case, (n, k, ridge, weighted) in enumerate([(60, 1, 0, 0), (200, 3, 0, 1), (150, 4, 1e-3, 1)]):
    x = np.round(rng.normal(size=(n, k)) * [1, 3, .1, 10][:k] + [0, 5, -1, 2][:k], 4)
    z = (x - [0, 5, -1, 2][:k]) @ np.array([1.5, -.4, 8, .1][:k]) + .3
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    w = np.round(rng.uniform(.2, 3, n), 3) if weighted else np.ones(n)
    mean = np.average(x, axis=0, weights=w)
    sd = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    # scikit-learn minimises |b|^2 / 2 + C sum w loss; ours is mean loss + ridge |b|^2 / 2
    C = np.inf if ridge == 0 else 1 / (ridge * w.sum())
    m = LogisticRegression(C=C, tol=1e-12, max_iter=10000)
    m.fit((x - mean) / sd, y, sample_weight=w)
    b = m.coef_[0] / sd
    c(f"x_{case}", x)
    c(f"y_{case}", y, "unsigned char")
    c(f"w_{case}", w)
    c(f"b_{case}", [m.intercept_[0] - b @ mean, *b])
    rows.append(f"{{ x_{case}, y_{case}, {'w_%d' % case if weighted else 'NULL'}, {n}, {k}, {ridge}, b_{case} }}")
print("static const struct { const double *x; const unsigned char *y; const double *w; size_t n, k; "
      "double ridge; const double *b; } logistic_cases[] = {\n    " + ",\n    ".join(rows) + "\n};")
rows = []
for case, (n, shape, scale) in enumerate([(50, .1, 1), (120, -.2, .05), (400, 0, 3), (80, .3, 20)]):
    x = np.round(genpareto.rvs(shape, scale=scale, size=n, random_state=case), 6)
    s, _, sc = genpareto.fit(x, floc=0)
    c(f"e_{case}", x)
    rows.append(f"{{ e_{case}, {n}, {float(s)!r}, {float(sc)!r}, {float(genpareto.logpdf(x, s, 0, sc).sum())!r} }}")
print("static const struct { const double *x; size_t n; double shape, scale, likelihood; } "
      "pareto_cases[] = {\n    " + ",\n    ".join(rows) + "\n};")
print("/* clang-format on */")
