"""Cases of single ops: inputs, outputs and gradients."""
import math

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms.functional as TF
from PIL import Image
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from writer import F64, f32, leaf


def conv_cases(seed):
    # N, Cin, H, W, Cout, k, stride, padding, groups, bias
    base = [
        (2, 3, 32, 32, 16, 3, 1, 1, 1, False),
        (4, 16, 16, 16, 32, 3, 1, 1, 1, False),
        (3, 32, 8, 8, 64, 3, 1, 1, 1, False),
        (2, 64, 4, 4, 64, 3, 1, 1, 1, False),
        (1, 1, 5, 7, 1, 3, 1, 1, 1, True),
        (2, 5, 9, 11, 7, 3, 1, 1, 1, False),
        (2, 3, 33, 31, 8, 7, 2, 3, 1, False),
        (2, 16, 15, 15, 24, 1, 2, 0, 1, False),
        (2, 16, 14, 14, 32, 3, 2, 1, 1, False),
        (2, 8, 9, 9, 12, 5, 1, 2, 1, True),
        (2, 16, 8, 8, 32, 3, 1, 1, 4, False),
        (2, 12, 8, 8, 12, 3, 2, 1, 12, False),
        (2, 6, 8, 8, 10, 3, 1, 0, 1, False),
    ]
    if seed == 0:
        return base
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(24):
        g = int(rng.choice([1, 1, 1, 2, 4]))
        k = int(rng.choice([1, 3, 3, 3, 5, 7]))
        cases.append((int(rng.integers(1, 6)), g * int(rng.integers(1, 20)), int(rng.integers(k, 34)),
                      int(rng.integers(k, 34)), g * int(rng.integers(1, 36)), k, int(rng.choice([1, 1, 2, 3])),
                      int(rng.integers(0, k // 2 + 1)), g, bool(rng.integers(0, 2))))
    return cases


def family_conv_cases():
    # As above: the convolutions of the networks that have fast kernels of their own. Groups of 1, 2, 4, 8, 16 and 32 channels
    # with strides 1 and 2, blocks of channels that are not full, kernels of 1x1 and 7x7.
    return [
        (2, 20, 9, 11, 20, 3, 1, 1, 20, False),
        (2, 36, 9, 8, 36, 3, 2, 1, 36, True),
        (2, 20, 8, 7, 20, 5, 1, 2, 20, False),
        (2, 24, 7, 9, 24, 3, 1, 1, 12, False),
        (2, 24, 10, 9, 24, 3, 1, 1, 6, True),
        (2, 64, 9, 9, 64, 3, 2, 1, 16, False),
        (1, 48, 8, 12, 48, 3, 1, 1, 6, False),
        (2, 32, 7, 7, 32, 3, 2, 1, 4, False),
        (2, 48, 7, 10, 48, 3, 1, 1, 3, False),
        (2, 64, 7, 7, 64, 3, 2, 1, 2, True),
        (2, 24, 6, 6, 40, 1, 1, 0, 1, True),
        (2, 130, 5, 5, 70, 1, 1, 0, 1, False),
        (2, 3, 31, 33, 32, 7, 2, 3, 1, False),
        (2, 48, 6, 5, 48, 3, 1, 1, 2, False),
    ]


def convolutions(w, gen, stem, cases):
    for i, (n, ci, h, wd, co, k, s, p, g, bias) in enumerate(cases):
        x, wt = leaf(f32(gen, n, ci, h, wd)), leaf(f32(gen, co, ci // g, k, k) / k)
        wt = leaf(wt.detach().float().to(F64))
        b = leaf(f32(gen, co)) if bias else None
        y = F.conv2d(x, wt, b, stride=s, padding=p, groups=g)
        dy = f32(gen, *y.shape)
        y.backward(dy)
        t = dict(x=x, w=wt, dy=dy, y=y, dx=x.grad, dw=wt.grad)
        if bias:
            t |= dict(b=b, db=b.grad)
        w(f"{stem}_{i:02}", t, op="conv2d", kernel=k, stride=s, padding=p, groups=g, bias=int(bias))


def family_convolutions(w, gen):
    convolutions(w, gen, "conv2d_family", family_conv_cases())


def ops(w, gen, seed):
    convolutions(w, gen, "conv2d", conv_cases(seed))

    for i, (n, c, h, wd) in enumerate([(8, 16, 8, 8), (2, 3, 5, 7), (64, 10, 1, 1), (4, 64, 4, 4), (16, 33, 3, 3)]):
        x = leaf((f32(gen, n, c, h, wd) * 3 + 5 * f32(gen, 1, c, 1, 1)).float().to(F64))
        gamma, beta, rm = leaf(f32(gen, c)), leaf(f32(gen, c)), f32(gen, c)
        rv = f32(gen, c).abs() + 0.5
        rv = rv.float().to(F64)
        rm2, rv2 = rm.clone(), rv.clone()
        y = F.batch_norm(x, rm2, rv2, gamma, beta, training=True, momentum=0.1, eps=1e-5)
        dy = f32(gen, *y.shape)
        y.backward(dy)
        ye = F.batch_norm(x, rm, rv, gamma, beta, training=False, eps=1e-5)
        w(f"batch_norm_{i:02}", dict(x=x, gamma=gamma, beta=beta, running_mean=rm, running_var=rv, dy=dy, y=y, dx=x.grad,
          dgamma=gamma.grad, dbeta=beta.grad, running_mean_after=rm2, running_var_after=rv2, y_eval=ye),
          op="batch_norm", momentum=0.1, eps=1e-5)

    # The mean is a thousand times the standard deviation. Here E[x^2] - E[x]^2 in float32 loses all digits.
    # A variance from shifted values, from two passes or from merged partitions keeps three digits,
    # as many as the rounded input has.
    x = leaf((f32(gen, 16, 6, 5, 5) + 1000 * torch.sign(f32(gen, 1, 6, 1, 1))).float().to(F64))
    gamma, beta, rm, rv = leaf(f32(gen, 6)), leaf(f32(gen, 6)), f32(gen, 6), torch.ones(6, dtype=F64)
    rm2, rv2 = rm.clone(), rv.clone()
    y = F.batch_norm(x, rm2, rv2, gamma, beta, training=True, momentum=0.1, eps=1e-5)
    dy = f32(gen, *y.shape)
    y.backward(dy)
    ye = F.batch_norm(x, rm, rv, gamma, beta, training=False, eps=1e-5)
    w("batch_norm_large_mean", dict(x=x, gamma=gamma, beta=beta, running_mean=rm, running_var=rv, dy=dy, y=y, dx=x.grad,
      dgamma=gamma.grad, dbeta=beta.grad, running_mean_after=rm2, running_var_after=rv2, y_eval=ye),
      op="batch_norm", momentum=0.1, eps=1e-5, tolerance=1e-3)

    x = leaf(f32(gen, 3, 7, 5, 6))
    y = F.relu(x)
    dy = f32(gen, *y.shape)
    y.backward(dy)
    w("relu_00", dict(x=x, dy=dy, y=y, dx=x.grad), op="relu")

    pools = [(2, 8, 8, 8, 2, 2, 0), (2, 5, 4, 4, 4, 4, 0), (2, 6, 15, 17, 3, 2, 1), (1, 3, 7, 9, 2, 2, 0)]
    for i, (n, c, h, wd, k, s, p) in enumerate(pools):
        # Coarse values make ties common. The gradient goes to the first maximum in row-major order.
        x = leaf(torch.round(f32(gen, n, c, h, wd) * 2) / 2)
        y = F.max_pool2d(x, k, s, p)
        dy = f32(gen, *y.shape)
        y.backward(dy)
        w(f"max_pool2d_{i:02}", dict(x=x, dy=dy, y=y, dx=x.grad), op="max_pool2d", kernel=k, stride=s, padding=p)
        x = leaf(f32(gen, n, c, h, wd))
        y = F.avg_pool2d(x, k, s, p)
        dy = f32(gen, *y.shape)
        y.backward(dy)
        w(f"avg_pool2d_{i:02}", dict(x=x, dy=dy, y=y, dx=x.grad), op="avg_pool2d", kernel=k, stride=s, padding=p,
          count_include_pad=1)

    for i, (n, fi, fo, bias) in enumerate([(4, 512, 10, False), (7, 33, 5, True), (1, 8, 1, True)]):
        x, wt = leaf(f32(gen, n, fi)), leaf(f32(gen, fo, fi))
        b = leaf(f32(gen, fo)) if bias else None
        y = F.linear(x, wt, b)
        dy = f32(gen, *y.shape)
        y.backward(dy)
        t = dict(x=x, w=wt, dy=dy, y=y, dx=x.grad, dw=wt.grad)
        if bias:
            t |= dict(b=b, db=b.grad)
        w(f"linear_{i:02}", t, op="linear", bias=int(bias))

    a, b = leaf(f32(gen, 2, 3, 4, 5)), leaf(f32(gen, 2, 6, 4, 5))
    y = torch.cat([a, b], 1)
    dy = f32(gen, *y.shape)
    y.backward(dy)
    w("concat_00", dict(a=a, b=b, dy=dy, y=y, da=a.grad, db=b.grad), op="concat", axis=1)

    a, b = leaf(f32(gen, 2, 3, 4, 5)), leaf(f32(gen, 2, 3, 4, 5))
    y = a + b
    dy = f32(gen, *y.shape)
    y.backward(dy)
    w("add_00", dict(a=a, b=b, dy=dy, y=y, da=a.grad, db=b.grad), op="add")

    for i, (n, k, ls, scale) in enumerate([(8, 10, 0.0, 1), (8, 10, 0.1, 1), (3, 10, 0.0, 60), (5, 7, 0.2, 20)]):
        logits = leaf((f32(gen, n, k) * scale).float().to(F64))
        target = torch.randint(0, k, (n,), generator=gen)
        loss = F.cross_entropy(logits, target, label_smoothing=ls)
        loss.backward()
        w(f"cross_entropy_{i:02}", dict(logits=logits, target=target.to(torch.int64), loss=loss.reshape(1), dlogits=logits.grad),
          op="cross_entropy", label_smoothing=ls, reduction="mean")


def augment(w, gen, name="augment_00", padding="constant"):
    """Crop, flip and cutout with given random draws.

    `offset` is the crop's (y, x) in 0..8 in the image padded by 4 pixels, which are black, or with the padding
    "reflect" the mirrored image. `flip` mirrors the crop.
    `centre` is cutout's (y, x) in 0..31: rows y-4..y+3 and columns x-4..x+3, clipped, become exactly 0
    after normalisation. Normalisation is a table of 256 x 3 float32 values, (v / 255 - mean) / std,
    computed in float64 and rounded once. The border is the table's entry for 0.
    """
    n = 24
    px = torch.randint(0, 256, (n, 3, 32, 32), generator=gen, dtype=torch.uint8).numpy()
    offset = torch.randint(0, 9, (n, 2), generator=gen).numpy()
    offset[:4] = [[0, 0], [8, 8], [0, 8], [4, 4]]
    flip = torch.randint(0, 2, (n,), generator=gen).numpy()
    centre = torch.randint(0, 32, (n, 2), generator=gen).numpy()
    centre[:4] = [[0, 0], [31, 31], [0, 31], [16, 16]]
    mean, std = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2470, 0.2435, 0.2616])
    table = ((np.arange(256)[:, None] / 255 - mean) / std).astype(np.float32)
    y = np.empty((n, 3, 32, 32), np.float32)
    for i in range(n):
        padded = np.pad(px[i], ((0, 0), (4, 4), (4, 4)), mode=padding)
        oy, ox = offset[i]
        crop = padded[:, oy : oy + 32, ox : ox + 32]
        if flip[i]:
            crop = crop[:, :, ::-1]
        for c in range(3):
            y[i, c] = table[crop[c], c]
        cy, cx = centre[i]
        y[i, :, max(cy - 4, 0) : cy + 4, max(cx - 4, 0) : cx + 4] = 0
    attributes = dict(reflect=1) if padding == "reflect" else {}
    w(name, dict(pixels=px, offset=offset.astype(np.int64), flip=flip.astype(np.int64), centre=centre.astype(np.int64),
      table=table, y=y), op="augment", padding=4, cutout=8, tolerance=0, **attributes)


def adam(w, gen):
    for i, (wd, steps) in enumerate([(0.0, 12), (5e-4, 12)]):
        p = f32(gen, 257)
        p0, grads, after, lrs = p.clone(), [], [], []
        p = torch.nn.Parameter(p)
        opt = torch.optim.Adam([p], lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=wd)
        for t in range(steps):
            lr = float(np.float32(1e-3 * (1 + t)))
            opt.param_groups[0]["lr"] = lr
            p.grad = f32(gen, 257) * (10.0 ** (t % 5 - 3))
            p.grad = p.grad.float().to(F64)
            grads.append(p.grad.clone())
            lrs.append(lr)
            opt.step()
            after.append(p.detach().clone())
        w(f"adam_{i:02}", dict(p0=p0, grads=torch.stack(grads), lr=torch.tensor(lrs, dtype=F64), after=torch.stack(after)),
          op="adam", beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=wd)


def optimizers(w, gen):
    """Steps of `SGD` and `AdamW`: the parameters after each of several gradients."""
    cases = [
        ("sgd", 0, torch.optim.SGD, dict(momentum=0.0, nesterov=False, weight_decay=0.0)),
        ("sgd", 1, torch.optim.SGD, dict(momentum=0.0, nesterov=False, weight_decay=0.25)),
        ("sgd", 2, torch.optim.SGD, dict(momentum=0.9, nesterov=False, weight_decay=0.0)),
        ("sgd", 3, torch.optim.SGD, dict(momentum=0.9, nesterov=False, weight_decay=0.25)),
        ("sgd", 4, torch.optim.SGD, dict(momentum=0.75, nesterov=True, weight_decay=0.125)),
        ("adamw", 0, torch.optim.AdamW, dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)),
        ("adamw", 1, torch.optim.AdamW, dict(betas=(0.8, 0.99), eps=1e-6, weight_decay=2.0)),
    ]
    for op, i, optimizer, options in cases:
        p = torch.nn.Parameter(f32(gen, 67))
        p0, grads, after, lrs = p.detach().clone(), [], [], []
        opt = optimizer([p], lr=1e-3, **options)
        for t in range(6):
            lr = float(np.float32(1e-2 * (1 + t)))
            opt.param_groups[0]["lr"] = lr
            p.grad = (f32(gen, 67) * (10.0 ** (t % 3 - 1))).float().to(F64)
            grads.append(p.grad.clone())
            lrs.append(lr)
            opt.step()
            after.append(p.detach().clone())
        attributes = {k: v for k, v in options.items() if k != "betas"}
        if "betas" in options:
            attributes["beta1"], attributes["beta2"] = options["betas"]
        w(f"{op}_{i:02}", dict(p0=p0, grads=torch.stack(grads), lr=torch.tensor(lrs, dtype=F64), after=torch.stack(after)),
          op=op, **attributes)


def clip_grad_norm(w, gen):
    """`torch.nn.utils.clip_grad_norm_` over several parameters: `grad{i}` becomes `clipped{i}`."""
    # The cases: clipped, unchanged, a norm so small that the 1e-6 matters, all zero.
    for i, (scale, max_norm) in enumerate([(1.0, 0.5), (1e-2, 1e3), (1e-7, 1e-8), (0.0, 1.0)]):
        parameters, t = [], {}
        for j, shape in enumerate([(3, 5), (257,), (1,), (40, 33)]):
            p = torch.nn.Parameter(torch.zeros(shape, dtype=F64))
            p.grad = (f32(gen, *shape) * scale).float().to(F64)
            t[f"grad{j}"] = p.grad.clone()
            parameters.append(p)
        t["norm"] = torch.nn.utils.clip_grad_norm_(parameters, max_norm).reshape(1)
        t |= {f"clipped{j}": p.grad for j, p in enumerate(parameters)}
        w(f"clip_grad_norm_{i:02}", t, op="clip_grad_norm", max_norm=max_norm, n=len(parameters))


def ema(w, gen):
    """`torch.optim.swa_utils.AveragedModel`: `parameters[s]` are those after step s, `after[s]` is the average."""
    # The two decays test the two branches of torch.lerp.
    for i, decay in enumerate([0.9, 0.25]):
        model = torch.nn.Linear(19, 7, bias=False).to(F64)
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
        parameters, after = [], []
        for _ in range(8):
            with torch.no_grad():
                model.weight.copy_(f32(gen, 7, 19))
            averaged.update_parameters(model)
            parameters.append(model.weight.detach().clone())
            after.append(averaged.module.weight.detach().clone())
        w(f"ema_{i:02}", dict(parameters=torch.stack(parameters), after=torch.stack(after)), op="ema", decay=decay)


def color_jitter(w, gen):
    """torchvision's `adjust_brightness`, `adjust_contrast`, `adjust_saturation` on PIL images, one after another.

    A factor is `factor / 16384`, which float32 represents exactly, so Pillow's arithmetic does not round.
    `order[i]` is the index of an order of the three adjustments in the list `orders` below.
    """
    n = 36
    px = torch.randint(0, 256, (n, 3, 32, 32), generator=gen, dtype=torch.uint8).numpy()
    # The images are noise, and also smooth pictures with the colours of a photograph, black, white, and one
    # flat colour.
    for i in range(8, 24):
        low = torch.rand(1, 3, 4, 4, generator=gen)
        smooth = F.interpolate(low, size=32, mode="bicubic")[0].clamp(0, 1)
        px[i] = (smooth * 255).round().to(torch.uint8).numpy()
    px[24], px[25], px[26] = 0, 255, np.array([200, 30, 90], np.uint8)[:, None, None]
    factor = torch.randint(0, 2 * 16384 + 1, (n, 3), generator=gen).numpy()
    factor[:6] = [[16384] * 3, [0] * 3, [32768] * 3, [0, 32768, 16384], [32768, 0, 0], [13107, 19661, 16000]]
    order = np.arange(n) % 6
    changes = [TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation]
    orders = [[0, 1, 2], [0, 2, 1], [1, 2, 0], [1, 0, 2], [2, 0, 1], [2, 1, 0]]
    y = np.empty_like(px)
    for i in range(n):
        image = Image.fromarray(px[i].transpose(1, 2, 0).copy())
        for c in orders[order[i]]:
            image = changes[c](image, factor[i, c] / 16384)
        y[i] = np.asarray(image).transpose(2, 0, 1)
    w("color_jitter_00", dict(pixels=px, factor=factor.astype(np.int64), order=order.astype(np.int64), y=y),
      op="color_jitter", tolerance=0)


def channel_pad(w, gen):
    x = leaf(f32(gen, 3, 5, 4, 6))
    y = F.pad(x, (0, 0, 0, 0, 2, 3))
    dy = f32(gen, *y.shape)
    y.backward(dy)
    w("channel_pad_00", dict(x=x, dy=dy, y=y, dx=x.grad), op="channel_pad", before=2, after=3)


def max_pool2d_nan(w, gen):
    """A NaN counts as larger than any number, and a window's last NaN gets the gradient, bit for bit."""
    for i, (n, c, h, wd, k, s, p) in enumerate([(2, 5, 8, 8, 2, 2, 0), (2, 3, 9, 7, 3, 2, 1)]):
        # Sums of multiples of 0.5 are exact; + 0 turns -0 into 0.
        x = torch.round(f32(gen, n, c, h, wd) * 2) / 2
        x[torch.rand(x.shape, generator=gen) < 0.15] = math.nan
        x = leaf(x)
        y = F.max_pool2d(x, k, s, p)
        dy = torch.round(f32(gen, *y.shape) * 2) / 2 + 0
        y.backward(dy)
        w(f"max_pool2d_nan_{i:02}", dict(x=x, dy=dy, y=y, dx=x.grad), op="max_pool2d", kernel=k, stride=s, padding=p,
          tolerance=0)


def batch_norm_eps(w, gen):
    """`F.batch_norm` with another eps; then with the addition of a residual and a ReLU after it, where an element
    within 1e-5 of the ReLU's kink is drawn again. The gradients in evaluation have names that end with `_eval`."""
    def case(name, op, shape, residual):
        n, c, h, wd = shape
        x = leaf(f32(gen, n, c, h, wd) * 0.05)
        gamma, beta, rm = leaf(f32(gen, c)), leaf(f32(gen, c)), f32(gen, c) * 0.05
        rv = (f32(gen, c) * 0.05).square().float().to(F64)
        x, rm = leaf(x.detach().float().to(F64)), rm.float().to(F64)
        rm2, rv2 = rm.clone(), rv.clone()
        norms = [F.batch_norm(x, rm2, rv2, gamma, beta, training=True, momentum=0.1, eps=1e-3),
                 F.batch_norm(x, rm, rv, gamma, beta, training=False, eps=1e-3)]
        t = {}
        if residual:
            r = f32(gen, *shape)
            while (close := ((norms[0] + r).abs() < 1e-5) | ((norms[1] + r).abs() < 1e-5)).any():
                r[close] = f32(gen, int(close.sum()))
            r = leaf(r)
            norms = [F.relu(y + r) for y in norms]
            t["residual"] = r
        y, ye = norms
        dy = f32(gen, *shape)
        if residual:
            t["dx_eval"], t["dresidual_eval"] = torch.autograd.grad(ye, [x, r], dy)
        y.backward(dy)
        if residual:
            t["dresidual"] = r.grad
        t |= dict(x=x, gamma=gamma, beta=beta, running_mean=rm, running_var=rv, dy=dy, y=y, dx=x.grad, dgamma=gamma.grad,
                  dbeta=beta.grad, running_mean_after=rm2, running_var_after=rv2, y_eval=ye)
        w(name, t, op=op, momentum=0.1, eps=1e-3)

    case("batch_norm_05", "batch_norm", (6, 5, 4, 7), False)
    case("batch_norm_add_relu_00", "batch_norm_add_relu", (4, 8, 5, 3), True)


def philox(counter, key):
    """Philox4x32-10 of Random123. `counter` is four arrays of one shape, `key` two numbers; returns four arrays."""
    low, c, k = np.uint64(0xFFFFFFFF), [np.asarray(v, np.uint64) for v in counter], [int(v) for v in key]
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), p1 & low, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), p0 & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def dropout(w, gen):
    """Dropout with the masks of two layers, of numbers of images that are neither consecutive nor different.

    Element i of an image, in the order rows, columns, channels, is dropped if word i % 4 of
    philox((image number, epoch, 2 + layer, i // 4), seed) is below p * 2^32.
    """
    known = philox([[0x243F6A88], [0x85A308D3], [0x13198A2E], [0x03707344]], [0xA4093822, 0x299F31D0])
    assert [int(v[0]) for v in known] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]
    seed, epoch, p = 0x0123_4567_89AB_CDEF, 11, float(np.float32(0.3))
    image_numbers = np.array([5, 49_999, 5, 0, 4_000_000_000], np.int64)
    n, c, h, wd = len(image_numbers), 5, 3, 7
    key = [seed & 0xFFFFFFFF, seed >> 32]

    def factors(layer):
        i = np.arange(c * h * wd)
        number, i = np.broadcast_arrays(image_numbers[:, None], i[None])
        words = philox([number, np.full_like(i, epoch), np.full_like(i, 2 + layer), i // 4], key)
        word = np.choose(i % 4, words)
        kept = torch.from_numpy(word >= np.uint64(round(p * 2**32)))
        return (kept.to(F64) * np.float32(1 / (1 - p)).item()).reshape(n, h, wd, c).permute(0, 3, 1, 2)

    x, dy = f32(gen, n, c, h, wd), f32(gen, n, c, h, wd)
    t = dict(x=x, dy=dy, image_numbers=image_numbers, y_of_layer_0=x * factors(0), y=x * factors(1), dx=dy * factors(1))
    w("dropout_00", t, op="dropout", p=0.3, seed=seed, epoch=epoch, tolerance=0)
def elementwise(w, gen):
    """Elementwise ops, and copies of channels and pixels. `gen` belongs to these cases alone."""
    def case(name, inputs, y, **attributes):
        dy = f32(gen, *y.shape)
        y.backward(dy)
        gradients = {f"d{key}": t.grad for key, t in inputs.items()}
        w(name, dict(**inputs, dy=dy, y=y, **gradients), **attributes)

    # Beyond 88 and -88, exp(-x) or exp(x) is infinite in float32.
    x = f32(gen, 3, 7, 5, 6)
    x[0, 0, 0] = torch.tensor([-1000, -100, -30, 30, 100, 1000], dtype=F64)
    x = leaf(x)
    case("sigmoid_00", dict(x=x), torch.sigmoid(x), op="sigmoid")

    for i, slope in enumerate([0.01, 1e-3]):
        x = leaf(f32(gen, 3, 7, 5, 6))
        case(f"leaky_relu_{i:02}", dict(x=x), F.leaky_relu(x, slope), op="leaky_relu", slope=slope)

    for i, shape in enumerate([(2, 5, 13, 11), (2, 5, 1, 1)]):
        a, b = leaf(f32(gen, 2, 5, 13, 11)), leaf(f32(gen, *shape))
        case(f"mul_{i:02}", dict(a=a, b=b), a * b, op="mul")

    a, b = leaf(f32(gen, 2, 3, 4, 5)), leaf(f32(gen, 2, 3, 4, 5))
    case("detach_00", dict(a=a, b=b), a * a.detach() + b, op="detach")

    x = leaf(f32(gen, 3, 7, 4, 5))
    case("channel_slice_00", dict(x=x), x[:, 1:4], op="channel_slice", first=1, channels=3)

    inputs = {key: leaf(f32(gen, 2, c, 4, 5)) for key, c in dict(a=3, b=1, c=6, d=2).items()}
    case("concat_01", inputs, torch.cat(list(inputs.values()), 1), op="concat_many")

    # `pixel_unshuffle` has the order (c, kh, kw) in its channels, and space to depth (kh, kw, c).
    for i, (block, shape) in enumerate([(4, (2, 3, 8, 12)), (2, (2, 5, 6, 4))]):
        x = leaf(f32(gen, *shape))
        y = F.pixel_unshuffle(x, block).unflatten(1, (shape[1], block * block)).transpose(1, 2).flatten(1, 2)
        case(f"space_to_depth_{i:02}", dict(x=x), y, op="space_to_depth", block=block)


def class_weights(w, gen):
    """The loss with class weights: without and with label smoothing, a class without weight, rows that do not count.

    A label below 0 is written as 2^32 - 1. PyTorch's mean is over the weights of the rows that count.
    """
    ignored = 2**32 - 1
    for i, (n, k, ls, scale) in enumerate([(8, 10, 0.0, 1), (70, 10, 0.1, 1), (3, 10, 0.0, 60), (130, 7, 0.2, 20)], 4):
        logits = leaf((f32(gen, n, k) * scale).float().to(F64))
        weights = f32(gen, k).abs() + 0.1
        if i % 2 == 1:
            weights[3] = 0
        target = torch.randint(0, k, (n,), generator=gen)
        if i == 7:
            target[::5] = -100
        loss = F.cross_entropy(logits, target, weight=weights.float().to(F64), label_smoothing=ls)
        loss.backward()
        target = torch.where(target < 0, ignored, target)
        t = dict(logits=logits, target=target.to(torch.int64), class_weights=weights, loss=loss.reshape(1), dlogits=logits.grad)
        w(f"cross_entropy_{i:02}", t, op="cross_entropy", label_smoothing=ls, reduction="mean", weighted=1)
