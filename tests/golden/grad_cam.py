"""Cases of Grad-CAM: the maps of untrained networks for the class that each image is predicted as."""
import torch
import torch.nn.functional as F

from family import cifar
from resnet9 import ResNet9
from writer import F64, f32

MEAN, STD = [0.5, 0.4, 0.6], [0.25, 0.2, 0.3]


def grad_cam(w, gen, name, make, parts, side, **attributes):
    """Writes the maps of three images, each divided by its maximum.

    `parts` returns the network in front of the feature map and behind it. Networks and images are drawn again until
    the predicted class is clear, and the maps have positions above 0 and at 0.
    """
    per_channel = lambda values: torch.tensor(values, dtype=F64).view(3, 1, 1)
    for _ in range(5000):
        net = make().to(F64).eval()
        with torch.no_grad():
            for k, v in net.state_dict().items():
                if "running_mean" in k:
                    v.copy_(0.1 * f32(gen, *v.shape))
                elif "running_var" in k:
                    v.copy_(f32(gen, *v.shape).abs() + 0.5)
                elif v.dim() == 1 and v.is_floating_point():
                    v.add_(0.3 * f32(gen, *v.shape))
                v.copy_(v.float())
        pixels = torch.randint(0, 256, (3, 3, 4, 4), generator=gen, dtype=torch.uint8)
        pixels = pixels.repeat_interleave(side // 4, 2).repeat_interleave(side // 4, 3)
        x = (pixels.to(F64) / 255 - per_channel(MEAN)) / per_channel(STD)
        front, behind = parts(net)
        a = front(x).detach().requires_grad_(True)
        logits = behind(a)
        best = logits.topk(2).values
        gradient, = torch.autograd.grad(best[:, 0].sum(), a)
        maps = (gradient.mean((2, 3), keepdim=True) * a).sum(1).relu()
        largest = maps.amax((1, 2), keepdim=True)
        is_clear = (best[:, 0] - best[:, 1]).min() > 1e-3
        if is_clear and (largest > 0).all() and (maps == 0).any():
            break
    else:
        raise SystemExit("no network and images with safe margins were found")
    assert torch.equal(logits, net(x))
    t = {f"param.{k}": v.clone() for k, v in net.state_dict().items()}
    t |= dict(pixels=pixels, mean_f64=torch.tensor(MEAN, dtype=F64), std_f64=torch.tensor(STD, dtype=F64))
    w(name, t | dict(logits=logits, maps=maps / largest), op="grad_cam", **attributes)


def parts_of_resnet9(net):
    def front(x):
        x = net.layer1(net.prep(x))
        x = net.layer3(net.layer2(x + net.res1(x)))
        return x + net.res2(x)
    return front, lambda a: net.fc(F.max_pool2d(a, a.shape[2:]).flatten(1))


def parts_of_resnet20(net, last_stage_behind):
    stages = lambda x: net.layer2(net.layer1(F.relu(net.bn1(net.conv1(x)))))
    head = lambda a: net.linear(a.mean((2, 3)))
    if last_stage_behind:
        return stages, lambda a: head(net.layer3(a))
    return lambda x: net.layer3(stages(x)), head


def grad_cams(w, seed):
    """Writes maps in front of an average pool, of a max pool, and of a stage with one position."""
    torch.manual_seed(6000 + seed)
    gen = torch.Generator().manual_seed(6000 + seed)
    resnet20, resnet9 = lambda: cifar.ResNet([3] * 3, width=4), lambda: ResNet9(2)
    grad_cam(w, gen, "grad_cam_00", resnet20, lambda net: parts_of_resnet20(net, False), 32, network="resnet20", width=4)
    grad_cam(w, gen, "grad_cam_01", resnet9, parts_of_resnet9, 32, network="resnet9", width=2)
    grad_cam(w, gen, "grad_cam_02", resnet20, lambda net: parts_of_resnet20(net, True), 4, network="resnet20", width=4)
