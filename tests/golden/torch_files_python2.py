"""Writes tests/fixtures/torch/python2.th. Requires Python 2.7 and torch 1.4, the last release for it. Tests repeat the
formula of the values."""
import os

import torch

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "torch", "python2.th")

net = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2)))
state = net.state_dict()
for index, tensor in enumerate(state.values()):
    tensor.copy_((torch.arange(tensor.numel()) + index).view(tensor.shape))
torch.save({"state_dict": state, "best_prec1": 91.5}, FILE)
