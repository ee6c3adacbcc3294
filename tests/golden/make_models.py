"""make_models.py - the small models of tests/golden/models, and the vectors that their publishers give.

    python tests/golden/make_models.py DATA [OUT]

DATA is the folder of the test data (tokenizer/, grocery/), OUT tests/golden/models.  Each model is built
by the publisher's own class (torchvision's ResNet, open_clip's CLIP, transformers' CLIPModel and
ChineseCLIPModel), narrow and shallow, with random weights and plausible statistics; saved in a format of
its own; and run on three pictures and three texts with the publisher's own preprocessing.  What
they gave, before normalisation divided by its length, is in models.json.  Chinese-CLIP's original
code is open_clip's ViT and transformers' BertModel under other names (cn_clip/clip/model.py); the CIFAR
network is written out here after its publisher (akamaster/pytorch_resnet_cifar10, resnet.py).
"""

import argparse
import gzip
import json
import os
import shutil
import sys
import zipfile

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
import transformers
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision import transforms
from torchvision.models import resnet

PICTURES = {
    "apple.png": ("train/Fruit/Apple/Granny-Smith/Granny-Smith_001.jpg", (61, 45)),
    "milk.png": ("train/Packages/Milk/Arla-Ecological-Medium-Fat-Milk/Arla-Ecological-Medium-Fat-Milk_001.jpg", (44, 67)),
    "pepper.png": ("train/Vegetables/Pepper/Red-Bell-Pepper/Red-Bell-Pepper_001.jpg", (50, 50)),
}
ENGLISH = ["a photo of a red apple", "two bottles of milk on the shelf, it's 3.14!", "green"]
CHINESE = ["红苹果", "一瓶牛奶和面包", "Milk 2024, 新鲜的！"]
MERGES = 40
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def randomise(model, seed, dtype=torch.float16, warm=None, tame=None):
    """Weights that keep activations of size 1, rounded to dtype.  BatchNorm's statistics are those of what
    `warm` sends through the model, shaken: near enough that pictures differ, far enough that folding shows.
    `tame` may change the weights before that."""
    g = torch.Generator().manual_seed(seed)
    norms = (nn.BatchNorm2d, nn.LayerNorm)
    inside = {id(p) for m in model.modules() if isinstance(m, norms) for p in m.parameters()}
    with torch.no_grad():
        for m in model.modules():
            if isinstance(m, norms):
                m.weight.uniform_(0.6, 1.4, generator=g)
                m.bias.normal_(0, 0.2, generator=g)
        for name, p in model.named_parameters():
            if id(p) in inside:
                continue
            if p.dim() == 0:
                p.fill_(4.6052)
            elif p.dim() == 1:
                p.normal_(0, 0.1, generator=g)
            elif "embedding" in name:
                p.normal_(0, 0.5, generator=g)
            else:
                p.normal_(0, (p[0].numel() if name not in ("text_projection", "visual.proj")
                              else p.shape[0]) ** -0.5 * 1.3, generator=g)
        if tame:
            tame(model)
        if warm:
            shake_statistics(model, warm, g)
        for t in model.state_dict().values():
            if t.is_floating_point():
                t.copy_(t.to(dtype).float())
    return model.eval()


def shake_statistics(model, warm, g):
    batch_norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for m in batch_norms:
        m.momentum = 1.0
    model.train()
    warm(model)
    for m in batch_norms:
        m.running_mean += m.running_var.sqrt() * torch.empty_like(m.running_var).normal_(0, 0.2, generator=g)
        m.running_var *= torch.empty_like(m.running_var).uniform_(0.6, 1.6, generator=g)


def stored(model, dtype=torch.float16):
    return {k: (v.to(dtype) if v.is_floating_point() else v).contiguous() for k, v in model.state_dict().items()}


def resnet_preprocess(resize=256, crop=224):
    return transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(crop), transforms.ToTensor(),
                               transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)])


def squash(size, mean, std, how):
    return transforms.Compose([transforms.Resize((size, size), interpolation=how), transforms.ToTensor(),
                               transforms.Normalize(mean, std)])


