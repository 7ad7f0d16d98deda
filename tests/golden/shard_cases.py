"""Steps whose batch is divided into shards: batch norm over each shard by itself, the mean of the gradients, one update."""
import numpy as np
import torch
import torch.nn.functional as F

from family.margin import MARGIN, Margin, Unsafe
from resnet9 import ResNet9
from writer import F64, f32


def is_safe(net, shards):
    """Returns true if every ReLU and every max pool decides by a safe margin in each shard; see `family/margin.py`."""
    try:
        with torch.no_grad(), Margin():
            for x in shards:
                net(x)
        return True
    except Unsafe:
        return False


def shards(w, gen):
    """Writes steps of Adam over four shards, each from the state stored before it, as `trajectory` in `generate.py` does.

    A batch norm with momentum 1 stores the statistics of its last batch. Their mean over the shards enters the running
    statistics once.
    """
    width, batch, steps, n_shards = 2, 12, 2, 4
    net = ResNet9(width).to(torch.float32).to(F64)
    norms = {k: m for k, m in net.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    for m in norms.values():
        m.momentum = 1.0
    running = {f"{k}.{s}": getattr(m, s).clone() for k, m in norms.items() for s in ("running_mean", "running_var")}
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    t, xs, ys, losses, logits = {}, [], [], [], []

    def snapshot(s):
        for k, p in net.named_parameters():
            t[f"step{s}.param.{k}"] = p.detach().clone()
            for key in ("exp_avg", "exp_avg_sq"):
                st = opt.state.get(p, {}).get(key)
                t[f"step{s}.{key}.{k}"] = torch.zeros_like(p) if st is None else st.clone()
        t.update({f"step{s}.param.{k}": v.clone() for k, v in running.items()})

    for s in range(steps):
        snapshot(s)
        # The stored state is float32, so the step continues from exactly the stored numbers.
        with torch.no_grad():
            for v in list(net.parameters()) + list(running.values()):
                v.copy_(v.float().to(F64))
            for st in opt.state.values():
                for k in ("exp_avg", "exp_avg_sq"):
                    st[k].copy_(st[k].float().to(F64))
        for _ in range(2000):
            x = f32(gen, batch, 3, 32, 32)
            if is_safe(net, x.chunk(n_shards)):
                break
        else:
            raise SystemExit("no input with a safe margin was found")
        y = torch.randint(0, 10, (batch,), generator=gen)
        opt.zero_grad()
        of_shards, total, out = {k: [] for k in running}, 0.0, []
        for x_shard, y_shard in zip(x.chunk(n_shards), y.chunk(n_shards)):
            out.append(net(x_shard))
            loss = F.cross_entropy(out[-1], y_shard) / n_shards
            loss.backward()
            total += loss.item()
            for k, m in norms.items():
                of_shards[f"{k}.running_mean"].append(m.running_mean.clone())
                of_shards[f"{k}.running_var"].append(m.running_var.clone())
        for k, v in running.items():
            v.copy_(0.9 * v + 0.1 * torch.stack(of_shards[k]).mean(0))
        t |= {f"step{s}.grad.{k}": p.grad.clone() for k, p in net.named_parameters()}
        xs.append(x)
        ys.append(y)
        losses.append(total)
        logits.append(torch.cat(out).detach())
        opt.step()
    snapshot(steps)
    t |= dict(x=torch.stack(xs), target=torch.stack(ys).to(torch.int64), losses=np.array(losses), logits=torch.stack(logits))
    w("shards_00", t, op="shards", width=width, batch=batch, steps=steps, shards=n_shards, optimizer="adam", lr=2e-3, margin=MARGIN)
