#!/usr/bin/env bash
# Trains one network on several numbers of ranks, and compares the hashes of model.safetensors. One factor of a base run
# (width 4, 8 shards, 2 ranks, CPU device) is changed at a time.
#
#     scripts/rank_bits.sh OPEN_MPI [MPICH]
#
# OPEN_MPI and MPICH are two programs that were built with the feature `mpi`, each with its MPI. $WGRAD_DATA is a folder
# with CIFAR-10's binary files. Without a Vulkan driver, the runs on a GPU fail, and the script says so. It takes about
# ten minutes on two cores.
set -uo pipefail

if [[ $# -lt 1 || ! -x $1 || -z ${WGRAD_DATA:-} ]]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
fi
open_mpi=$(realpath "$1")
mpich=${2:+$(realpath "$2")}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 WGRAD_OFFLINE=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
base=(train --data-dir "$WGRAD_DATA" --width 4 --epochs 1 --batch-size 96 --max-lr 0.01)
failures=0

# Trains on R ranks with a launcher, and prints the hash of the weights.
hash_of() {
    local launcher=$1 program=$2 ranks=$3 out
    shift 3
    out=$(mktemp -d "$folder/XXXX")/run
    local start=("$launcher" -n "$ranks" "$program")
    if [[ $ranks == 1 ]]; then start=("$program"); fi
    if "${start[@]}" "${base[@]}" "$@" --out "$out" >"$out.log" 2>&1; then
        sha256sum <"$out/model.safetensors" | cut -c 1-16
    else
        echo "failed: $(grep -v '^ *$' "$out.log" | tail -n 1)"
    fi
}

# Compares R ranks with 1 rank, with the same settings.
declare -A alone
compare() {
    local what=$1 launcher=$2 program=$3 ranks=$4 expected found
    shift 4
    if [[ -z ${alone["$*"]:-} ]]; then alone["$*"]=$(hash_of "" "$open_mpi" 1 "$@"); fi
    expected=${alone["$*"]}
    found=$(hash_of "$launcher" "$program" "$ranks" "$@")
    if [[ $expected == "$found" && $expected != failed* ]]; then
        echo "equal   $found  $what"
    else
        echo "DIFFERS $found, not $expected  $what"
        failures=$((failures + 1))
    fi
}

cpu=(--device cpu)
eight=("${cpu[@]}" --shards 8)
for ranks in 2 3 4 8; do compare "8 shards, $ranks ranks" mpirun.openmpi "$open_mpi" "$ranks" "${eight[@]}"; done
for ranks in 2 3 4 6 12; do
    compare "12 shards, $ranks ranks" mpirun.openmpi "$open_mpi" "$ranks" "${cpu[@]}" --shards 12
done
if [[ -n $mpich ]]; then compare "MPICH, 2 ranks" mpirun.mpich "$mpich" 2 "${eight[@]}"; fi
for algorithm in 1 2 3 4 5 6; do
    export OMPI_MCA_coll_tuned_use_dynamic_rules=1 OMPI_MCA_coll_tuned_allreduce_algorithm=$algorithm
    compare "all-reduce algorithm $algorithm, 2 ranks" mpirun.openmpi "$open_mpi" 2 "${eight[@]}"
done
unset OMPI_MCA_coll_tuned_use_dynamic_rules OMPI_MCA_coll_tuned_allreduce_algorithm
for setting in "--clip-grad-norm 1" "--ema 0.9" "--label-smoothing 0.1" "--optimizer adamw" \
    "--optimizer sgd --momentum 0.9" "--validation 0.1" "--class-weights balanced"; do
    # shellcheck disable=SC2086 # A setting is several words.
    compare "$setting, 2 ranks" mpirun.openmpi "$open_mpi" 2 "${eight[@]}" $setting
done
for ranks in 2 3 4; do
    compare "a GPU, $ranks ranks" mpirun.openmpi "$open_mpi" "$ranks" --device gpu --shards 8 --epochs 1
done
echo "$failures differ"
exit $((failures > 0))
