#!/usr/bin/env bash
# Builds wgrad with the feature `mpi`, checks it with clippy, and runs the tests of several ranks.
#
#   scripts/test-mpi.sh openmpi    (or mpich; without a name, the MPI of mpicc and mpirun)
#
# wgrad is compiled with little optimization and in 16 parts, because these tests compute little. Each MPI has its own
# build of wgrad: cargo compiles it again after a change of the MPI. All other crates are those of the usual build.
# The program in target/release stays that of the usual build, or is removed if there was none.
set -euo pipefail
cd "$(dirname "$0")/.."

suffix=${1:+.$1}
export MPICC=mpicc$suffix MPIRUN=mpirun$suffix
if ! (command -v "$MPICC" && command -v "$MPIRUN") >/dev/null; then
    echo "$MPICC, $MPIRUN: missing; scripts/install-mpi.sh ${1:-openmpi} installs them" >&2
    exit 1
fi

program=${CARGO_TARGET_DIR:-target}/release/wgrad
if [[ -e $program ]]; then
    kept=$(mktemp "$program.XXXXXX")
    cp -p "$program" "$kept" || { rm -f "$kept"; exit 1; }
    trap 'mv -f "$kept" "$program"' EXIT
else
    trap 'rm -f "$program"' EXIT
fi

quick=(--config 'profile.release.package.wgrad.opt-level=1' --config 'profile.release.package.wgrad.codegen-units=16')
cargo clippy --release --features mpi --lib --bins --test mpi --test mpi_runs -- -D warnings
cargo test --release --features mpi --test mpi --test mpi_runs "${quick[@]}"
