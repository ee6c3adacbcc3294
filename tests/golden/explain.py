"""explain.py - what PyTorch's gradients say of the small models of tests/golden/models.

    python tests/golden/explain.py > tests/golden/explain_cases.h

Needs torch, torchvision, numpy and Pillow.  Each network is run on apple.png, whose features are checked against those in
models.json; the target is their cosine with the vector of milk.png.  Written into the table:

  parts      what each place adds to the cosine: with the mean pool the gradient of the features' product with
             the vector times the last map, over the features' length; with CLIP's pool the same of the values,
             the attention's weights held still, where the mean's value is shared by what each place brings to
             it; constants evenly
  gradcam    Selvaraju et al. 2017: max(0, sum_c (mean over places of the gradient) map), to sum 1
  relevance  Chefer, Gur and Wolf 2021 (github.com/hila-chefer/Transformer-MM-Explainability, the cell for CLIP
             with start_layer 0): R += mean over heads of max(0, grad * A) R, row of the class token, to sum 1
"""

import json
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.models import resnet

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def path(name):
    return os.path.join(HERE, name)


def picture(size, crop, how, statistics):
    """Resized to `size` on its short side, cropped as each publisher rounds it."""
    img = Image.open(path("apple.png")).convert("RGB")
    prepare = transforms.Compose([transforms.Resize(size, interpolation=how), transforms.ToTensor(),
                                  transforms.Normalize(*statistics)])
    return crop(prepare(img))[None].double()


def vectors(name):
    with open(path("models.json")) as f:
        for m in json.load(f)["models"]:
            if m["path"] == name and "size" not in m:
                return [torch.tensor(v, dtype=torch.float64) for v in m["images"]]


def check(features, want, name):
    cosine = F.cosine_similarity(features, want, dim=0).item()
    assert cosine > 1 - 1e-6, (name, cosine)


def to_one(x):
    x = x.flatten()
    return x / x.sum()


# ---- residual networks ----

