#!/usr/bin/env python3
"""train.py - writes train_cases.h: losses with their gradients, optimisers and schedules by PyTorch.

Losses are written here from their papers' formulas, in float64 and with autograd; cross entropies are
torch.nn.functional.cross_entropy, CLIP's loss is open_clip's ClipLoss.  SGD and AdamW are torch.optim's,
one-cycle and cosine torch.optim.lr_scheduler's; LARS and Lion are written out from their papers.
"""
import math
import pathlib

import open_clip.loss
import torch
import torch.nn.functional as F

torch.manual_seed(4)
torch.set_default_dtype(torch.float64)
N, D, C = 12, 6, 4
labels = torch.tensor([0, 1, 1, 2, 0, 1, 2, 2, 0, 1, 3, 0])  # class 3 is alone
groups = torch.tensor([0, 1, 2, 0, 3, 4, 5, 0, 6, 6, 7, 8])


def f32(x):
    return x.float().double()


E0 = f32(torch.randn(N, D) + torch.randn(C, D)[labels])
V0 = f32(torch.randn(N, D))
T0 = f32(torch.randn(N, 9))
W0 = f32(torch.randn(C, D))
B0 = f32(torch.randn(C))
same = labels[:, None] == labels[None]
eye = torch.eye(N, dtype=torch.bool)
positive, negative = same & ~eye, ~same


def unit(x):
    return F.normalize(x, dim=1)


def distance(z, squared):
    d2 = ((z[:, None] - z[None]) ** 2).sum(2)
    return d2 if squared else (d2 + 1e-12).sqrt()


def triplet(z, mining, margin, squared, soft):
    v = distance(z, squared)
    cost = F.softplus if soft else lambda x: F.relu(x + margin)
    terms = []
    for a in range(N):
        p, n = torch.nonzero(positive[a])[:, 0], torch.nonzero(negative[a])[:, 0]
        if not len(p) or not len(n):
            continue
        if mining == "hard":
            terms.append(cost(v[a, p].max() - v[a, n].min()))
        for i in p:
            if mining == "all":
                terms += [cost(v[a, i] - v[a, j]) for j in n]
            elif mining == "semihard":
                beyond = [j for j in n if v[a, j] > v[a, i]]
                j = min(beyond, key=lambda j: v[a, j].item()) if beyond else max(n, key=lambda j: v[a, j].item())
                terms.append(cost(v[a, i] - v[a, j]))
    t = torch.stack(terms)
    return t.sum() / (t > 0).sum() if mining == "all" else t.mean()


def contrastive(z, mining, margin, squared):
    d = distance(z, False)
    p, n = positive, negative
    if mining == "hard":
        p, n = torch.zeros_like(p), torch.zeros_like(n)
        for a in range(N):
            if positive[a].any():
                p[a, (d[a] * positive[a]).argmax()] = True
            n[a, (d[a] + 1e9 * ~negative[a]).argmin()] = True
    lp, ln = d[p], F.relu(margin - d[n])
    if squared:
        lp, ln = lp ** 2 / 2, ln ** 2 / 2
    return lp.sum() / (lp > 0).sum() + ln.sum() / (ln > 0).sum()


def supcon(z, t):
    s = (z @ z.T / t).masked_fill(eye, -math.inf)
    logp = s - s.logsumexp(1, keepdim=True)
    count = positive.sum(1)
    rows = -(logp.masked_fill(~positive, 0).sum(1)[count > 0] / count[count > 0])
    return rows.mean()


def infonce(z, t):
    s = z @ z.T / t
    terms = []
    for i in range(N):
        for p in torch.nonzero(positive[i])[:, 0]:
            logits = torch.cat([s[i, p][None], s[i, negative[i]]])
            terms.append(F.cross_entropy(logits[None], torch.tensor([0])))
    return torch.stack(terms).mean()