class NarrowResNet(resnet.ResNet):
    """torchvision's ResNet of another width: its own blocks, layers and forward."""

    def __init__(self, block, layers, width):
        nn.Module.__init__(self)
        self._norm_layer, self.groups, self.base_width, self.dilation = nn.BatchNorm2d, 1, 64, 1
        self.inplanes = width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for i in range(4):
            setattr(self, f"layer{i + 1}", self._make_layer(block, width << i, layers[i], stride=1 if i == 0 else 2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear((width << 3) * block.expansion, 5)

    def features(self, x):
        fc, self.fc = self.fc, nn.Identity()
        y = self(x)
        self.fc = fc
        return y


class CifarBlock(nn.Module):
    def __init__(self, cin, planes, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, planes, 3, stride, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False), nn.BatchNorm2d(planes)
        self.pad = planes // 4 if stride != 1 or cin != planes else None  # option A

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad is not None:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + x)


class CifarResNet(nn.Module):
    def __init__(self, n, width=16):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        cin = width
        for i in range(3):
            blocks = []
            for j in range(n):
                blocks.append(CifarBlock(cin, width << i, 2 if i and not j else 1))
                cin = width << i
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(cin, 10)

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x))).mean((2, 3))


class OfaClip(nn.Module):
    """cn_clip's CLIP: open_clip's ViT with QuickGELU, BERT, the text feature the first token's row."""

    def __init__(self, visual, config, dim):
        super().__init__()
        self.visual = visual
        self.bert = transformers.BertModel(config)
        self.text_projection = nn.Parameter(torch.empty(config.hidden_size, dim))
        self.logit_scale = nn.Parameter(torch.ones([]))

    def encode_image(self, x):
        return self.visual(x)

    def encode_text(self, ids):
        return self.bert(ids, attention_mask=ids.ne(0)).last_hidden_state[:, 0] @ self.text_projection


def warm_up(pictures, preprocess, features):
    return lambda m: features(m)(torch.stack([preprocess(p) for p in pictures]))


class Run:
    """Collects what models gave."""

    def __init__(self, out, pictures):
        self.out, self.pictures, self.models = out, pictures, []

    def add(self, name, path, encode_image=None, preprocess=None, encode_text=None, texts=(), ids=(), padded=0,
            **options):
        entry = {"name": name, "path": path, **options}
        with torch.no_grad():
            if encode_image:
                entry["images"] = [self.unit(encode_image(preprocess(p)[None])) for p in self.pictures]
            if encode_text:
                entry["texts"] = [{"text": t, "ids": i, "vector": self.unit(encode_text(self.pad(i, padded)))}
                                  for t, i in zip(texts, ids)]
        self.models.append(entry)
        return entry

    @staticmethod
    def pad(ids, length):
        return torch.tensor([ids + [0] * (length - len(ids))])

    @staticmethod
    def unit(v):
        v = v[0].double()
        return [round(x, 8) for x in (v / v.norm()).tolist()]

    def save(self):
        pictures = sorted(PICTURES)
        with open(os.path.join(self.out, "models.json"), "w") as f:
            json.dump({"pictures": pictures, "models": self.models}, f, ensure_ascii=False, indent=0)
            f.write("\n")


def folder(out, name):
    path = os.path.join(out, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def make_pictures(data, out):
    for name, (source, size) in PICTURES.items():
        picture = Image.open(os.path.join(data, "grocery", source)).convert("RGB")
        picture.resize(size, Image.LANCZOS).save(os.path.join(out, name), optimize=True)
    return [Image.open(os.path.join(out, name)) for name in sorted(PICTURES)]


def short_merges(data, path):
    """The first merges of CLIP's list, as OpenAI's file or as merges.txt."""
    with gzip.open(os.path.join(data, "tokenizer/bpe_simple_vocab_16e6.txt.gz"), "rt", encoding="utf-8") as f:
        lines = f.read().split("\n")[: MERGES + 1]
    text = "\n".join(lines)  # the tokenizer would take an empty last line for a merge
    if path.endswith(".gz"):
        with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
            z.write(text.encode())
    else:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


def clip_ids(merges, context):
    if not merges.endswith(".gz"):
        with open(merges, "rb") as f, gzip.open(merges + ".gz", "wb") as z:
            z.write(f.read())
        try:
            return clip_ids(merges + ".gz", context)
        finally:
            os.remove(merges + ".gz")
    tokenizer = SimpleTokenizer(bpe_path=merges, context_length=context)
    ids = [t[: t.index(tokenizer.eot_token_id) + 1] for t in tokenizer(ENGLISH).tolist()]
    return tokenizer.vocab_size, ids


def short_vocab(data, path):
    """The special tokens at their places, and what the texts need."""
    with open(os.path.join(data, "tokenizer/chinese_clip_vocab.txt"), encoding="utf-8") as f:
        lines = f.read().split("\n")
    full = transformers.BertTokenizer(vocab=os.path.join(data, "tokenizer/chinese_clip_vocab.txt"))
    wanted = set()
    for t in CHINESE:
        wanted |= set(full(t)["input_ids"])
    kept = lines[:104] + [lines[i] for i in sorted(wanted) if i >= 104]
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(kept) + "\n")
    tokenizer = transformers.BertTokenizer(vocab=path)
    return len(kept), [tokenizer(t)["input_ids"] for t in CHINESE]


