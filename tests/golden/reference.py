"""reference.py - what reference.sh runs: each network by its publisher and by ken."""

import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy as np
import open_clip
import torch
import transformers
from make_models import (CHINESE, CLIP_MEAN, CLIP_STD, ENGLISH, IMAGENET_MEAN, IMAGENET_STD, CifarResNet, OfaClip,
                         drop_debug, open_clip_preprocess, randomise, resnet_preprocess, squash, warm_up, write_json)
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision import models, transforms

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("KEN_BUILD", ".")
DATA = os.environ.get("KEN_TEST_DATA", "../shared/data")
BICUBIC, BILINEAR = transforms.InterpolationMode.BICUBIC, transforms.InterpolationMode.BILINEAR
F32, BF16 = (0.999999, 1e-4), 0.9995
MIB = 1 << 20


def pictures():
    names = [os.path.join(HERE, "models", n) for n in ("apple.png", "milk.png", "pepper.png")]
    return names, [Image.open(n) for n in names]


def halves(model):
    return {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}


def tame(model):
    """A deep ResNet as well conditioned as trained ones are.  With equal branches, noise grows with each block, and
    the attention pool jumps from one place to another: roundings then say nothing about the code."""
    for name, p in model.named_parameters():
        if "attnpool.q_proj.weight" in name or "attnpool.k_proj.weight" in name:
            p *= 0.0625
    for m in model.modules():
        last = getattr(m, "bn3", None) if hasattr(m, "conv3") else getattr(m, "bn2", None)
        if last is not None and "conv1" in dict(m.named_children()) and not hasattr(m, "layer1"):
            last.weight *= 0.25
            last.bias *= 0.25


def bpe():
    return os.path.join(os.path.dirname(open_clip.__file__), "bpe_simple_vocab_16e6.txt.gz")


# Each maker gives (model, encode_image, preprocess, encode_text or None, texts, tokenizer file or None, save); save
# writes the checkpoint below a folder and returns (path, format, options of ken-convert).


def torchvision_resnet(name):
    m = getattr(models, name)()
    trunk = nn.Sequential(*list(m.children())[:-1], nn.Flatten())
    randomise(m, 1, tame=tame, warm=warm_up(pictures()[1], resnet_preprocess(), lambda _: trunk))

    def save(d):
        path = os.path.join(d, name + ".pth")
        legacy = name in ("resnet34", "resnet152")
        torch.save(halves(m), path, _use_new_zipfile_serialization=not legacy)
        return path, "legacy pickle" if legacy else "torch zip", []

    trunk.eval()
    return m, trunk, resnet_preprocess(), None, (), None, save


