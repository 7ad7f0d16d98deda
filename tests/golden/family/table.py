"""The networks of `docs/networks.md`: names, constructors, numbers of parameters, and the networks of reduced size."""
import re
from dataclasses import dataclass
from typing import Callable

from timm.models.res2net import Bottle2neck
from timm.models.resnet import BasicBlock as TimmBasic
from timm.models.resnet import Bottleneck as TimmBottleneck
from torchvision.models.resnet import BasicBlock, Bottleneck

from resnet9 import ResNet9

from . import attention, cifar, preact, published, pyramid, resnext29


@dataclass
class Network:
    family: str
    build: Callable  # classes -> module
    parameters: int  # at `classes`
    branch_ends: tuple  # see formula.distribution
    image: int = 64
    classes: int = 1000
    # True if no residual path conditions the network: its tolerance is a multiple of PyTorch's own float32 error.
    plain: bool = False


def torchvision_rows():
    def rows(end, counts):
        for name, count in counts.items():
            yield name, Network("resnet", lambda k, name=name: published.torchvision_network(name, k), count, end)

    yield from rows((".bn2",), dict(resnet18=11_689_512, resnet34=21_797_672))
    yield from rows((".bn3",), dict(
        resnet50=25_557_032, resnet101=44_549_160, resnet152=60_192_808, wide_resnet50_2=68_883_240, wide_resnet101_2=126_886_696,
        resnext50_32x4d=25_028_904, resnext101_32x8d=88_791_336, resnext101_64x4d=83_455_272))


def timm_rows():
    def rows(family, end, counts):
        for name, count in counts.items():
            yield name, Network(family, lambda k, name=name: published.timm_network(name, k), count, end)

    yield from rows("resnet_d", (".bn2",), dict(resnet18d=11_708_744, resnet34d=21_816_904))
    yield from rows("resnet_d", (".bn3",), dict(
        resnet50c=25_576_264, resnet50d=25_576_264, resnet101d=44_568_392, resnet152d=60_212_040))
    yield from rows("resnetv2", (".norm2",), dict(resnetv2_18=11_687_720, resnetv2_34=21_795_880))
    yield from rows("resnetv2", (".norm3",), dict(
        resnetv2_50=25_549_352, resnetv2_101=44_541_480, resnetv2_152=60_185_128, resnetv2_50d=25_568_584))
    yield from rows("res2net", (".bn3",), dict(
        res2net50_26w_4s=25_699_120, res2net50_14w_8s=25_059_816, res2net50_26w_6s=37_051_448, res2net50_26w_8s=48_403_776,
        res2net50_48w_2s=25_287_304, res2net101_26w_4s=45_206_688, res2next50=24_671_464, res2net50d=25_718_352))
    # A stage of bottlenecks has `conv2.bn` too. There the scale has no effect, because conv3 and its batch norm follow.
    yield from rows("tresnet", (".conv2.bn", ".conv3.bn"), dict(tresnet_m=31_389_032, tresnet_l=55_989_256))


def inception_rows():
    for name, count in dict(googlenet=13_004_888, inception_v3=27_161_264).items():
        yield name, Network("inception", lambda k, name=name: published.torchvision_network(name, k), count, (), plain=True)


RESNET9_ENDS = ("res1.1.1", "res2.1.1")


def resnet9_rows():
    yield "resnet9", cifar_row("resnet9", lambda k: ResNet9(64, classes=k), 6_573_120, RESNET9_ENDS)


def cifar_row(family, build, parameters, branch_ends, classes=10, **more):
    return Network(family, build, parameters, branch_ends, image=32, classes=classes, **more)


def cifar_rows():
    blocks = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18, 1202: 200}
    a = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274}
    for depth, n in blocks.items():
        def build(join, n=n):
            return lambda k: cifar.ResNet([n] * 3, join, classes=k)

        yield f"resnet{depth}", cifar_row("resnet_cifar", build("a"), a[depth], (".bn2",))
        yield f"resnet{depth}-b", cifar_row("resnet_cifar", build("b"), a[depth] + 2_752, (".bn2",))
        if depth != 1202:
            yield f"plain{depth}", cifar_row("resnet_cifar", build("plain"), a[depth], (), plain=True)
    concat = a[20] + 3 * 2 * (16**2 + 32**2 + 64**2)
    yield "resnet20-concat", cifar_row("resnet_cifar", lambda k: cifar.ResNet([3] * 3, "concat", classes=k), concat, (".bn2",))
    for name, depths, block, count in [
        ("resnet18", [2, 2, 2, 2], cifar.Basic, 11_173_962),
        ("resnet34", [3, 4, 6, 3], cifar.Basic, 21_282_122),
        ("resnet50", [3, 4, 6, 3], cifar.Bottleneck, 23_520_842),
    ]:
        end = (".bn2",) if block is cifar.Basic else (".bn3",)
        build = lambda k, depths=depths, block=block: cifar.ResNet(depths, "b", block, 64, k)
        yield f"{name}-cifar", cifar_row("resnet_cifar", build, count, end)