def make_torchvision(run):
    warm = warm_up(run.pictures, resnet_preprocess(), lambda m: m.features)
    m = randomise(NarrowResNet(resnet.BasicBlock, [1, 2, 1, 1], 4), 1, warm=warm)
    d = folder(run.out, "resnet-basic")
    torch.save(stored(m), os.path.join(d, "model.pth"))
    run.add("torchvision BasicBlock, torch zip", "resnet-basic/model.pth", m.features, resnet_preprocess())

    m = randomise(NarrowResNet(resnet.Bottleneck, [1, 1, 2, 1], 4), 2, warm=warm)
    d = folder(run.out, "resnet-bottleneck")
    arrays = {k: v.numpy() for k, v in stored(m).items()}
    np.savez_compressed(os.path.join(d, "model.npz"), **arrays)
    run.add("torchvision Bottleneck, npz", "resnet-bottleneck/model.npz", m.features, resnet_preprocess())


def make_cifar(run):
    preprocess = squash(32, IMAGENET_MEAN, IMAGENET_STD, transforms.InterpolationMode.BILINEAR)
    m = randomise(CifarResNet(2, 8), 3, warm=warm_up(run.pictures, preprocess, lambda m: m.features))
    d = folder(run.out, "cifar")
    state = {"module." + k: v for k, v in stored(m).items()}
    torch.save({"state_dict": state, "best_prec1": 91.7}, os.path.join(d, "model.th"),
               _use_new_zipfile_serialization=False)
    run.add("CIFAR ResNet, legacy pickle", "cifar/model.th", m.features, preprocess)


def small_clip(vocab, quick, vision, text_width, heads, layers, context=24):
    return CLIP(24, vision, CLIPTextCfg(context_length=context, vocab_size=vocab, width=text_width, heads=heads,
                                        layers=layers), quick_gelu=quick)


def open_clip_preprocess(size):
    return open_clip.image_transform(size, is_train=False, mean=CLIP_MEAN, std=CLIP_STD)


def make_open_clip(run, data):
    d = folder(run.out, "open-clip")
    merges = os.path.join(d, "bpe_simple_vocab_16e6.txt.gz")
    short_merges(data, merges)
    vocab, ids = clip_ids(merges, 24)
    vision = CLIPVisionCfg(layers=2, width=32, head_width=16, patch_size=8, image_size=32)
    exact = randomise(small_clip(vocab, False, vision, 32, 2, 2), 4)
    quick = small_clip(vocab, True, vision, 32, 2, 2)
    quick.load_state_dict(exact.state_dict())
    quick.eval()
    torch.save(stored(exact), os.path.join(d, "open_clip_pytorch_model.bin"))
    write_json(os.path.join(d, "open_clip_config.json"), {
        "model_cfg": {"embed_dim": 24,
                      "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
                      "text_cfg": {"context_length": 24, "vocab_size": vocab, "width": 32, "heads": 2, "layers": 2}},
        "preprocess_cfg": {"mean": CLIP_MEAN, "std": CLIP_STD}})
    for name, m, options in (("open_clip, GELU", exact, {}),
                             ("open_clip, QuickGELU", quick, {"activation": "quickgelu"})):
        run.add(name + ", hub folder", "open-clip", m.encode_image, open_clip_preprocess(32), m.encode_text,
                ENGLISH, ids, 24, **options)
    state = exact.state_dict()
    grown = CLIP(24, CLIPVisionCfg(layers=2, width=32, head_width=16, patch_size=8, image_size=48),
                 CLIPTextCfg(context_length=24, vocab_size=vocab, width=32, heads=2, layers=2)).eval()
    open_clip.model.resize_pos_embed(state, grown, interpolation="bicubic", antialias=True)
    grown.load_state_dict(state)
    run.add("open_clip, positions resized", "open-clip", grown.encode_image, open_clip_preprocess(48), size=48)


