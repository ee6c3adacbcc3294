"""ken and its peers, interleaved: see peers.sh.

Each case takes turns: every engine runs for a second, then the next one, and so on, TURNS times over;
each keeps its best run.  A machine whose speed drifts so slows all of them alike, and the ratio
stays true.  Weights are random: speed does not depend on them.
"""
import datetime
import fnmatch
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

THREADS = int(os.environ.get("THREADS", os.cpu_count() or 1))
TURNS = int(os.environ.get("TURNS", "3"))
PEERS = os.environ.get("PEERS", "openvino,torch,onnxruntime").split(",")
CASES = os.environ.get("CASES", "*")
KEN = os.environ.get("KEN", "./ken")
DATA = os.environ.get("KEN_TEST_DATA", "../shared/data")

# name, kind, ken's architecture, batch, precision, ratio to reach against OpenVINO
TABLE = [
    ("vit-b32-bf16-32", "image", "clip-vit-b32", 32, "bf16", 1.2),
    ("vit-b32-bf16-1", "image", "clip-vit-b32", 1, "bf16", 1.1),
    ("resnet50-bf16-32", "image", "resnet50", 32, "bf16", 1.0),
    ("vit-l14-bf16-16", "image", "clip-vit-l14", 16, "bf16", 1.5),
    ("text-bf16-1", "text", "clip-vit-b32", 1, "bf16", 1.8),
    ("vit-b32-f32-32", "image", "clip-vit-b32", 32, "f32", 1.0),
    ("resnet50-f32-32", "image", "resnet50", 32, "f32", 1.0),
    ("text-f32-1", "text", "clip-vit-b32", 1, "f32", 1.0),
]
CAPTION = "two green parrots sit on a wooden branch"  # as in ken bench text


def best(run, seconds=1.0):
    run()
    least, start = 1e9, time.perf_counter()
    while time.perf_counter() - start < seconds:
        t = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - t)
    return least


def ken_bench(*args):
    out = subprocess.run([KEN, "bench", *args, "--seconds", "1", "--threads", str(THREADS), "--json"],
                         check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


# ---- the peers' networks ----

def network(kind, arch):
    import torch
    torch.manual_seed(0)
    if arch == "resnet50":
        import torchvision
        return torchvision.models.resnet50(weights=None).eval()
    import open_clip
    name = {"clip-vit-b32": "ViT-B-32-quickgelu", "clip-vit-l14": "ViT-L-14-quickgelu"}[arch]
    clip = open_clip.create_model(name).eval()
    if kind == "image":
        return clip.visual

    class Text(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.clip = clip

        def forward(self, tokens):
            return self.clip.encode_text(tokens)
    return Text().eval()


def sample(kind, batch):
    import torch
    if kind == "image":
        return torch.randn(batch, 3, 224, 224)
    import open_clip
    return open_clip.tokenize([CAPTION] * batch)  # the peers compute all 77 places


def onnx_file(folder, net, x):
    import torch
    path = os.path.join(folder, "peer.onnx")
    torch.onnx.export(net, (x,), path, dynamo=False, input_names=["x"], output_names=["y"],
                      opset_version=17)
    return path


def openvino_runs(net, x, precision, folder):
    import openvino as ov
    core = ov.Core()
    model = core.read_model(onnx_file(folder, net, x))
    a = x.numpy()
    for hint in ("LATENCY", "THROUGHPUT") if len(a) > 1 else ("LATENCY",):
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision,
                                                     "PERFORMANCE_HINT": hint,
                                                     "INFERENCE_NUM_THREADS": THREADS})
        if hint == "LATENCY":
            request = compiled.create_infer_request()
            yield "openvino", lambda r=request: r.infer({0: a}), 1
            continue
        n = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        queue = ov.AsyncInferQueue(compiled, n)

        def together(q=queue, n=n):
            for _ in range(n):
                q.start_async({0: a})
            q.wait_all()
        yield "openvino", together, n


def torch_runs(net, x, precision, folder):
    import copy
    import torch
    torch.set_num_threads(THREADS)
    if precision == "bf16":
        net = copy.deepcopy(net).bfloat16()
        if x.is_floating_point():
            x = x.bfloat16()
    if x.ndim == 4:
        net = copy.deepcopy(net).to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode():
            net(x)
    yield "torch", run, 1


def onnxruntime_runs(net, x, precision, folder):
    if precision != "f32":
        return  # its CPU provider has no bf16
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(onnx_file(folder, net, x), options,
                                   providers=["CPUExecutionProvider"])
    a = x.numpy()
    yield "onnxruntime", lambda: session.run(None, {"x": a}), 1


ENGINES = {"openvino": openvino_runs, "torch": torch_runs, "onnxruntime": onnxruntime_runs}