def preact_rows():
    for depth, count in {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}.items():
        build = lambda k, n=(depth - 2) // 6: preact.PreAct(n, classes=k)
        yield f"preact{depth}", cifar_row("preact", build, count, (".bn2",))
    for depth, count in {164: 1_703_258, 1001: 10_327_706}.items():
        build = lambda k, n=(depth - 2) // 9: preact.PreAct(n, preact.Bottleneck, 4, classes=k)
        yield f"preact{depth}", cifar_row("preact", build, count, (".bn3",))
    for size, count in {
        "16-1": 175_066, "16-2": 691_674, "16-4": 2_748_890, "16-8": 10_961_370, "22-8": 17_158_106, "40-2": 2_243_546,
        "40-4": 8_949_210, "28-10": 36_479_194, "40-10": 55_841_754,
    }.items():
        depth, widen = map(int, size.split("-"))
        build = lambda k, depth=depth, widen=widen: preact.Wide(depth, widen, classes=k)
        yield f"wrn-{size}", cifar_row("wrn", build, count, (".bn2",))
    yield "wrn-28-10-dropout", cifar_row("wrn", lambda k: preact.Wide(28, 10, classes=k), 36_479_194, (".bn2",))


def resnext29_rows():
    for size, count in {"8x64d": 34_426_698, "16x64d": 68_155_210, "32x4d": 4_775_754}.items():
        groups, base = map(int, re.findall(r"\d+", size))
        build = lambda k, groups=groups, base=base: resnext29.ResNeXt29(groups, base, classes=k)
        yield f"resnext29-{size}", cifar_row("resnext29", build, count, (".bn_expand",))
    for size, count in {"6cx24wx4s": 23_613_482, "8cx25wx4s": 32_865_186, "6cx24wx6s": 36_053_930}.items():
        groups, base, scale = map(int, re.findall(r"\d+", size))
        build = lambda k, g=groups, b=base, s=scale: resnext29.Res2NeXt29(g, b, s, classes=k)
        yield f"res2next29-{size}", cifar_row("resnext29", build, count, (".bn3",))


def pyramid_rows():
    counts = {
        "110-a48": 1_772_706, "110-a84": 3_904_446, "110-a270": 28_485_477, "164b-a48": 1_715_442, "164b-a84": 3_757_494,
        "164b-a270": 27_216_021, "200b-a240": 26_752_702, "236b-a220": 26_969_046, "272b-a200": 26_210_842,
    }
    for size, count in counts.items():
        depth, bottleneck, alpha = re.fullmatch(r"(\d+)(b?)-a(\d+)", size).groups()
        n = (int(depth) - 2) // (9 if bottleneck else 6)
        block, end = (pyramid.Bottleneck, ".bn4") if bottleneck else (pyramid.Basic, ".bn3")
        build = lambda k, n=n, alpha=int(alpha), block=block: pyramid.Pyramid(n, alpha, block, classes=k)
        yield f"pyramid{size}", cifar_row("pyramid", build, count, (end,))


def attention_rows():
    for name, modules, count, of_cifar in [
        ("attention56", (1, 1, 1), 31_810_728, 7_202_794),
        ("attention92", (1, 2, 3), 52_466_344, 12_170_730),
    ]:
        build = lambda k, modules=modules: attention.Attention(modules, classes=k)
        yield name, Network("attention", build, count, (".bn3",))
        build = lambda k, modules=modules: attention.Attention(modules, True, 32, k)
        yield f"{name}-cifar", cifar_row("attention", build, of_cifar, (".bn3",))


ROWS = [resnet9_rows, torchvision_rows, timm_rows, inception_rows, cifar_rows, preact_rows, resnext29_rows, pyramid_rows, attention_rows]
NETWORKS = {name: network for rows in ROWS for name, network in rows()}


