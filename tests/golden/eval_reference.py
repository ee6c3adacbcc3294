"""Top-1 of the CIFAR-10 ResNets as feature extractors on the grocery photographs, by PyTorch.

    python3 tests/golden/eval_reference.py [DATA] [CHECKPOINT]

What `ken eval recognize` must print on the same weights (tests/cli/eval.sh compares them): squash to
32 x 32 (bilinear, antialias, as Pillow resizes), ImageNet statistics, the 64 features before the
last layer as a unit vector, and the label of the nearest training photograph by cosine.  The network
follows akamaster/pytorch_resnet_cifar10, option A short cuts.
"""
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import nn


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.pad = (cout - cin) // 2 if stride != 1 or cin != cout else None

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad is not None:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(x + y)


class ResNet(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[Block(16, 16, 1) for _ in range(n)])
        self.layer2 = nn.Sequential(*[Block(32 if i else 16, 32, 1 if i else 2) for i in range(n)])
        self.layer3 = nn.Sequential(*[Block(64 if i else 32, 64, 1 if i else 2) for i in range(n)])
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x))).mean((2, 3))


def load(path):
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    state = {k.removeprefix("module."): v for k, v in state.items()}
    net = ResNet(sum(k.startswith("layer1.") and k.endswith("conv1.weight") for k in state))
    net.load_state_dict(state)
    return net.eval()


def pixels(path):
    img = ImageOps.exif_transpose(Image.open(path)).convert("RGB").resize((32, 32), Image.BILINEAR)
    x = np.asarray(img, np.float32) / 255
    x = (x - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    return torch.from_numpy(x.transpose(2, 0, 1))


def read(data, name):
    with open(os.path.join(data, name)) as f:
        rows = [line.split(", ") for line in f.read().splitlines()]
    return [os.path.join(data, r[0]) for r in rows], np.array([int(r[1]) for r in rows])


def embed(net, paths):
    with torch.inference_mode():
        out = [net(torch.stack([pixels(p) for p in paths[i:i + 64]])) for i in range(0, len(paths), 64)]
    return F.normalize(torch.cat(out)).numpy()


def main():
    data = sys.argv[1] if len(sys.argv) > 1 else "../shared/data"
    checkpoint = sys.argv[2] if len(sys.argv) > 2 else "resnet56-4bfd9763.th"
    grocery = os.path.join(data, "grocery")
    net = load(os.path.join(data, "cifar-resnet", checkpoint))
    (train, known), (val, wanted) = read(grocery, "train.txt"), read(grocery, "val.txt")
    score = embed(net, val) @ embed(net, train).T
    right = int((known[score.argmax(1)] == wanted).sum())
    print(json.dumps({"checkpoint": checkpoint, "queries": len(val), "right": right,
                      "top1": right / len(val)}))


if __name__ == "__main__":
    main()
