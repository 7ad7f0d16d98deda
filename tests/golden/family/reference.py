"""References in float64: logits and losses of whole networks, gradients of reduced networks and of single blocks."""
import itertools
import math

import torch
import torch.nn.functional as F

from . import formula
from .blocks import Part, shape
from .margin import Margin, Unsafe
from .table import NETWORKS, reduced

CLASSES = 10
BATCH = 4
SAMPLES = 16
DRAWS = 10000
# The bound on the error of PyTorch's float32 in a gradient, and the number of safe draws of which the best is taken without one.
GOOD, TRIES = 3e-5, 60
AUX_FACTORS = {"googlenet": 0.3, "inception_v3": 0.4}


def images(name, batch, size):
    return formula.values(name, (batch, 3, size, size), math.sqrt(3.0))


def outputs(out):
    """Returns the logits of a network and of its auxiliary heads, from the front of the network to its end."""
    if isinstance(out, torch.Tensor):
        return out, []
    if hasattr(out, "aux_logits1"):
        return out.logits, [out.aux_logits1, out.aux_logits2]
    return out.logits, [head for head in [out.aux_logits] if head is not None]


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


def pass_of(name, net, image):
    """Returns a forward pass in float64, with the largest error of PyTorch's float32 in logits and loss."""
    labels = formula.labels("labels", BATCH, CLASSES)
    found = []
    for dtype in [torch.float64, torch.float32]:
        with torch.no_grad():
            out = net[dtype](images("x", BATCH, image).to(dtype))
            logits, aux = outputs(out)
            found.append((logits, aux, loss_of(name, out, labels)))
    (logits, aux, loss), (logits32, aux32, loss32) = found
    heads = list(zip([logits32, *aux32], [logits, *aux]))
    return dict(
        image=image, batch=BATCH, logits=logits.flatten().tolist(), aux=[a.flatten().tolist() for a in aux], loss=loss.item(),
        float32=max([relative(*pair) for pair in heads] + [relative(loss32, loss)]))


def network(name):
    """A training pass, whose statistics of the batch the evaluation then reads."""
    entry = NETWORKS[name]
    net = {}
    for dtype in [torch.float64, torch.float32]:
        net[dtype] = formula.fill(entry.build(CLASSES).to(dtype), entry.branch_ends)
    # Only at 299 pixels the auxiliary head of inception_v3 has the plane that it needs.
    train, evaluate = (299, 96) if name == "inception_v3" else (entry.image, entry.image)
    case = dict(name=name, branch_ends=entry.branch_ends, plain=entry.plain)
    for mode, image in dict(train=train, eval=evaluate).items():
        for n in net.values():
            n.train(mode == "train")
        case[mode] = pass_of(name, net, image)
    return case


def safe_draws(net, inputs, run):
    """Yields the draws of inputs in which every decision of the pass has a safe margin: the number and the inputs."""
    for redraw in range(DRAWS):
        drawn = inputs(redraw)
        try:
            with torch.no_grad(), Margin():
                run(net, *drawn)
        except Unsafe:
            continue
        yield redraw, drawn
    raise SystemExit("no input with a safe margin was found")


def gradients_of(net, prefix=""):
    return {prefix + name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def float32_error(expected, got):
    """Returns the largest relative error of a gradient that is not zero in exact arithmetic."""
    largest = max(g.norm() for g in expected.values())
    return max(relative(got[k], g) for k, g in expected.items() if g.norm() > 1e-6 * largest)


def reduced_network(name):
    """A training pass and its gradients. A draw is rejected if PyTorch's float32 misses a gradient by more than a third of 1e-4."""
    entry = reduced()[name]

    def inputs(redraw):
        return images(f"x{redraw}", BATCH, entry.image), formula.labels(f"labels{redraw}", BATCH, CLASSES)

    def run(net, x, labels):
        return loss_of(name, net(x.to(next(net.parameters()).dtype)), labels)

    net, net32 = [formula.fill(entry.build(CLASSES).to(dtype), entry.branch_ends) for dtype in [torch.float64, torch.float32]]
    best = None
    for redraw, drawn in itertools.islice(safe_draws(net, inputs, run), TRIES):
        losses = []
        for n in [net, net32]:
            n.zero_grad()
            losses.append(run(n, *drawn))
            losses[-1].backward()
        error = float32_error(gradients_of(net), gradients_of(net32))
        if best is None or error < best["float32"]:
            gradients = {k: sample(g) for k, g in gradients_of(net).items()}
            best = dict(redraw=redraw, float32=error, loss=losses[0].item(), gradients=gradients)
        if error < GOOD:
            break
    print(f"  {name}: draw {best['redraw']}, float32 {best['float32']:.1e}", flush=True)
    return dict(name=name, branch_ends=entry.branch_ends, plain=entry.plain, image=entry.image, batch=BATCH) | best


def block(network, part, image, batch):
    """The output and the gradients of a part of a network. A draw is rejected as for a reduced network."""
    entry, size = NETWORKS[network], shape(network, part, image, batch)

    def inputs(redraw):
        return (formula.values(f"x{redraw}", size, math.sqrt(3.0)),)

    parts = [formula.fill(Part(network, part).to(dtype), ()) for dtype in [torch.float64, torch.float32]]
    for redraw, (x,) in safe_draws(parts[0], inputs, Part.__call__):
        found = []
        for net, dtype in zip(parts, [torch.float64, torch.float32]):
            net.zero_grad()
            leaf = x.to(dtype, copy=True).requires_grad_(True)
            y = net(leaf)
            dy = formula.values(f"dy{redraw}", y.shape, math.sqrt(3.0))
            y.backward(dy.to(dtype))
            found.append(({"x": leaf.grad} | gradients_of(net), y))
        (gradients, y), (gradients32, y32) = found
        errors = relative(y32, y), float32_error(gradients, gradients32)
        if errors[1] < GOOD:
            break
    print(f"  {network} {part}: {size} draw {redraw}, float32 {errors[0]:.1e} {errors[1]:.1e}", flush=True)
    gradients = {k: sample(g) for k, g in gradients.items()}
    return dict(
        network=network, classes=entry.classes, part=part, image=image, input=size, redraw=redraw,
        output=list(y.shape), y=sample(y), gradients=gradients)


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
