"""Training steps of ken beside PyTorch's, interleaved: see peers.sh.

A step is forward, batch-all triplet loss on unit vectors, backward and AdamW, on random pictures.
PyTorch runs channels-last, in f32 and under bf16 autocast; the goal is against the faster of the two
that fits ken's precision best: bf16 against bf16, and f32 against f32.
"""
import fnmatch
import json
import sys

import peers
import torch
import torchvision
from torch import nn

# name, ken's architecture, side, channels, batch, ratio to reach
TABLE = [
    ("conv4-28", "conv4", 28, 1, 128, 1.2),
    ("resnet18-112", "resnet18", 112, 3, 64, 1.2),
    ("resnet18-224", "resnet18", 224, 3, 32, 1.2),
    ("resnet50-224", "resnet50", 224, 3, 16, 1.2),
    ("vit-s16-224", "vit-s16", 224, 3, 16, 1.2),
]


def conv4():
    layers, c = [], 1
    for _ in range(4):
        layers += [nn.Conv2d(c, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)]
        c = 64
    return nn.Sequential(*layers, nn.Flatten())


def network(arch):
    torch.manual_seed(0)
    if arch == "conv4":
        return conv4()
    if arch.startswith("vit"):
        return torchvision.models.VisionTransformer(224, 16, 12, 6, 384, 1536, num_classes=128)
    return torchvision.models.get_model(arch, num_classes=128)


def triplet(z, same, margin=0.2):
    z = nn.functional.normalize(z)
    d = (2 - 2 * z @ z.t()).clamp_min(0)
    valid = (same & ~torch.eye(len(z), dtype=bool))[:, :, None] & (~same)[:, None, :]
    t = (d[:, :, None] - d[:, None, :] + margin).clamp_min(0) * valid
    return t.sum() / ((t > 0).sum() + 1e-9)


def stepper(arch, side, channels, batch, bf16):
    net = network(arch).train().to(memory_format=torch.channels_last)
    x = torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch) // 4
    same = labels[:, None] == labels[None]
    optim = torch.optim.AdamW(net.parameters(), 1e-3)

    def step():
        optim.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            z = net(x)
        triplet(z.float(), same).backward()
        optim.step()
    return step


def run_case(arch, side, channels, batch, precision):
    step, own, theirs = stepper(arch, side, channels, batch, precision == "bf16"), None, 1e9
    for _ in range(peers.TURNS):
        line = peers.ken_bench("train", "--arch", arch, "--size", str(side), "--batch", str(batch),
                               "--precision", precision)[0]
        if own is None or line["ms"] < own["ms"]:
            own = line
        theirs = min(theirs, peers.best(step) * 1e3)
    return own, theirs


def main():
    torch.set_num_threads(peers.THREADS)
    say = peers.head("train")
    say(f"{'case':22} {'ken ms':>9} {'torch ms':>9} {'ratio':>7}  goal  met")
    for name, arch, side, channels, batch, goal in TABLE:
        for precision in ("bf16", "f32"):
            if not fnmatch.fnmatch(f"{name}-{precision}", peers.CASES):
                continue
            own, theirs = run_case(arch, side, channels, batch, precision)
            ratio = theirs / own["ms"]
            say(f"{name + '-' + precision:22} {own['ms']:9.1f} {theirs:9.1f} {ratio:7.2f}  {goal:.2f}  "
                f"{'yes' if ratio >= goal else 'NO'}   {own['per_second']:.1f} a second")
    peers.keep("train")


if __name__ == "__main__":
    main()
