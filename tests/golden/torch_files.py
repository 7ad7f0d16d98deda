"""Writes the files of torch.save and the pickled batches of CIFAR that tests read: tests/fixtures/torch and
tests/fixtures/cifar_python. Requires torch, numpy and safetensors.

    python tests/golden/torch_files.py
"""
import collections
import os
import pathlib
import pickle
import zipfile

import numpy as np
import torch
from resnet9 import ResNet9
from safetensors.torch import save_file

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
TORCH = FIXTURES / "torch"
CIFAR = FIXTURES / "cifar_python"
LEGACY = {"_use_new_zipfile_serialization": False}


def tensors():
    """Returns tensors of every type that safetensors has a name for, and tensors that are parts of a storage."""
    gen = torch.Generator().manual_seed(0)
    base = torch.randn(4, 6, generator=gen)
    found = collections.OrderedDict()
    found["contiguous"] = torch.randn(2, 3, 1, 2, generator=gen)
    found["whole"] = base
    found["transposed"] = base.t()
    found["column"] = base[:, 2]
    found["every_second"] = base[1::2, ::3]
    found["channels_last"] = torch.randn(2, 3, 2, 2, generator=gen).contiguous(memory_format=torch.channels_last)
    found["parameter"] = torch.nn.Parameter(torch.randn(3, generator=gen))
    found["scalar"] = torch.tensor(-2.5)
    found["empty"] = torch.zeros(0, 3)
    for name in ["float64", "float16", "bfloat16", "complex64"]:
        found[name] = torch.randn(5, generator=gen).to(getattr(torch, name))
    for name in ["int64", "int32", "int16", "int8"]:
        found[name] = torch.tensor([-3, 7, 100], dtype=getattr(torch, name))
    found["uint8"] = torch.tensor([0, 255, 7], dtype=torch.uint8)
    found["bool"] = torch.tensor([True, False, True])
    return found


def model():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))


def checkpoint(wrapped):
    """Returns a checkpoint as training scripts write it, around the state dict of a wrapped model."""
    optimizer = torch.optim.Adam(wrapped.parameters())
    wrapped(torch.ones(1, 1, 2, 2)).sum().backward()
    optimizer.step()
    state = {"epoch": 3, "arch": "tiny", "state_dict": wrapped.state_dict(), "best_acc1": torch.tensor(0.5)}
    plain = {"seen": {1, 2}, "milestones": collections.Counter([30, 60]), "history": [(0, 1.5, None, True)]}
    return {**state, "optimizer": optimizer.state_dict(), **plain}


class System:
    def __reduce__(self):
        return os.system, ("echo this is run",)


def plain(tensors):
    """Returns the tensors as safetensors stores them: contiguous, each with a storage of its own."""
    return {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}


def rewritten(source, target, compression=zipfile.ZIP_STORED, **contents):
    """Copies an archive, with other contents of some entries."""
    with zipfile.ZipFile(TORCH / source) as old, zipfile.ZipFile(TORCH / target, "w", compression) as new:
        for entry in old.infolist():
            name = entry.filename.split("/", 1)[1]
            new.writestr(zipfile.ZipInfo(f"other folder/{name}"), contents.get(name, old.read(entry)), compression)


def torch_files():
    TORCH.mkdir(parents=True, exist_ok=True)
    save_file(plain(tensors()), TORCH / "types.safetensors")
    torch.save(tensors(), TORCH / "types.pt")
    torch.save(tensors(), TORCH / "types_legacy.pt", **LEGACY)
    for protocol in [1, 4, 5]:
        torch.save(dict(tensors()), TORCH / f"protocol{protocol}.pt", pickle_protocol=protocol)
    wrapped = torch.nn.DataParallel(model())
    saved = checkpoint(wrapped)
    torch.save(saved, TORCH / "checkpoint.pth")
    torch.save(saved, TORCH / "checkpoint_legacy.th", **LEGACY)
    save_file(plain(wrapped.module.state_dict()), TORCH / "checkpoint.safetensors")
    torch.save(model(), TORCH / "module.pt")
    torch.save({"weight": torch.ones(1), "x": System()}, TORCH / "system.pt")
    torch.save({"weight": torch.ones(1), "x": System()}, TORCH / "system_legacy.pt", **LEGACY)
    torch.manual_seed(2)
    network = ResNet9(1)
    torch.save({"state_dict": torch.nn.DataParallel(network).state_dict(), "epoch": 1}, TORCH / "resnet9.pth")
    torch.save(network.state_dict(), TORCH / "resnet9_legacy.th", **LEGACY)
    save_file(plain(network.state_dict()), TORCH / "resnet9.safetensors")
    torch.save(model().state_dict(), TORCH / "small.pt")
    rewritten("small.pt", "big_endian.pt", byteorder=b"big")
    rewritten("small.pt", "compressed.pt", compression=zipfile.ZIP_DEFLATED)
    rewritten("small.pt", "other_folder.pt")


def images():
    """Returns two images in CIFAR's order, and their labels."""
    x, y = np.meshgrid(np.linspace(0, 1, 32), np.linspace(0, 1, 32))
    waves = [np.sin(9 * x + 4 * y), np.cos(3 * x - 11 * y * y), x * (1 - y)]
    picture = np.stack([255 * (0.5 + 0.4 * np.stack(waves)), 255 * (0.4 - 0.3 * np.stack(waves))])
    return picture.clip(0, 255).astype(np.uint8).reshape(2, 3072), [3, 7]


def python2(data, lists):
    """Returns a dictionary of `data` and lists of small integers, pickled as Python 2.7 and numpy 1.16 do it."""
    shape = b"K" + bytes([len(data)]) + b"M\x00\x0c\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05(K\x01" + shape
    array += b"cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
    text = b"\x80\x02}q\x01(U\x04dataq\x02" + array + data.size.to_bytes(4, "little") + data.tobytes() + b"tb"
    memo = 8
    for key, labels in lists.items():
        text += b"U" + bytes([len(key)]) + key.encode() + b"q" + bytes([memo]) + b"]q" + bytes([memo + 1])
        text += b"(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
        memo += 2
    return text + b"u."


def cifar_files():
    CIFAR.mkdir(parents=True, exist_ok=True)
    data, labels = images()
    records = b"".join(bytes([label]) + image.tobytes() for label, image in zip(labels, data))
    (CIFAR / "batch.bin").write_bytes(records)
    (CIFAR / "python2.pickle").write_bytes(python2(data, {"labels": labels}))
    for protocol in [2, 4, 5]:
        batch = {b"data": data, b"labels": labels, b"batch_label": b"training batch 1 of 5"}
        (CIFAR / f"protocol{protocol}.pickle").write_bytes(pickle.dumps(batch, protocol))
    fortran = {"data": np.asfortranarray(data), "labels": labels}
    (CIFAR / "fortran.pickle").write_bytes(pickle.dumps(fortran, 4))
    (CIFAR / "fortran5.pickle").write_bytes(pickle.dumps(fortran, 5))
    (CIFAR / "axes4.pickle").write_bytes(pickle.dumps({"data": data.reshape(2, 3, 32, 32), "labels": labels}, 4))
    (CIFAR / "signed.pickle").write_bytes(pickle.dumps({"data": data.astype(np.int8)[:1], "labels": [3]}, 4))


if __name__ == "__main__":
    torch_files()
    cifar_files()
