#!/usr/bin/env python3
"""augment.py - writes augment_cases.h: colours, turns and crop boxes as torchvision makes them of Pillow images.

Pictures are computed by the same formula in test_augment.c.  Colour results are kept as hashes (they are
equal bit for bit), warped ones as bytes, crop boxes as quantiles of many draws.
"""
import math
import pathlib

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F
from PIL import Image, ImageFilter

SIDE, SMALL, DRAWS = 64, 20, 40000


def picture(side):
    """Every colour somewhere: a linear congruential sequence, and greys in between."""
    x, out = 12345, np.zeros((side * side, 3), np.uint8)
    for i in range(side * side):
        for c in range(3):
            x = (x * 1103515245 + 12345) % 2**31
            out[i, c] = x >> 16 & 255
        if i % 7 == 0:
            out[i] = out[i, 0]
    return Image.fromarray(out.reshape(side, side, 3))


def smooth(side):
    y, x = np.mgrid[:side, :side]
    rgb = np.stack([x * 255 // (side - 1), y * 255 // (side - 1), (x + y) * 255 // (2 * side - 2)], 2)
    return Image.fromarray(rgb.astype(np.uint8))


def fnv(img):
    h = 0xCBF29CE484222325
    for b in img.tobytes():
        h = (h ^ b) * 0x100000001B3 % 2**64
    return h


def arr(name, ctype, v, fmt="%d"):
    return f"static const {ctype} {name}[] = {{ {', '.join(fmt % x for x in v)} }};\n"


def mean_fraction(side):
    return np.array(picture(side).convert("L")).mean() % 1


img = picture(SIDE)
out = ["/* Written by augment.py; not edited. */\n"]
rows = []
for op, fn, factors in (("brightness", F.adjust_brightness, (0, 0.3, 0.6, 1, 1.4, 1.93)),
                        ("contrast", F.adjust_contrast, (0, 0.3, 0.6, 1, 1.4, 1.93)),
                        ("saturation", F.adjust_saturation, (0, 0.3, 0.6, 1, 1.4, 1.93)),
                        ("hue", F.adjust_hue, (-0.5, -0.25, -0.1, 0.1, 0.33, 0.5))):
    for f in factors:
        f = float(np.float32(f))
        # the mean grey of contrast is rounded: one picture above and one below the half
        for side in (SIDE, next(s for s in range(SIDE, 0, -1) if (mean_fraction(s) < 0.5) != (mean_fraction(SIDE) < 0.5))):
            rows.append(f"    {{ kn_adjust_{op}, (float){f:.9g}, {side}, {fnv(fn(picture(side), f))}u }},\n")
out.append("static const struct {\n    void (*fn)(uint8_t *, size_t, float);\n    float factor;\n    size_t side;\n    uint64_t hash;\n"
           "} color_cases[] = {\n" + "".join(rows) + "};\n")
out.append(f"static const uint64_t gray_hash = {fnv(img.convert('L').convert('RGB'))}u;\n")

small, n = smooth(SMALL), 0
rows = []
for angle, dx, dy, scale, shear in ((0, 0, 0, 1, 0), (30, 0, 0, 1, 0), (-12, 2, -1, 0.8, 0), (7, -3, 1, 1.2, 15),
                                    (0, 0, 0, 1, 20)):
    got = F.affine(small, angle, [dx, dy], scale, [shear, 0.0], T.InterpolationMode.BILINEAR)
    inside = F.affine(Image.new("L", (SMALL, SMALL), 255), angle, [dx, dy], scale, [shear, 0.0],
                      T.InterpolationMode.BILINEAR)
    out.append(arr(f"warp{n}", "uint8_t", got.tobytes()))
    # where Pillow reads nothing from outside
    out.append(arr(f"warp_inside{n}", "uint8_t", (np.array(inside) == 255).astype(int).flatten()))
    rows.append(f"    {{ {angle}, {dx}, {dy}, {scale}, {shear}, warp{n}, warp_inside{n} }},\n")
    n += 1
out.append("static const struct {\n    double angle, dx, dy, scale, shear;\n    const uint8_t *rgb, *inside;\n"
           "} warp_cases[] = {\n" + "".join(rows) + "};\n")

# a true Gaussian in float64 with the border repeated
rows = []
for i, sigma in enumerate((0.5, 1.0, 2.2)):
    r = max(1, math.ceil(3 * sigma))
    k = np.exp(-0.5 * (np.arange(-r, r + 1) / sigma) ** 2)
    k /= k.sum()
    a = np.pad(np.array(picture(SMALL), float), ((r, r), (r, r), (0, 0)), "edge")
    a = sum(k[j] * a[j:j + SMALL] for j in range(2 * r + 1))
    a = sum(k[j] * a[:, j:j + SMALL] for j in range(2 * r + 1))
    out.append(arr(f"blur{i}", "uint8_t", np.rint(a).astype(int).flatten()))
    rows.append(f"    {{ {sigma}f, blur{i} }},\n")
out.append("static const struct {\n    float sigma;\n    const uint8_t *rgb;\n} blur_cases[] = {\n" + "".join(rows) + "};\n")

# crop boxes: share of the area, log proportions, and where the box lies
torch.manual_seed(1)
rows = []
Q = np.linspace(0.05, 0.95, 19)
for i, (w, h, scale, ratio) in enumerate(((300, 200, (0.08, 1.0), (0.75, 4 / 3)), (200, 200, (0.3, 1.0), (0.75, 4 / 3)),
                                          (90, 400, (0.3, 1.0), (0.75, 4 / 3)))):
    blank = Image.new("L", (w, h))
    boxes = np.array([T.RandomResizedCrop.get_params(blank, scale, ratio) for _ in range(DRAWS)], float)
    y, x, ch, cw = boxes.T
    for name, v in (("area", ch * cw / (w * h)), ("shape", np.log(cw / ch)), ("x", x / w), ("y", y / h)):
        out.append(arr(f"crop_{name}{i}", "double", np.quantile(v, Q), "%.6g"))
    rows.append(f'    {{ {w}, {h}, "crop:{scale[0]}-{scale[1]:g}/{ratio[0]}-{ratio[1]:.6f}", '
                f"{{ crop_area{i}, crop_shape{i}, crop_x{i}, crop_y{i} }} }},\n")
out.append("static const struct {\n    uint32_t w, h;\n    const char *text;\n    const double *quantile[4];\n"
           "} crop_cases[] = {\n" + "".join(rows) + "};\n")
(pathlib.Path(__file__).parent / "augment_cases.h").write_text("".join(out))
