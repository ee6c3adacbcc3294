"""Write tests/golden/image/: small pictures in every format, and what Pillow and torchvision make of them.

    python make_image.py PNGSUITE EXIF      (folders of the outside test data)

decode.txt    FILE width height crc32 of convert("RGB") without turning, crc32 turned by exif_transpose
resize.txt    source width height filter crc32 of the RGB bytes
fit.txt       source fit resize_h resize_w crop_h crop_w filter hf crc32 of the cropped RGB bytes
jpegfit.txt   FILE and the same, of the picture turned upright
tensor.txt    source case, then some values of torchvision's normalised tensor, and its sum
pngsuite.txt  FILE crc32 or "refused"
Sources are computed, not stored: see picture().
"""
import ctypes
import pathlib
import random
import struct
import sys
import zlib

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image, ImageOps
from torchvision import transforms as T

here = pathlib.Path(__file__).parent / "image"
here.mkdir(exist_ok=True)
FILTERS = {"box": 4, "bilinear": 2, "hamming": 5, "bicubic": 3, "lanczos": 1, "nearest": 0}
head = f"# Pillow {PIL.__version__}, torchvision {torchvision.__version__}; made by make_image.py\n"


def picture(w, h):
    y, x = np.mgrid[0:h, 0:w].astype(np.int64)
    rgb = np.stack([7 * x + 3 * y + (x * y) // 11, x * x + 5 * y, x * y + 13 * (x // 9) * (y // 7)], -1) % 256
    return Image.fromarray(rgb.astype(np.uint8))


def crc(data):
    return "%08x" % (zlib.crc32(data) & 0xffffffff)


# ---- resizing ----
random.seed(20260)
sources = [(37, 53), (320, 240), (240, 320), (64, 64), (1, 1), (9, 1300), (3, 400), (500, 3)]
cases = [(37, 53, 16, 22, "bicubic"), (37, 53, 16, 22, "bilinear"), (37, 53, 64, 48, "bicubic"), (1, 1, 5, 7, "bicubic"),
         (9, 1300, 4, 90, "lanczos"), (9, 1300, 20, 1400, "bilinear"), (3, 400, 2, 40, "bicubic"), (64, 64, 64, 64, "bicubic"),
         (64, 64, 64, 20, "bicubic"), (64, 64, 20, 64, "lanczos"), (320, 240, 400, 100, "bicubic")]
# Pillow's Hamming window has single-precision constants: it shows in one byte of a million
cases += [(300, 1200, 182, 472, "hamming"), (128, 2400, 73, 469, "hamming"), (640, 900, 131, 333, "hamming"),
          (900, 640, 200, 100, "hamming"), (1000, 1500, 997, 1499, "hamming"), (1200, 700, 1111, 680, "hamming")]
while len(cases) < 266:
    w, h = random.choice(sources)
    cases.append((w, h, random.randint(1, 2 * w + 30), random.randint(1, min(2 * h + 30, 500)), random.choice(list(FILTERS))))
with open(here / "resize.txt", "w") as f:
    f.write(head)
    for w, h, a, b, name in cases:
        f.write(f"{w} {h} {a} {b} {name} {crc(picture(w, h).resize((a, b), FILTERS[name]).tobytes())}\n")

# ---- resize and crop ----
M = {"bicubic": T.InterpolationMode.BICUBIC, "bilinear": T.InterpolationMode.BILINEAR}
fits = []
for w, h in [(227, 224), (224, 227), (225, 224), (224, 225), (640, 427), (427, 640), (300, 300), (224, 224), (50, 40), (1, 1), (30, 400), (401, 299)]:
    fits += [(w, h, "short", 224, 224, 224, 224, "bicubic"), (w, h, "short", 256, 256, 224, 224, "bilinear"),
             (w, h, "squash", 224, 224, 224, 224, "bicubic"), (w, h, "squash", 32, 32, 32, 32, "bilinear"),
             (w, h, "short", 64, 64, 97, 80, "bicubic")]
for _ in range(60):
    w, h, s = random.randint(1, 400), random.randint(1, 400), random.randint(8, 260)
    fits.append((w, h, random.choice(["short", "squash"]), s, s, random.randint(1, s + 20), random.randint(1, s + 20), random.choice(list(M))))
with open(here / "fit.txt", "w") as f:
    f.write(head)
    for w, h, how, rh, rw, ch, cw, name in fits:
        size = rh if how == "short" else (rh, rw)
        out = T.CenterCrop((ch, cw))(T.Resize(size, M[name])(picture(w, h)))
        assert out.size == (cw, ch)
        f.write(f"{w} {h} {how} {rh} {rw} {ch} {cw} {name} 0 {crc(out.tobytes())}\n")

# ---- what a network sees ----
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
NET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
tensors = [("clip", "short", 224, 224, "bicubic", CLIP), ("resnet", "short", 256, 224, "bilinear", NET), ("cifar", "squash", 32, 32, "bilinear", NET)]
with open(here / "tensor.txt", "w") as f:
    f.write(head)
    for w, h in [(640, 427), (227, 300), (100, 90)]:
        for name, how, r, c, filt, (mean, std) in tensors:
            size = r if how == "short" else (r, r)
            t = T.Compose([T.Resize(size, M[filt]), T.CenterCrop(c), T.ToTensor(), T.Normalize(mean, std)])(picture(w, h))
            some = t.flatten()[:: t.numel() // 20]
            f.write(f"{w} {h} {name} " + " ".join("%.9g" % v for v in some) + "\n")

# ---- decoding ----
im = picture(61, 47)
alpha = im.convert("RGBA")
alpha.putalpha(picture(61, 47).getchannel(1))
save = {
    "rgb.png": (im, {}), "rgba.png": (alpha, {}), "grey.png": (im.convert("L"), {}), "la.png": (alpha.convert("LA"), {}),
    "palette.png": (im.quantize(60), {}), "bit.png": (im.convert("1"), {}), "palette_alpha.png": (alpha.quantize(30), {}),
    "base420.jpg": (im, dict(quality=85, subsampling=2)), "base422.jpg": (im, dict(quality=85, subsampling=1)),
    "base444.jpg": (im, dict(quality=95, subsampling=0)), "progressive.jpg": (im, dict(quality=80, progressive=True)),
    "grey.jpg": (im.convert("L"), dict(quality=85)), "cmyk.jpg": (im.convert("CMYK"), dict(quality=90)),
    "a.gif": (im.quantize(90), {}), "rgb.bmp": (im, {}), "palette.bmp": (im.quantize(16), {}), "grey.bmp": (im.convert("L"), {}),
    "rgb.ppm": (im, {}), "grey.pgm": (im.convert("L"), {}), "bit.pbm": (im.convert("1"), {}), "rgb.tga": (im, {}),
    "rle.tga": (im, dict(compression="tga_rle")), "grey.tga": (im.convert("L"), {}), "lossless.webp": (im, dict(lossless=True)),
    "lossy.webp": (im, dict(quality=70)), "alpha.webp": (alpha, dict(lossless=True, exact=True)),
}
for name, (i, kw) in save.items():
    i.save(here / name, **kw)


def turned(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


for o in (1, 3, 6, 8, 5):
    im.save(here / f"orient{o}.jpg", quality=90, exif=turned(o))
im.save(here / "orient6.png", exif=turned(6))
im.save(here / "orient8.webp", lossless=True, exif=turned(8))
v = np.asarray(im.convert("L")).tolist()
(here / "plain.pgm").write_text("P2\n# a remark\n61 47\n255\n" + "\n".join(" ".join(map(str, r)) for r in v) + "\n")
(here / "plain.pbm").write_text("P1 61 47\n" + "\n".join("".join(str(int(p > 99)) for p in r) for r in v) + "\n")
(here / "wide.ppm").write_bytes(b"P6 5 2 1023\n" + np.arange(0, 30 * 34, 34, dtype=">u2").tobytes())
Image.fromarray((np.arange(600, dtype=np.uint16) * 109).reshape(20, 30)).save(here / "grey16.png")


# ---- the corners of BMP, TGA and GIF, written by hand ----
def rows(values, bits, align=4):
    """Each row of numbers packed into `bits` each, the first one highest (1, 4) or little-endian."""
    out = b""
    for r in values:
        if bits < 8:
            line = bytes(int("".join(format(v, f"0{bits}b") for v in r[i:i + 8 // bits]).ljust(8, "0"), 2) for i in range(0, len(r), 8 // bits))
        else:
            line = b"".join(int(v).to_bytes(bits // 8, "little") for v in r)
        out += line + bytes(-len(line) % align)
    return out


def bmp(name, w, h, bits, data, compression=0, colors=b"", header=40, masks=(), n=0):
    entry = 3 if header == 12 else 4
    if header == 12:
        info = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, w, h, 1, bits, compression, len(data), 2835, 2835, n or len(colors) // entry, 0)
        info += b"".join(struct.pack("<I", m) for m in masks)
        info = info.ljust(header, b"\0")
    at = 14 + len(info) + len(colors)
    (here / name).write_bytes(struct.pack("<2sIHHI", b"BM", at + len(data), 0, 0, at) + info + colors + data)


random.seed(77)
W, H = 13, 9
number = [[random.randrange(1 << 32) for _ in range(W)] for _ in range(H)]
low = lambda bits: [[v & ((1 << bits) - 1) for v in r] for r in number]
four = lambda n, size=4: b"".join(bytes((random.randrange(256), random.randrange(256), random.randrange(256), 0))[:size] for _ in range(n))
bmp("bits1.bmp", W, H, 1, rows(low(1), 1), colors=four(2))
bmp("bits4.bmp", W, H, 4, rows(low(4), 4), colors=four(16))
bmp("few.bmp", W, H, 8, rows(low(8), 8), colors=four(40))
bmp("core.bmp", W, H, 8, rows(low(8), 8), colors=four(256, 3), header=12)
bmp("down.bmp", W, -H, 24, rows(low(24), 24))
bmp("bits555.bmp", W, H, 16, rows(low(16), 16))
bmp("bits565.bmp", W, H, 16, rows(low(16), 16), 3, masks=(0xf800, 0x7e0, 0x1f))
bmp("bits32.bmp", W, H, 32, rows(low(32), 32))
bmp("alpha.bmp", W, H, 32, rows(low(32), 32), 3, header=108, masks=(0xff0000, 0xff00, 0xff, 0xff000000))
bmp("rgba.bmp", W, H, 32, rows(low(32), 32), 3, header=56, masks=(0xff, 0xff00, 0xff0000, 0xff000000))
run8 = b"".join(bytes((4, 7, 0, 5, 1, 2, 3, 4, 5, 0, 4, y)) + b"\0\0" for y in range(H)) + b"\0\1"
bmp("rle8.bmp", W, H, 8, run8, 1, colors=four(20))
run4 = b"".join(bytes((6, 0x7c, 0, 5, 0x12, 0x34, 0x50, 0, 2, y)) + b"\0\0" for y in range(H)) + b"\0\1"
bmp("rle4.bmp", W, H, 4, run4, 2, colors=four(16))
bmp("delta.bmp", W, H, 8, bytes((3, 9, 0, 2, 2, 1, 4, 5, 0, 0)) + bytes((13, 3, 0, 0)) * (H - 2) + b"\0\1", 1, colors=four(20))


def tga(name, kind, bits, data, flags=0x20, colors=b"", first=0, map_bits=0):
    n = len(colors) * 8 // map_bits if map_bits else 0
    (here / name).write_bytes(struct.pack("<BBBHHBHHHHBB", 3, int(n > 0), kind, first, n, map_bits, 0, 0, W, H, bits, flags) + b"ken" + colors + data)


tga("map24.tga", 1, 8, rows(low(6), 8, 1), colors=four(64, 3), map_bits=24)
tga("map16.tga", 1, 8, rows(low(6), 8, 1), colors=four(64, 2), map_bits=16, flags=0)
tga("map32.tga", 1, 8, rows(low(6), 8, 1), colors=four(50), map_bits=32, first=10)
tga("bits16.tga", 2, 16, rows(low(16), 16, 1))
tga("bits32.tga", 2, 32, rows(low(32), 32, 1), flags=0x28)
tga("mirrored.tga", 2, 24, rows(low(24), 24, 1), flags=0x10)
tga("turned.tga", 3, 8, rows(low(8), 8, 1), flags=0x30)
packets = b"".join(bytes((128 + 5, y)) + bytes((6,)) + bytes(range(y, y + 7)) for y in range(H))
tga("rlegrey.tga", 11, 8, packets)
tga("rlemap.tga", 9, 8, packets, colors=four(64, 3), map_bits=24, flags=0)
tga("rle24.tga", 10, 24, b"".join(bytes((128 + 9, y, 2 * y, 200)) + bytes((2,)) + bytes(range(9)) for y in range(H)))
im.quantize(200).save(here / "interlaced.gif", interlace=1)
im.quantize(7).save(here / "few.gif", interlace=0, transparency=3)
im.convert("L").save(here / "grey.gif")
whole = bytearray((here / "few.gif").read_bytes())
at = whole.index(b",", 13 + 3 * (2 << (whole[10] & 7)))
whole[6:10] = struct.pack("<HH", 80, 60)  # a larger screen, the picture not in its corner
whole[at + 1:at + 5] = struct.pack("<HH", 9, 4)
(here / "placed.gif").write_bytes(whole)
whole[at + 1:at + 5] = struct.pack("<HH", 70, 30)  # and one that leaves it
(here / "beyond.gif").write_bytes(whole)
Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 130), dtype=np.uint8)).convert("RGB").quantize(256).save(here / "noise.gif")



def heic(path, picture):
    """Pillow writes none: through libheif's own interface."""
    class Error(ctypes.Structure):
        _fields_ = [("code", ctypes.c_int), ("sub", ctypes.c_int), ("message", ctypes.c_char_p)]
    lib = ctypes.CDLL("libheif.so.1")
    ptr, ref, hevc, rgb, interleaved = ctypes.c_void_p, ctypes.byref, 1, 1, 10

    def call(name, *args):
        getattr(lib, name).restype = Error
        e = getattr(lib, name)(*args)
        assert e.code == 0, e.message
    lib.heif_context_alloc.restype = ptr
    lib.heif_image_get_plane.restype = ctypes.POINTER(ctypes.c_uint8)
    context, encoder, image, stride = ptr(lib.heif_context_alloc()), ptr(), ptr(), ctypes.c_int()
    call("heif_context_get_encoder_for_format", context, hevc, ref(encoder))
    call("heif_encoder_set_lossy_quality", encoder, 95)
    call("heif_image_create", *picture.size, rgb, interleaved, ref(image))
    call("heif_image_add_plane", image, interleaved, *picture.size, 24)
    plane, data = lib.heif_image_get_plane(image, interleaved, ref(stride)), picture.tobytes()
    for y in range(picture.height):
        ctypes.memmove(ctypes.addressof(plane.contents) + y * stride.value, data[y * picture.width * 3:], picture.width * 3)
    call("heif_context_encode_image", context, image, encoder, None, None)
    call("heif_context_write_to_file", context, str(path).encode())


y, x = np.mgrid[0:48, 0:64]
ramp = Image.fromarray(np.stack([4 * x, 5 * y, 2 * (x + y)], -1).astype(np.uint8))
heic(here / "ramp.heic", ramp)
ramp.save(here / "ramp.avif", quality=90, subsampling="4:4:4")
chunk = lambda n, d: struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d))
(here / "few.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 3, 0, 0, 0)) +
                               chunk(b"PLTE", bytes(range(1, 61))) + chunk(b"tRNS", bytes(range(9))) +
                               chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(range(y, y + 16)) for y in range(16)))) + chunk(b"IEND", b""))

with open(here / "decode.txt", "w") as f:
    f.write(head)
    for p in sorted(here.iterdir()):
        if p.suffix not in (".txt", ".heic", ".avif"):
            i = Image.open(p)
            up = ImageOps.exif_transpose(i).convert("RGB")
            size = i.size if i.format != "GIF" else up.size
            f.write(f"{p.name} {size[0]} {size[1]} {crc(i.convert('RGB').tobytes())} {crc(up.tobytes())}\n")

# ---- parts of larger JPEGs, in every orientation ----
large = picture(40, 30).resize((700, 520), Image.BICUBIC)
kinds = [(0, {}), (1, {}), (2, {}), (2, dict(progressive=True)), (1, dict(restart_marker_rows=2)), (0, dict(progressive=True)),
         (2, dict(restart_marker_blocks=3)), (1, {})]
with open(here / "jpegfit.txt", "w") as f:
    f.write(head)
    for o, (sub, kw) in enumerate(kinds, 1):
        name = f"large{o}.jpg"
        large.save(here / name, quality=25, subsampling=sub, exif=turned(o), **kw)
        up = ImageOps.exif_transpose(Image.open(here / name)).convert("RGB")
        for how, r, ch, cw, filt in [("short", 224, 224, 224, "bicubic"), ("short", 256, 224, 224, "bilinear"), ("short", 224, 20, 30, "bicubic"),
                                     ("short", 520, 90, 110, "bicubic"), ("squash", 60, 41, 23, "bilinear"), ("squash", 300, 310, 33, "bicubic")]:
            size = r if how == "short" else (r, r)
            out = T.CenterCrop((ch, cw))(T.Resize(size, M[filt])(up))
            f.write(f"{name} {how} {r} {r} {ch} {cw} {filt} 0 {crc(out.tobytes())}\n")

suite = pathlib.Path(sys.argv[1])
with open(here / "pngsuite.txt", "w") as f:
    f.write(head)
    for p in sorted(suite.glob("*/*.png")):
        if p.parent.name == "iphone":  # Apple's variant, which Pillow cannot read and we can
            continue
        try:
            f.write(f"{p.parent.name}/{p.name} {crc(Image.open(p).convert('RGB').tobytes())}\n")
        except Exception:
            f.write(f"{p.parent.name}/{p.name} refused\n")
with open(here / "exif.txt", "w") as f:
    f.write(head)
    for p in sorted(pathlib.Path(sys.argv[2]).glob("*.jpg")):
        f.write(f"{p.name} {crc(ImageOps.exif_transpose(Image.open(p)).convert('RGB').tobytes())}\n")