def proto(z, shots, smoothing, t):
    ways = list(dict.fromkeys(labels.tolist()))
    rows = {k: [i for i in range(N) if labels[i] == k] for k in ways}
    c = torch.stack([z[rows[k][:shots]].mean(0) for k in ways])
    q = [i for i in range(N) if i not in rows[labels[i].item()][:shots]]
    logits = -((z[q][:, None] - c[None]) ** 2).sum(2) / t
    target = torch.tensor([ways.index(labels[i].item()) for i in q])
    return F.cross_entropy(logits, target, label_smoothing=smoothing)


def arcface(z, w, scale, margin, smoothing):
    cos = z @ unit(w).T
    theta = cos.clamp(-1 + 1e-7, 1 - 1e-7).acos()
    bent = torch.where(theta + margin > math.pi, cos - margin * math.sin(margin), (theta + margin).cos())
    logits = torch.where(F.one_hot(labels, C).bool(), bent, cos) * scale
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def cosface(z, w, scale, margin, smoothing):
    logits = (z @ unit(w).T - margin * F.one_hot(labels, C)) * scale
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def proxyanchor(z, w, alpha, margin):
    cos, own = z @ unit(w).T, F.one_hot(labels, C).bool()
    pos = torch.where(own, torch.exp(-alpha * (cos - margin)), 0 * cos).sum(0)
    neg = torch.where(own, 0 * cos, torch.exp(alpha * (cos + margin))).sum(0)
    present = own.any(0)
    return torch.log(1 + pos[present]).sum() / present.sum() + torch.log(1 + neg).sum() / C


def clip_groups(u, v, scale):
    target = (groups[:, None] == groups[None]).double()
    target /= target.sum(1, keepdim=True)
    s = scale * u @ v.T
    return (F.cross_entropy(s, target) + F.cross_entropy(s.T, target)) / 2


def relations(u, t, temperature):
    off = lambda x: (x @ x.T / temperature).masked_fill(eye, -1e9)
    return F.kl_div(F.log_softmax(off(u), 1), F.softmax(off(t), 1), reduction="batchmean")


cases, data = [], []


def numbers(x):
    return "{ " + ", ".join("%.9g" % v for v in x.flatten().tolist()) + " }"


def case(name, fn, config, weights=(), second=None):
    """fn(e, *weights[, second]) -> loss; config: the C initialiser of what differs from the defaults."""
    ins = [E0.clone().requires_grad_()] + [w.clone().requires_grad_() for w in weights]
    if second is not None:
        ins.append(second.clone().requires_grad_())
    loss = fn(*ins)
    loss.backward()
    i = len(cases)
    data.append(f"static const double de{i}[] = {numbers(ins[0].grad)};\n")
    w = torch.cat([x.grad.flatten() for x in ins[1:1 + len(weights)]]) if weights else None
    if w is not None:
        data.append(f"static const double dw{i}[] = {numbers(w)};\n")
    v = ins[-1].grad if second is V0 else None
    if v is not None:
        data.append(f"static const double dv{i}[] = {numbers(v)};\n")
    cases.append(f'    {{ "{name}", {{ {config} }}, {loss.item():.12g}, de{i}, '
                 f'{f"dw{i}" if w is not None else "NULL"}, {f"dv{i}" if v is not None else "NULL"} }},\n')