def cifar_resnet(depth):
    m = CifarResNet((depth - 2) // 6)
    prep = squash(32, IMAGENET_MEAN, IMAGENET_STD, BILINEAR)
    randomise(m, 2, tame=tame, warm=warm_up(pictures()[1], prep, lambda m: m.features))

    def save(d):
        if depth == 110:
            path = os.path.join(d, "model.npz")
            np.savez_compressed(path, **{k: v.numpy() for k, v in halves(m).items()})
            return path, "npz, deflated", []
        path = os.path.join(d, "model.th")
        torch.save({"state_dict": {"module." + k: v for k, v in halves(m).items()}}, path,
                   _use_new_zipfile_serialization=False)
        return path, "legacy pickle", []

    return m, m.features, prep, None, (), None, save


def clip_texts():
    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    return lambda m: lambda t: m.encode_text(tokenizer([t]))


def openai_clip(name, size):
    """OpenAI's archives: TorchScript in halves, with the three entries that mark them."""
    m = open_clip.create_model(name, pretrained=None, force_quick_gelu=True)
    norms = any(isinstance(x, nn.BatchNorm2d) for x in m.modules())
    warm = warm_up(pictures()[1], open_clip_preprocess(size), lambda m: m.encode_image) if norms else None
    randomise(m, 3, tame=tame, warm=warm)

    def save(d):
        for entry, value in (("input_resolution", size), ("context_length", 77), ("vocab_size", 49408)):
            if hasattr(m, entry):
                delattr(m, entry)
            m.register_buffer(entry, torch.tensor(value))
        path = os.path.join(d, "model.pt")
        m.half()
        torch.jit.script(m).save(path)
        drop_debug(path)
        m.float()
        return path, "TorchScript", []

    return m, m.encode_image, open_clip_preprocess(size), clip_texts()(m), ENGLISH, bpe(), save


def laion_clip(name, size):
    """open_clip's hub folders, GELU."""
    m = open_clip.create_model(name, pretrained=None)
    randomise(m, 4)

    def save(d):
        torch.save(halves(m), os.path.join(d, "open_clip_pytorch_model.bin"))
        write_json(os.path.join(d, "open_clip_config.json"),
                   {"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": {"mean": CLIP_MEAN, "std": CLIP_STD}})
        return d, "open_clip folder", []

    return m, m.encode_image, open_clip_preprocess(size), clip_texts()(m), ENGLISH, bpe(), save


def hf_clip(size, patch, width, layers, text_width):
    dim = text_width if text_width == 512 else 768
    text = dict(hidden_size=text_width, intermediate_size=4 * text_width, num_hidden_layers=12,
                num_attention_heads=text_width // 64, vocab_size=49408, max_position_embeddings=77, eos_token_id=49407,
                bos_token_id=49406)
    vision = dict(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
                  num_attention_heads=width // 64, image_size=size, patch_size=patch)
    m = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=dim))
    randomise(m, 5)
    prep = dict(size={"shortest_edge": size}, resample=3, crop_size={"height": size, "width": size},
                image_mean=CLIP_MEAN, image_std=CLIP_STD)
    processor = transformers.CLIPImageProcessorPil(**prep)
    tokenizer = open_clip.tokenizer.SimpleTokenizer()

    def save(d):
        state = halves(m)
        names = sorted(state)
        parts = {f"model-0000{i + 1}-of-00003.safetensors": names[i::3] for i in range(3)}
        for file, part in parts.items():
            save_file({n: state[n].contiguous() for n in part}, os.path.join(d, file))
        write_json(os.path.join(d, "model.safetensors.index.json"),
                   {"metadata": {}, "weight_map": {n: f for f, part in parts.items() for n in part}})
        write_json(os.path.join(d, "config.json"), {"model_type": "clip", "text_config": text, "vision_config": vision})
        write_json(os.path.join(d, "preprocessor_config.json"), prep)
        return d, "Hugging Face, sharded", []

    return (m, lambda x: m.visual_projection(m.vision_model(x).pooler_output),
            lambda p: torch.tensor(np.array(processor(p)["pixel_values"][0])),
            lambda t: m.text_projection(m.text_model(tokenizer([t])).pooler_output), ENGLISH, bpe(), save)


def chinese_vocab():
    path = os.path.join(DATA, "tokenizer/chinese_clip_vocab.txt")
    return path if os.path.exists(path) else None


def bert_texts(encode):
    vocab = chinese_vocab()
    if not vocab:
        return None
    tokenizer = transformers.BertTokenizer(vocab=vocab)
    return lambda t: encode(torch.tensor([tokenizer(t)["input_ids"]]))


def hf_chinese_clip():
    config = transformers.ChineseCLIPConfig(text_config=dict(vocab_size=21128),
                                            vision_config=dict(patch_size=16), projection_dim=512)
    m = randomise(transformers.ChineseCLIPModel(config), 6)

    def save(d):
        save_file({k: v.contiguous() for k, v in halves(m).items()}, os.path.join(d, "model.safetensors"))
        write_json(os.path.join(d, "config.json"), {"model_type": "chinese_clip", "vision_config": {}, "text_config": {}})
        return d, "Hugging Face, safetensors", []

    return (m, lambda x: m.visual_projection(m.vision_model(x).pooler_output),
            squash(224, CLIP_MEAN, CLIP_STD, BICUBIC),
            bert_texts(lambda i: m.text_projection(m.text_model(i).last_hidden_state[:, 0])), CHINESE, chinese_vocab(),
            save)


def ofa_chinese_clip(visual, text_layers, dim):
    """cn_clip's checkpoints: a training script's, module. before each name."""
    vision = open_clip.create_model(visual, pretrained=None, force_quick_gelu=True).visual
    m = OfaClip(vision, transformers.BertConfig(vocab_size=21128, num_hidden_layers=text_layers), dim)
    prep = squash(224, CLIP_MEAN, CLIP_STD, BICUBIC)
    norms = visual.startswith("RN")
    warm = warm_up(pictures()[1], prep, lambda m: m.encode_image) if norms else None
    randomise(m, 7, tame=tame, warm=warm)

    def save(d):
        path = os.path.join(d, "clip_cn.pt")
        torch.save({"epoch": 15, "state_dict": {"module." + k: v for k, v in halves(m).items()}}, path)
        return path, "OFA, torch zip", []

    return m, m.encode_image, prep, bert_texts(m.encode_text), CHINESE, chinese_vocab(), save