def drop_debug(path):
    """Source positions make up most of a small archive."""
    with zipfile.ZipFile(path) as z:
        records = [(i.filename, z.read(i)) for i in z.infolist() if not i.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w") as z:
        for name, content in records:
            z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)


def make_openai(run, data):
    d = folder(run.out, "openai-rn")
    merges = os.path.join(d, "bpe_simple_vocab_16e6.txt.gz")
    short_merges(data, merges)
    vocab, ids = clip_ids(merges, 24)
    m = small_clip(vocab, True, CLIPVisionCfg(layers=[1, 2, 1, 1], width=4, image_size=64), 64, 1, 1)
    randomise(m, 5, warm=warm_up(run.pictures, open_clip_preprocess(64), lambda m: m.encode_image))
    for name, value in (("input_resolution", 64), ("context_length", 24), ("vocab_size", vocab)):
        if hasattr(m, name):
            delattr(m, name)
        m.register_buffer(name, torch.tensor(value))  # the entries that mark OpenAI's archives
    run.add("OpenAI ModifiedResNet, TorchScript", "openai-rn/model.pt", m.encode_image,
            open_clip_preprocess(64), m.encode_text, ENGLISH, ids, 24)
    half = m.half()
    half.logit_scale.data = half.logit_scale.data.float()
    torch.jit.script(half).save(os.path.join(d, "model.pt"))
    drop_debug(os.path.join(d, "model.pt"))