def run_case(name, kind, arch, batch, precision):
    """Milliseconds of a batch by each engine, and ken's own line."""
    ms, own = {}, None
    with tempfile.TemporaryDirectory() as folder:
        net, x = network(kind, arch), sample(kind, batch)
        runs = []
        for peer in PEERS:
            try:
                runs += list(ENGINES[peer](net, x, precision, folder))
            except Exception as e:  # a peer that is not installed, or cannot do this case
                print(f"{name}: {peer}: {type(e).__name__}: {e}", file=sys.stderr)
        for _ in range(TURNS):
            line = ken_bench("text" if kind == "text" else "encode", "--arch", arch, "--batch",
                             str(batch), "--precision", precision)[0]
            if own is None or line["ms"] < own["ms"]:
                own = line
            for peer, run, n in runs:
                ms[peer] = min(ms.get(peer, 1e9), best(run) * 1e3 / n)
    return ms, own


# ---- decoding ----

def large_jpeg(folder):
    from PIL import Image
    source = os.path.join(DATA, "captions")
    name = sorted(n for n in os.listdir(source) if n.endswith(".jpg"))[0]
    path = os.path.join(folder, "12-megapixel.jpg")
    Image.open(os.path.join(source, name)).convert("RGB").resize((4000, 3000), Image.LANCZOS).save(
        path, quality=90)
    return path


def pillow(path):
    import numpy as np
    from PIL import Image
    mean = np.float32([0.48145466, 0.4578275, 0.40821073])
    std = np.float32([0.26862954, 0.26130258, 0.27577711])

    def run():
        img = Image.open(path).convert("RGB")
        w, h = img.size
        s = 224 / min(w, h)
        img = img.resize((round(w * s), round(h * s)), Image.BICUBIC)
        x0, y0 = (img.width - 224) // 2, (img.height - 224) // 2
        a = np.asarray(img.crop((x0, y0, x0 + 224, y0 + 224)), np.float32) / 255
        return ((a - mean) / std).transpose(2, 0, 1).copy()
    return run


def run_preprocess(say):
    with tempfile.TemporaryDirectory() as folder:
        path = large_jpeg(folder)
        run, theirs, ours = pillow(path), 1e9, 1e9
        for _ in range(TURNS):
            ours = min(ours, ken_bench("preprocess", path, "--arch", "clip-vit-b32")[0]["ms"])
            theirs = min(theirs, best(run) * 1e3)
    say(f"{'preprocess-12mp':18} {ours:9.2f} {'pillow':>12} {theirs:9.2f} {theirs / ours:7.2f}  "
        f"1.50  {'yes' if theirs / ours >= 1.5 else 'NO'}")
    lines = ken_bench("pipeline", os.path.join(DATA, "grocery", "val"), "--arch", "clip-vit-b32")
    share = sum(line["share"] for line in lines if line["part"] in ("decode", "fit"))
    say(f"pipeline of the grocery photographs, ViT-B/32: decode and fit take {100 * share:.1f} % "
        f"(at most 25)")


# ---- the report ----

def cpu():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def git(*args):
    return subprocess.run(["git", *args], capture_output=True, text=True).stdout.strip()


LINES = []


def say(text):
    LINES.append(text)
    print(text, flush=True)


def head(what):
    """What was run where; returns what prints a line and keeps it."""
    doctor = json.loads(subprocess.run([KEN, "doctor", "--json"], capture_output=True, text=True).stdout)
    dirty = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    say(f"ken {doctor['version']}, commit {git('rev-parse', '--short', 'HEAD')}{dirty}, "
        f"{datetime.date.today()}")
    say(f"{cpu()}, {THREADS} threads, level {doctor['level']} of {' '.join(doctor['levels'])}")
    say(f"{what}: milliseconds a batch, best of {TURNS} turns of a second, interleaved; CASES={CASES}")
    say("")
    return say


def keep(what):
    slug = "-".join("".join(c if c.isalnum() else " " for c in cpu()).split()).lower()
    os.makedirs("bench/results", exist_ok=True)
    path = f"bench/results/{datetime.date.today()}-{slug}{what and '-' + what}.txt"
    with open(path, "w") as f:
        f.write("\n".join(LINES) + "\n")
    print(f"written to {path}", file=sys.stderr)


def main():
    head("encode")
    say(f"{'case':18} {'ken ms':>9} {'peer':>12} {'its ms':>9} {'ratio':>7}  goal  met")
    for name, kind, arch, batch, precision, goal in TABLE:
        if not fnmatch.fnmatch(name, CASES):
            continue
        ms, own = run_case(name, kind, arch, batch, precision)
        for peer, theirs in ms.items():
            ratio = theirs / own["ms"]
            end = f"  {goal:.2f}  {'yes' if ratio >= goal else 'NO'}" if peer == "openvino" else ""
            say(f"{name:18} {own['ms']:9.2f} {peer:>12} {theirs:9.2f} {ratio:7.2f}{end}")
        extra = [f"{100 * own['peak_fraction']:.0f} % of the peak"] if own.get("peak_fraction") else []
        if own.get("weights_gb_per_second"):
            extra.append(f"{own['weights_gb_per_second']:.1f} GB/s of weights")
        say(f"{'':18} {batch / own['ms'] * 1e3:9.1f} a second" + "".join(", " + e for e in extra))
    if fnmatch.fnmatch("preprocess-12mp", CASES):
        if os.path.isdir(os.path.join(DATA, "captions")):
            run_preprocess(say)
        else:
            say(f"skipped preprocess-12mp: no pictures at {DATA}")
    keep("")


if __name__ == "__main__":
    main()