NETWORKS = {
    **{n: (torchvision_resnet, n) for n in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")},
    **{f"cifar-resnet{n}": (cifar_resnet, n) for n in (20, 32, 44, 56, 110)},
    "clip-rn50": (openai_clip, "RN50", 224),
    "clip-rn101": (openai_clip, "RN101", 224),
    "clip-rn50x4": (openai_clip, "RN50x4", 288),
    "clip-rn50x16": (openai_clip, "RN50x16", 384),
    "clip-rn50x64": (openai_clip, "RN50x64", 448),
    "clip-vit-b32": (openai_clip, "ViT-B-32", 224),
    "clip-vit-b16": (laion_clip, "ViT-B-16", 224),
    "clip-vit-l14": (hf_clip, 224, 14, 1024, 24, 768),
    "clip-vit-l14-336": (hf_clip, 336, 14, 1024, 24, 768),
    "clip-vit-h14": (laion_clip, "ViT-H-14", 224),
    "chinese-clip-vit-b16": (hf_chinese_clip,),
    "chinese-clip-vit-l14": (ofa_chinese_clip, "ViT-L-14", 12, 768),
    "chinese-clip-rn50": (ofa_chinese_clip, "RN50", 3, 1024),
}


def unit(rows):
    rows = np.concatenate([r.double().numpy() for r in rows])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def convert(source, out, dtype, options, largest):
    """Under a limit: memory of its own less than twice the largest tensor (and what a program takes)."""
    limit = 2 * largest + 16 * MIB
    subprocess.run([os.path.join(BUILD, "ken-convert"), source, "-o", out, "--dtype", dtype, "-q", *options], check=True,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))


def embed(model, inputs, precision, out):
    subprocess.run([os.path.join(BUILD, "ken"), "embed", "--model", model, "--precision", precision, "-o", out, *inputs],
                   check=True)
    return np.load(out)


def check(name, folder):
    torch.manual_seed(0)
    maker, *arguments = NETWORKS[name]
    model, encode_image, preprocess, encode_text, texts, tokenizer, save = maker(*arguments)
    names, images = pictures()

    def run():
        rows = [encode_image(preprocess(p)[None]).float() for p in images]
        return unit(rows + [encode_text(t).float() for t in texts if encode_text])

    with torch.no_grad():
        want = run()
        with torch.autocast("cpu", torch.bfloat16):
            theirs = (run() * want).sum(1).min()
    largest = max(t.numel() * 4 for t in model.state_dict().values())
    source, form, options = save(folder)
    inputs = list(names)
    for t in texts if encode_text else ():
        inputs += ["--text", t]
    if tokenizer:
        options = [*options, "--tokenizer", tokenizer]
    del model, encode_image, encode_text, maker, run
    result, out = {}, os.path.join(folder, "out.safetensors")
    for dtype in ("f32", "bf16"):
        convert(source, out, dtype, options, largest)
        got = embed(out, inputs, dtype, os.path.join(folder, "out.npy"))
        result[dtype] = (got * want).sum(1).min(), np.abs(got - want).max()
        os.remove(out)
    good = result["f32"][0] >= F32[0] and result["f32"][1] <= F32[1] and result["bf16"][0] >= BF16
    print(f"{name:22} {form:26} {len(want):3}  {result['f32'][0]:.8f} {result['f32'][1]:.1e}  {result['bf16'][0]:.6f} "
          f"{result['bf16'][1]:.1e}  {theirs:.6f}  {'ok' if good else 'FAILED'}", flush=True)
    return good


def main():
    names = sys.argv[1:] or list(NETWORKS)
    logging.disable(logging.WARNING)  # open_clip says of each network that its weights are random
    bad = 0
    print(f"{'arch':22} {'format':26} {'n':>3}  {'f32 cosine':10} {'max|d|':7}  {'bf16 cos':8} {'max|d|':7}  {'torch bf16':10}")
    for name in names:
        folder = tempfile.mkdtemp(prefix="ken-reference-")
        try:
            bad += not check(name, folder)
        except (subprocess.CalledProcessError, RuntimeError) as e:
            print(f"{name:22} FAILED: {e}", flush=True)
            bad += 1
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(names) - bad} passed, {bad} failed")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