def losses():
    for mining in ("all", "semihard", "hard"):
        for bits in range(8):
            norm, sq, soft = bits & 1, bits >> 1 & 1, bits >> 2
            m = 0.4 if norm else 1.0
            case(f"triplet {mining} {bits}",
                 lambda e: triplet(unit(e) if norm else e, mining, m, sq, soft),
                 f".kind = KN_LOSS_TRIPLET, .mining = KN_MINING_{mining.upper()}, .normalize = {norm}, "
                 f".squared = {sq}, .soft = {soft}, .margin = {m}f")
            if mining != "semihard" and not soft:
                m = 1.1 if norm else 3.0
                case(f"contrastive {mining} {bits}",
                     lambda e: contrastive(unit(e) if norm else e, mining, m, sq),
                     f".kind = KN_LOSS_CONTRASTIVE, .mining = KN_MINING_{mining.upper()}, "
                     f".normalize = {norm}, .squared = {sq}, .margin = {m}f")
    case("supcon", lambda e: supcon(unit(e), 0.25), ".kind = KN_LOSS_SUPCON, .temperature = 0.25f, .normalize = 1")
    case("infonce", lambda e: infonce(unit(e), 0.25), ".kind = KN_LOSS_INFONCE, .temperature = 0.25f, .normalize = 1")
    for norm, shots, smooth, t in ((0, 1, 0, 1), (0, 2, 0.125, 1), (1, 1, 0, 0.25)):
        case(f"proto {shots}", lambda e: proto(unit(e) if norm else e, shots, smooth, t),
             f".kind = KN_LOSS_PROTO, .normalize = {norm}, .shots = {shots}, "
             f".label_smoothing = {smooth}f, .temperature = {t}f".replace(" 0f", " 0").replace(" 1f", " 1"))
    for smooth in (0, 0.125):
        tail = f".classes = {C}, .label_smoothing = {smooth}" + ("f" if smooth else "")
        case("softmax", lambda e, w, b: F.cross_entropy(e @ w.T + b, labels, label_smoothing=smooth),
             f".kind = KN_LOSS_SOFTMAX, .scale = 1, {tail}", (W0, B0))
        case("arcface", lambda e, w: arcface(unit(e), w, 16, 0.5, smooth),
             f".kind = KN_LOSS_ARCFACE, .scale = 16, .margin = 0.5f, {tail}", (W0,))
        case("cosface", lambda e, w: cosface(unit(e), w, 16, 0.375, smooth),
             f".kind = KN_LOSS_COSFACE, .scale = 16, .margin = 0.375f, {tail}", (W0,))
    case("proxyanchor", lambda e, w: proxyanchor(unit(e), w, 32, 0.125),
         f".kind = KN_LOSS_PROXYANCHOR, .scale = 32, .margin = 0.125f, .classes = {C}", (W0,))
    start = torch.tensor([2.5])
    clip = open_clip.loss.ClipLoss()
    case("clip", lambda e, w, v: clip(unit(e), unit(v), w.exp()), ".kind = KN_LOSS_CLIP, .temperature = 0.07f",
         (start,), V0)
    case("clip groups", lambda e, w, v: clip_groups(unit(e), unit(v), w.exp()),
         ".kind = KN_LOSS_CLIP, .temperature = 0.07f", (start,), V0)
    case("distill", lambda e, v: (1 - (unit(e) * unit(v)).sum(1)).mean(), ".kind = KN_LOSS_DISTILL",
         (), V0.clone())
    case("distill relations", lambda e, t: relations(unit(e), unit(t), 0.25),
         ".kind = KN_LOSS_DISTILL, .temperature = 0.25f, .teacher_dim = 9", (), T0)


# ---- optimisers: 20 steps with given gradients, half of the parameters without decay ----

STEPS, P = 20, 10