class NarrowResNet(resnet.ResNet):
    """torchvision's ResNet of another width (make_models.py)."""

    def __init__(self, block, layers, width):
        nn.Module.__init__(self)
        self._norm_layer, self.groups, self.base_width, self.dilation = nn.BatchNorm2d, 1, 64, 1
        self.inplanes = width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for i in range(4):
            setattr(self, f"layer{i + 1}", self._make_layer(block, width << i, layers[i], stride=1 if i == 0 else 2))
        self.fc = nn.Linear((width << 3) * block.expansion, 5)

    def map(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class MeanPool:
    def __call__(self, m):
        return m.mean((2, 3))[0]

    def parts(self, m, other):
        product = self(m) @ other
        (grad,) = torch.autograd.grad(product, m)
        return (grad * m).sum(1).flatten()


class AttentionPool:
    """CLIP's AttentionPool2d (openai/CLIP clip/model.py)."""

    def __init__(self, pool):
        self.p = {k: v.double() for k, v in pool.state_dict().items()}
        self.heads = pool.num_heads

    def linear(self, x, name):
        return F.linear(x, self.p[name + ".weight"], self.p[name + ".bias"])

    def split(self, x):
        return x.reshape(len(x), self.heads, -1).transpose(0, 1)

    def attend(self, m):
        x = m.flatten(2)[0].T
        x = torch.cat([x.mean(0, keepdim=True), x]) + self.p["positional_embedding"]
        q, k = self.split(self.linear(x[:1], "q_proj")), self.split(self.linear(x, "k_proj"))
        return (q @ k.transpose(1, 2) * k.shape[-1] ** -0.5).softmax(-1), self.linear(x, "v_proj")

    def mix(self, a, v):
        return self.linear((a @ self.split(v)).transpose(0, 1).reshape(1, -1), "c_proj")[0]

    def __call__(self, m):
        return self.mix(*self.attend(m))

    def parts(self, m, other):
        a, v = (t.detach() for t in self.attend(m))
        v.requires_grad_()
        product = self.mix(a, v) @ other
        (grad,) = torch.autograd.grad(product, v)
        n = len(v) - 1
        own = F.linear(m.flatten(2)[0].T, self.p["v_proj.weight"])
        parts = (grad[1:] * v[1:]).sum(1) + (grad[:1] * own / n).sum(1)
        return parts + (product - parts.sum()) / n


def maps(name, m, pool):
    """parts and gradcam from the last map (1, c, h, w) and what makes features of it."""
    mine, other = vectors(name)[:2]
    m = m.detach().requires_grad_()
    features = pool(m)
    check(features, mine, name)
    parts = pool.parts(m, other) / features.norm()
    (grad,) = torch.autograd.grad(F.cosine_similarity(features, other, dim=0), m)
    heat = F.relu((grad.mean((2, 3), keepdim=True) * m).sum(1))
    return parts.detach().tolist(), to_one(heat.detach()).tolist()


def torchvision_case(name, block, layers, state):
    model = NarrowResNet(block, layers, 4)
    model.load_state_dict({k: torch.as_tensor(v).float() for k, v in state.items()})
    model = model.eval().double()
    x = picture(256, transforms.CenterCrop(224), transforms.InterpolationMode.BILINEAR, IMAGENET)
    return (name, *maps(name, model.map(x), MeanPool()))


def openai_case():
    name = "openai-rn/model.pt"
    v = torch.jit.load(path(name)).float().double().visual
    x = picture(64, transforms.CenterCrop(64), transforms.InterpolationMode.BICUBIC, CLIP)
    m = v.layer4(v.layer3(v.layer2(v.layer1(v.stem(x)))))
    return (name, *maps(name, m, AttentionPool(v.attnpool)))


# ---- a transformer ----

def hub_state(name):
    state = {}
    for file in sorted(os.listdir(path(name))):
        if not file.endswith(".safetensors"):
            continue
        with open(os.path.join(path(name), file), "rb") as f:
            (n,) = struct.unpack("<Q", f.read(8))
            header, data = json.loads(f.read(n)), f.read()
        for key, t in header.items():
            if key != "__metadata__":
                assert t["dtype"] == "BF16"
                raw = torch.frombuffer(bytearray(data[slice(*t["data_offsets"])]), dtype=torch.bfloat16)
                state[key] = raw.reshape(t["shape"]).double()
    return state


def hf_case():
    name = "hf-clip"
    s = hub_state(name)
    mine, other = vectors(name)[:2]

    def crop(x):  # Hugging Face rounds an odd margin down
        top, left = (x.shape[1] - 32) // 2, (x.shape[2] - 32) // 2
        return x[:, top:top + 32, left:left + 32]

    def norm(x, n):
        return F.layer_norm(x, x.shape[-1:], s[n + ".weight"], s[n + ".bias"], 1e-5)

    def linear(x, n):
        return F.linear(x, s[n + ".weight"], s[n + ".bias"])

    x = picture(32, crop, transforms.InterpolationMode.BICUBIC, CLIP)
    e = "vision_model.embeddings."
    x = F.conv2d(x, s[e + "patch_embedding.weight"], stride=8).flatten(2)[0].T
    x = torch.cat([s[e + "class_embedding"][None], x]) + s[e + "position_embedding.weight"]
    x = norm(x, "vision_model.pre_layrnorm")
    attention = []
    for i in range(2):
        b = f"vision_model.encoder.layers.{i}."
        h = norm(x, b + "layer_norm1")
        q, k, v = (linear(h, b + f"self_attn.{n}_proj").reshape(len(x), 2, -1).transpose(0, 1) for n in "qkv")
        a = (q @ k.transpose(1, 2) * 16 ** -0.5).softmax(-1).requires_grad_()
        attention.append(a)
        x = x + linear((a @ v).transpose(0, 1).reshape(len(x), -1), b + "self_attn.out_proj")
        h = linear(norm(x, b + "layer_norm2"), b + "mlp.fc1")
        x = x + linear(h * torch.sigmoid(1.702 * h), b + "mlp.fc2")
    features = F.linear(norm(x[0], "vision_model.post_layernorm"), s["visual_projection.weight"])
    check(features, mine, name)
    grads = torch.autograd.grad(F.cosine_similarity(features, other, dim=0), attention)
    r = torch.eye(len(x), dtype=torch.float64)
    for a, grad in zip(attention, grads):
        r = r + (grad * a).clamp(min=0).mean(0) @ r
    return name, to_one(r[0, 1:].detach()).tolist()


def table(name, values):
    return "{ " + ", ".join(f"{v:.8g}" for v in values) + " }"


def main():
    cases = [torchvision_case("resnet-basic/model.pth", resnet.BasicBlock, [1, 2, 1, 1],
                              torch.load(path("resnet-basic/model.pth"))),
             torchvision_case("resnet-bottleneck/model.npz", resnet.Bottleneck, [1, 1, 2, 1],
                              dict(np.load(path("resnet-bottleneck/model.npz")))),
             openai_case()]
    print("/* explain_cases.h - made by explain.py; do not edit. */")
    print("static const explain_case cases[] = {")
    for name, parts, gradcam in cases:
        print(f'    {{ "{name}", "parts", {len(parts)},\n      {table(name, parts)} }},')
        print(f'    {{ "{name}", "gradcam", {len(gradcam)},\n      {table(name, gradcam)} }},')
    name, relevance = hf_case()
    print(f'    {{ "{name}", "relevance", {len(relevance)},\n      {table(name, relevance)} }},')
    print("};")


if __name__ == "__main__":
    sys.exit(main())