def reduced():
    """Returns networks of two blocks a stage and an eighth of the width, as `name: Network`."""
    def of(family, build, ends, image=64, plain=False):
        return Network(family, build, None, ends, image, 10, plain)

    small = {
        "resnet9": of("resnet9", lambda k: ResNet9(8, classes=k), RESNET9_ENDS, 32),
        "resnet-basic": of("resnet", lambda k: published.Narrow(BasicBlock, k), (".bn2",)),
        "resnet-bottleneck": of("resnet", lambda k: published.Narrow(Bottleneck, k), (".bn3",)),
        "wide_resnet": of("resnet", lambda k: published.Narrow(Bottleneck, k, width_per_group=128), (".bn3",)),
        "resnext-4x16d": of("resnet", lambda k: published.Narrow(Bottleneck, k, groups=4, width_per_group=16), (".bn3",)),
        "resnet-c": of("resnet_d", lambda k: published.narrow_timm(TimmBottleneck, k, stem_width=4, stem_type="deep"), (".bn3",)),
        "resnet-d-basic": of("resnet_d", lambda k: published.narrow_timm(
            TimmBasic, k, stem_width=4, stem_type="deep", avg_down=True), (".bn2",)),
        "resnet-d-bottleneck": of("resnet_d", lambda k: published.narrow_timm(
            TimmBottleneck, k, stem_width=4, stem_type="deep", avg_down=True), (".bn3",)),
        "resnetv2-basic": of("resnetv2", lambda k: published.narrow_v2(
            k, (8, 16, 32, 64), basic=True, bottle_ratio=1.0), (".norm2",)),
        "resnetv2-bottleneck": of("resnetv2", lambda k: published.narrow_v2(k), (".norm3",)),
        "resnetv2-d": of("resnetv2", lambda k: published.narrow_v2(k, stem_type="deep", avg_down=True), (".norm3",)),
        "res2net-24w_4s": of("res2net", lambda k: published.narrow_timm(
            Bottle2neck, k, base_width=24, block_args=dict(scale=4)), (".bn3",)),
        "res2next-4c_16w_4s": of("res2net", lambda k: published.narrow_timm(
            Bottle2neck, k, base_width=16, cardinality=4, block_args=dict(scale=4)), (".bn3",)),
        "res2net-d": of("res2net", lambda k: published.narrow_timm(
            Bottle2neck, k, base_width=24, stem_width=4, stem_type="deep", avg_down=True, block_args=dict(scale=4)), (".bn3",)),
        "googlenet": of("inception", lambda k: published.narrow_inception("googlenet", k), (), plain=True),
        "inception_v3": of("inception", lambda k: published.narrow_inception("inception_v3", k), (), 139, plain=True),
        "tresnet": of("tresnet", lambda k: published.narrow_tresnet(k), (".conv2.bn", ".conv3.bn")),
        # With images of 64 pixels, none of 10,000 draws is safe.
        "attention": of("attention", lambda k: attention.Attention((1, 1, 1), False, 8, k), (".bn3",), 48),
        "attention-cifar": of("attention", lambda k: attention.Attention((1, 1, 1), True, 4, k), (".bn3",), 16),
    }
    for join in ["a", "b", "plain", "concat"]:
        build = lambda k, join=join: cifar.ResNet([2] * 3, join, width=2, classes=k)
        small[f"cifar-{join}"] = of("resnet_cifar", build, () if join == "plain" else (".bn2",), 32, join == "plain")
    return small | {
        "cifar18": of("resnet_cifar", lambda k: cifar.ResNet([2] * 4, "b", cifar.Basic, 8, k), (".bn2",), 16),
        "cifar50": of("resnet_cifar", lambda k: cifar.ResNet([2] * 4, "b", cifar.Bottleneck, 8, k), (".bn3",), 16),
        "preact-basic": of("preact", lambda k: preact.PreAct(2, width=2, classes=k), (".bn2",), 32),
        "preact-bottleneck": of("preact", lambda k: preact.PreAct(2, preact.Bottleneck, 4, 2, k), (".bn3",), 32),
        "wrn-16-4": of("wrn", lambda k: preact.Wide(16, 4, 2, k), (".bn2",), 16),
        "resnext29-4x16d": of("resnext29", lambda k: resnext29.ResNeXt29(4, 16, 2, 8, k), (".bn_expand",), 16),
        "res2next29-4cx16wx4s": of("resnext29", lambda k: resnext29.Res2NeXt29(4, 16, 4, 2, 8, k), (".bn3",), 16),
        "pyramid-a48": of("pyramid", lambda k: pyramid.Pyramid(2, 48, pyramid.Basic, 2, k), (".bn3",), 32),
        "pyramidb-a48": of("pyramid", lambda k: pyramid.Pyramid(2, 48, pyramid.Bottleneck, 2, k), (".bn4",), 32),
    }