def optimisers(out):
    w0 = f32(torch.randn(P))
    g = f32(torch.randn(STEPS, P) * 0.3)
    out.append(f"static const float optim_w[] = {numbers(w0)};\nstatic const float optim_g[] = {numbers(g)};\n")

    def by_torch(make):
        a, b = w0[:P // 2].clone().requires_grad_(), w0[P // 2:].clone().requires_grad_()
        opt = make([{"params": [a]}, {"params": [b], "weight_decay": 0.0}])
        for s in range(STEPS):
            a.grad, b.grad = g[s, :P // 2].clone(), g[s, P // 2:].clone()
            opt.step()
        return torch.cat([a, b]).detach()

    def by_hand(step):
        w, m = w0.clone(), torch.zeros(P)
        for s in range(STEPS):
            for at, wd in ((slice(0, P // 2), 0.1), (slice(P // 2, P), 0.0)):
                w[at], m[at] = step(w[at], g[s, at], m[at], wd)
        return w

    def lars(w, grad, m, wd):  # You, Gitman and Ginsburg 2017, algorithm 1
        local = 0.001 * w.norm() / (grad.norm() + wd * w.norm() + 1e-8)
        m = 0.9 * m + 0.5 * local * (grad + wd * w)
        return w - m, m

    def lion(w, grad, m, wd):  # Chen et al. 2023, program 1
        update = (0.9 * m + 0.1 * grad).sign()
        return w - 0.01 * (update + wd * w), 0.99 * m + 0.01 * grad

    results = {
        "{ KN_OPTIM_SGD, 0, 0.1, 0.05 }": by_torch(lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.1)),
        "{ KN_OPTIM_SGD, 1, 0.1, 0.05 }": by_torch(
            lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.1, nesterov=True)),
        "{ KN_OPTIM_ADAMW, 0, 0.1, 0.02 }": by_torch(lambda p: torch.optim.AdamW(p, 0.02, weight_decay=0.1)),
        "{ KN_OPTIM_LARS, 0, 0.1, 0.5 }": by_hand(lars),
        "{ KN_OPTIM_LION, 0, 0.1, 0.01 }": by_hand(lion),
    }
    out.append("static const struct {\n    struct {\n        kn_optim_kind kind;\n        int nesterov;\n"
               "        double decay, lr;\n    } c;\n    double w[10];\n} optim_cases[] = {\n")
    out += [f"    {{ {c}, {numbers(w)} }},\n" for c, w in results.items()]
    out.append("};\n")
    x = torch.nn.Parameter(torch.zeros(P))
    x.grad = g[0].clone() * 10
    norm = torch.nn.utils.clip_grad_norm_([x], 1.5)
    out.append(f"/* ten times the first gradients, clipped to 1.5 */\nstatic const double clip_norm = {norm.item():.12g};\n"
               f"static const double clipped[] = {numbers(x.grad)};\n")


def schedules(out):
    def trace(make, steps=20):
        opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1, momentum=0.9)
        sched = make(opt)
        lr, mom = [], []
        for _ in range(steps):
            lr.append(opt.param_groups[0]["lr"])
            mom.append(opt.param_groups[0]["momentum"])
            opt.step()
            sched.step() if len(lr) < steps else None
        return torch.tensor(lr), torch.tensor(mom)

    L = torch.optim.lr_scheduler
    lr, mom = trace(lambda o: L.OneCycleLR(o, 0.1, total_steps=20))
    out.append(f"static const double onecycle_lr[] = {numbers(lr)};\nstatic const double onecycle_momentum[] = {numbers(mom)};\n")
    lr, _ = trace(lambda o: L.CosineAnnealingLR(o, 20, eta_min=0.01))
    out.append(f"static const double cosine_lr[] = {numbers(lr)};\n")
    lr, _ = trace(lambda o: L.StepLR(o, 7))
    out.append(f"static const double step_lr[] = {numbers(lr)};\n")


losses()
out = ["/* Written by train.py; not edited. */\n"]
for name, x in (("input_e", E0), ("input_v", V0), ("input_t", T0), ("input_w", torch.cat([W0.flatten(), B0]))):
    out.append(f"static const float {name}[] = {numbers(x)};\n")
out.append(f"static const uint32_t input_labels[] = {numbers(labels).replace('.0', '')};\n")
out.append(f"static const uint32_t input_groups[] = {numbers(groups).replace('.0', '')};\n")
out += data
out.append("static const struct {\n    const char *name;\n    kn_loss_config c;\n    double loss;\n"
           "    const double *de, *dw, *dv;\n} loss_cases[] = {\n")
out += cases + ["};\n"]
optimisers(out)
schedules(out)
(pathlib.Path(__file__).parent / "train_cases.h").write_text("".join(out))
print(len(cases), "losses")
