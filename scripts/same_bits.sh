#!/usr/bin/env bash
# Compares the training of two builds of wgrad bit by bit: every tensor of model.safetensors, and the losses and
# accuracies of every epoch. Use it for changes of the code that must not change a result.
#
#     scripts/same_bits.sh OLD NEW [CIFAR10]
#
# OLD and NEW are two binaries. CIFAR10 is a folder with CIFAR-10's binary files (default: $WGRAD_DATA). The script uses
# the first 200 images of each file. It trains networks of width 8 for two epochs on the built-in shapes and on these
# images, on the CPU and on a GPU: with the default settings, with --ema 0.9, with --clip-grad-norm 1, and once
# interrupted and resumed. It keeps the runs of OLD in the folder for temporary files, under the hash of the binary, and
# uses them again in the next call. A first call takes about six minutes on two cores.
set -euo pipefail

if [[ $# -lt 2 || ! -x $1 || ! -x $2 ]]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
fi
old=$(realpath "$1")
new=$(realpath "$2")
cifar10=${3:-${WGRAD_DATA:-}}
kept=${TMPDIR:-/tmp}/wgrad-same-bits-$(sha256sum <"$old" | cut -c 1-16)
mkdir -p "$kept"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset WGRAD_DATA
export WGRAD_OFFLINE=1

# Most of the shapes are validation images: evaluating an image takes a third of the time of training on it.
sets=("--data shapes --validation 4500")
if [[ -n $cifar10 ]]; then
    mkdir -p "$kept/cifar10"
    for file in data_batch_{1..5} test_batch; do
        head -c $((200 * 3073)) "$cifar10/$file.bin" >"$kept/cifar10/$file.bin"
    done
    sets+=("--data-dir $kept/cifar10 --batch-size 64")
else
    echo "(no folder with CIFAR-10 was given: the runs use only the shapes)"
fi

# Prints flags with CIFAR-10's mean and standard deviation, which builds without these flags have for every dataset.
normalisation() {
    if "$1" train --help | grep -q -- "--mean"; then
        echo "--mean 0.4914,0.4822,0.4465 --std 0.2470,0.2435,0.2616"
    fi
}

# Trains with a binary. With "interrupted", it sends Ctrl-C after the first checkpoint, and resumes.
train() {
    local wgrad=$1 out=$2 how=$3
    shift 3
    if [[ $how != interrupted ]]; then
        "$wgrad" train --width 8 --epochs 2 --out "$out" "$@" >"$out.log" 2>&1
        return
    fi
    "$wgrad" train --width 8 --epochs 2 --checkpoint-every 3 --out "$out" "$@" >"$out.log" 2>&1 &
    local pid=$!
    until compgen -G "$out/checkpoint-*.safetensors" >/dev/null; do
        kill -0 $pid || break
        sleep 0.02
    done
    kill -INT $pid 2>/dev/null || true
    wait $pid || true
    "$wgrad" train --resume "$out" >>"$out.log" 2>&1
}

# Trains with one of the two binaries. If the training fails, prints the end of its log, and exits.
run() {
    local of_cifar10
    read -ra of_cifar10 <<<"$(normalisation "${!1}")"
    if ! train "${!1}" "$2" "$how" "${flags[@]}" "${of_cifar10[@]}"; then
        echo "$name: the $1 binary failed:"
        tail -n 5 "$2.log"
        exit 1
    fi
}

# Compares two runs, and prints the first difference.
compare() {
    python3 - "$1" "$2" <<'PYTHON'
import json, sys

def tensors(path):
    data = open(path, "rb").read()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header.pop("__metadata__", None)
    part = lambda t: (t["dtype"], t["shape"], data[end + t["data_offsets"][0] : end + t["data_offsets"][1]])
    return {name: part(tensor) for name, tensor in header.items()}

def losses(path):
    lines = [json.loads(line) for line in open(path)]
    return [{key: value for key, value in line.items() if "loss" in key or "accuracy" in key} for line in lines]

old, new = sys.argv[1:]
a, b = (tensors(f"{run}/model.safetensors") for run in (old, new))
if a.keys() != b.keys():
    sys.exit(f"different names of tensors: {sorted(a.keys() ^ b.keys())}")
differing = [name for name in a if a[name] != b[name]]
if differing:
    sys.exit(f"different bits in {len(differing)} of {len(a)} tensors, first in {differing[0]}")
if losses(f"{old}/metrics.jsonl") != losses(f"{new}/metrics.jsonl"):
    sys.exit("different losses or accuracies in metrics.jsonl")
PYTHON
}

failures=0
n=0
for device in cpu gpu; do
    for set in "${sets[@]}"; do
        for how in "" "--ema 0.9" "--clip-grad-norm 1" interrupted; do
            n=$((n + 1))
            read -ra flags <<<"--device $device $set ${how#interrupted}"
            name="${set/$kept\//} on $device, ${how:-default settings}"
            before=$kept/$device-$(cksum <<<"$set $how" | cut -d ' ' -f 1)
            if [[ ! -e $before/summary.json ]]; then
                rm -rf "$before"
                run old "$before"
            fi
            run new "$folder/$n"
            if difference=$(compare "$before" "$folder/$n" 2>&1); then
                echo "same     $name"
            else
                echo "DIFFERS  $name: $difference"
                failures=$((failures + 1))
            fi
        done
    done
done
# Checks that the new build reads the weights and the checkpoints of the old build.
cp -r "$kept"/cpu-* "$folder/"
for before in "$folder"/cpu-*; do
    [[ -d $before ]] || continue
    "$new" eval --weights "$before/model.safetensors" --data shapes --device cpu >/dev/null 2>&1
    rm "$before/summary.json"
    "$new" train --resume "$before" >/dev/null
done
echo "the new build reads the weights and the checkpoints of the old one"
if ((failures > 0)); then
    echo "$failures of $n runs differ"
    exit 1
fi
echo "all $n runs have the same bits"
