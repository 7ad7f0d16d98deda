"""References in float64: logits and losses of whole networks, gradients of reduced networks and of single blocks."""
import math

import torch
import torch.nn.functional as F

from . import formula
from .blocks import Part, shape
from .margin import Margin, Unsafe
from .table import NETWORKS, reduced

CLASSES = 10
SAMPLES = 16
DRAWS = 3000
AUX_FACTORS = {"googlenet": 0.3, "inception_v3": 0.4}


def images(name, batch, size):
    return formula.values(name, (batch, 3, size, size), math.sqrt(3.0))


def outputs(out):
    """Returns the logits of a network and of its auxiliary heads, from the front of the network to its end."""
    if isinstance(out, torch.Tensor):
        return out, []
    if hasattr(out, "aux_logits1"):
        return out.logits, [out.aux_logits1, out.aux_logits2]
    return out.logits, [out.AuxLogits] if hasattr(out, "AuxLogits") else [out.aux_logits]


def loss_of(name, out, labels):
    logits, aux = outputs(out)
    loss = F.cross_entropy(logits, labels)
    for head in aux:
        loss = loss + AUX_FACTORS[name] * F.cross_entropy(head, labels)
    return loss


def relative(got, expected):
    return ((got.double() - expected).norm() / expected.norm()).item()


def sample(t):
    """Returns the norm of a tensor, and 16 of its elements at equal distances, in PyTorch's order."""
    flat = t.detach().reshape(-1)
    n = min(SAMPLES, flat.numel())
    return dict(norm=flat.norm().item(), at=[flat[i * flat.numel() // n].item() for i in range(n)])


def pass_of(name, net, image, batch):
    """Returns a forward pass: in float64, and with the errors of PyTorch's float32."""
    labels = formula.labels("labels", batch, CLASSES)
    found = []
    for dtype in [torch.float64, torch.float32]:
        with torch.no_grad():
            out = net[dtype](images("x", batch, image).to(dtype))
            logits, aux = outputs(out)
            found.append((logits, aux, loss_of(name, out, labels)))
    (logits, aux, loss), (logits32, aux32, loss32) = found
    heads = list(zip([logits32, *aux32], [logits, *aux]))
    return dict(
        image=image, batch=batch, logits=logits.flatten().tolist(), aux=[a.flatten().tolist() for a in aux], loss=loss.item(),
        float32=[max(relative(*pair) for pair in heads), relative(loss32, loss)])


def network(name):
    """A training pass, whose statistics of the batch the evaluation then reads."""
    entry = NETWORKS[name]
    net = {}
    for dtype in [torch.float64, torch.float32]:
        net[dtype] = formula.fill(entry.build(CLASSES).to(dtype), entry.branch_ends)
    # Only at 299 pixels the auxiliary head of inception_v3 has the plane that it needs. A batch of two keeps the time short.
    train, evaluate = ((299, 2), (96, 4)) if name == "inception_v3" else ((entry.image, 4), (entry.image, 4))
    case = dict(name=name, branch_ends=entry.branch_ends, plain=entry.plain)
    for mode, (image, batch) in dict(train=train, eval=evaluate).items():
        for n in net.values():
            n.train(mode == "train")
        case[mode] = pass_of(name, net, image, batch)
    return case


def draw(net, inputs, run):
    """Draws inputs until every decision of the pass has a safe margin. Returns the number of the draw and the result."""
    for redraw in range(DRAWS):
        drawn = inputs(redraw)
        try:
            with Margin():
                return redraw, drawn, run(net, *drawn)
        except Unsafe:
            continue
    raise SystemExit("no input with a safe margin was found")


def gradients_of(net, prefix=""):
    return {prefix + name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def float32_error(expected, got):
    """Returns the largest relative error of a gradient that is not zero in exact arithmetic."""
    largest = max(g.norm() for g in expected.values())
    return max(relative(got[k], g) for k, g in expected.items() if g.norm() > 1e-6 * largest)


def reduced_network(name):
    entry = reduced()[name]
    batch = 2 if name == "inception_v3" else 4

    def inputs(redraw):
        return images(f"x{redraw}", batch, entry.image), formula.labels(f"labels{redraw}", batch, CLASSES)

    def run(net, x, labels):
        with torch.set_grad_enabled(net.grad):
            return loss_of(name, net(x.to(next(net.parameters()).dtype)), labels)

    net = formula.fill(entry.build(CLASSES).double(), entry.branch_ends)
    net.grad = False
    redraw, drawn, _ = draw(net, inputs, run)
    net.grad = True
    loss = run(net, *drawn)
    loss.backward()
    net32 = formula.fill(entry.build(CLASSES), entry.branch_ends)
    net32.grad = True
    run(net32, *drawn).backward()
    error = float32_error(gradients_of(net), gradients_of(net32))
    print(f"  {name}: draw {redraw}, float32 {error:.1e}", flush=True)
    gradients = {k: sample(g) for k, g in gradients_of(net).items()}
    return dict(
        name=name, branch_ends=entry.branch_ends, image=entry.image, batch=batch, redraw=redraw, loss=loss.item(), gradients=gradients)


def block(network, part, image, batch):
    size = shape(network, part, image, batch)

    def build(dtype):
        return formula.fill(Part(network, part).to(dtype), ())

    def inputs(redraw):
        return (formula.values(f"x{redraw}", size, math.sqrt(3.0)),)

    def run(net, x):
        with torch.no_grad():
            return net(x)

    net = build(torch.float64)
    redraw, (x,), y = draw(net, inputs, run)
    dy = formula.values(f"dy{redraw}", y.shape, math.sqrt(3.0))
    found = []
    for n in [net, build(torch.float32)]:
        dtype = next(n.held.parameters()).dtype
        leaf = x.to(dtype, copy=True).requires_grad_(True)
        y = n(leaf)
        y.backward(dy.to(dtype))
        found.append(({"x": leaf.grad} | gradients_of(n), y))
    (gradients, y), (gradients32, y32) = found
    errors = relative(y32, y), float32_error(gradients, gradients32)
    print(f"  {network} {part}: {size} draw {redraw}, float32 {errors[0]:.1e} {errors[1]:.1e}", flush=True)
    gradients = {k: sample(g) for k, g in gradients.items()}
    return dict(
        network=network, part=part, image=image, input=size, redraw=redraw, output=list(y.shape), y=sample(y), gradients=gradients)


def names(name):
    """Returns the number of parameters, and every name of the state dict with its shape."""
    entry = NETWORKS[name]
    with torch.device("meta"):
        net = entry.build(entry.classes)
    parameters = sum(p.numel() for p in net.parameters())
    assert entry.parameters == parameters, (name, parameters)
    return dict(
        name=name, classes=entry.classes, parameters=parameters,
        tensors={k: list(v.shape) for k, v in net.state_dict().items()})