def make_hf_clip(run, data):
    d = folder(run.out, "hf-clip")
    merges = os.path.join(d, "merges.txt")
    short_merges(data, merges)
    vocab, ids = clip_ids(merges, 24)
    text = dict(vocab_size=vocab, hidden_size=32, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=24, eos_token_id=vocab - 1, bos_token_id=vocab - 2, projection_dim=24)
    vision = dict(hidden_size=32, intermediate_size=80, num_hidden_layers=2, num_attention_heads=2, image_size=32,
                  patch_size=8, projection_dim=24)
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    m = randomise(transformers.CLIPModel(config), 6, torch.bfloat16)
    state = stored(m, torch.bfloat16)
    names = sorted(state)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in shards.items():
        save_file({n: state[n] for n in part}, os.path.join(d, file), metadata={"format": "pt"})
    write_json(os.path.join(d, "model.safetensors.index.json"),
               {"metadata": {"total_size": sum(t.numel() * 2 for t in state.values())},
                "weight_map": {n: file for file, part in shards.items() for n in part}})
    write_json(os.path.join(d, "config.json"), {"model_type": "clip", "projection_dim": 24, "text_config": text,
                                                "vision_config": vision})
    prep = {"do_resize": True, "size": {"shortest_edge": 32}, "resample": 3, "do_center_crop": True,
            "crop_size": {"height": 32, "width": 32}, "do_rescale": True, "rescale_factor": 1 / 255,
            "do_normalize": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD, "do_convert_rgb": True}
    write_json(os.path.join(d, "preprocessor_config.json"), prep)
    processor = transformers.CLIPImageProcessorPil(**prep)
    run.add("Hugging Face CLIP, sharded safetensors", "hf-clip",
            lambda x: m.visual_projection(m.vision_model(x).pooler_output),
            lambda p: torch.tensor(np.array(processor(p)["pixel_values"][0])),
            lambda i: m.text_projection(m.text_model(i).pooler_output), ENGLISH, ids)
    larger = dict(prep, size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    grown = transformers.CLIPImageProcessorPil(**larger)
    run.add("Hugging Face CLIP, positions resized", "hf-clip",
            lambda x: m.visual_projection(m.vision_model(x, interpolate_pos_encoding=True).pooler_output),
            lambda p: torch.tensor(np.array(grown(p)["pixel_values"][0])), size=48)


def make_hf_chinese(run, data):
    d = folder(run.out, "hf-chinese")
    vocab, ids = short_vocab(data, os.path.join(d, "vocab.txt"))
    text = dict(vocab_size=vocab, hidden_size=32, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=64, type_vocab_size=2)
    vision = dict(hidden_size=32, intermediate_size=80, num_hidden_layers=2, num_attention_heads=2, image_size=32,
                  patch_size=8)
    config = transformers.ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    m = randomise(transformers.ChineseCLIPModel(config), 7)
    save_file(stored(m), os.path.join(d, "model.safetensors"), metadata={"format": "pt"})
    write_json(os.path.join(d, "config.json"), {"model_type": "chinese_clip", "projection_dim": 24,
                                                "text_config": text, "vision_config": vision})
    prep = {"do_resize": True, "size": {"height": 32, "width": 32}, "resample": 3, "do_center_crop": False,
            "do_normalize": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD}
    write_json(os.path.join(d, "preprocessor_config.json"), prep)
    run.add("Hugging Face Chinese-CLIP, safetensors", "hf-chinese",
            lambda x: m.visual_projection(m.vision_model(x).pooler_output),
            squash(32, CLIP_MEAN, CLIP_STD, transforms.InterpolationMode.BICUBIC),
            lambda i: m.text_projection(m.text_model(i).last_hidden_state[:, 0]), CHINESE, ids)


def make_ofa(run, data):
    d = folder(run.out, "ofa-chinese")
    vocab, ids = short_vocab(data, os.path.join(d, "vocab.txt"))
    config = transformers.BertConfig(vocab_size=vocab, hidden_size=64, intermediate_size=128, num_hidden_layers=1,
                                     num_attention_heads=1, max_position_embeddings=56, layer_norm_eps=1e-12)
    visual = small_clip(vocab, True, CLIPVisionCfg(layers=1, width=64, head_width=64, patch_size=8, image_size=32,
                                                   mlp_ratio=2.0), 32, 2, 1).visual
    m = randomise(OfaClip(visual, config, 24), 8)
    state = {"module." + k: v for k, v in stored(m).items()}
    # flash-attention's names in one layer of each tower
    prefix = "module.bert.encoder.layer.0.attention.self."
    for kind in ("weight", "bias"):
        state[prefix + "Wqkv." + kind] = torch.cat([state.pop(prefix + n + "." + kind)
                                                    for n in ("query", "key", "value")])
    torch.save({"epoch": 3, "step": 100, "name": "finetune", "state_dict": state,
                "args": argparse.Namespace(lr=1e-5, logs=[None, (1, 2)])}, os.path.join(d, "epoch_latest.pt"))
    run.add("OFA Chinese-CLIP, torch zip", "ofa-chinese/epoch_latest.pt", m.encode_image,
            squash(32, CLIP_MEAN, CLIP_STD, transforms.InterpolationMode.BICUBIC), m.encode_text, CHINESE, ids, 52)
    # cn_clip/clip/model.py, resize_pos_embed
    old = m.visual.positional_embedding.data
    table = F.interpolate(old[1:].reshape(1, 4, 4, -1).permute(0, 3, 1, 2), size=(6, 6), mode="bicubic",
                          align_corners=True).permute(0, 2, 3, 1).reshape(36, -1)
    m.visual.positional_embedding = nn.Parameter(torch.cat([old[:1], table]))
    run.add("OFA Chinese-CLIP, positions resized", "ofa-chinese/epoch_latest.pt", m.encode_image,
            squash(48, CLIP_MEAN, CLIP_STD, transforms.InterpolationMode.BICUBIC), size=48)


def main():
    data = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
    os.makedirs(out, exist_ok=True)
    torch.set_num_threads(1)
    run = Run(out, make_pictures(data, out))
    make_torchvision(run)
    make_cifar(run)
    make_open_clip(run, data)
    make_openai(run, data)
    make_hf_clip(run, data)
    make_hf_chinese(run, data)
    make_ofa(run, data)
    run.save()


if __name__ == "__main__":
    main()
