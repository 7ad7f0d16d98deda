#!/usr/bin/env bash
# Checks everything: format, lints, documentation, tests.
#
# The script installs software only if CI is set: the WebAssembly target of Rust, Open MPI (scripts/install-mpi.sh)
# and, if wgrad finds no hardware adapter, a Vulkan driver (scripts/install-vulkan.sh). Every build uses the release profile,
# because dependencies are then built once. The slow tests (those marked `ignored`) come last.
set -euo pipefail
cd "$(dirname "$0")"

step() {
    printf '\n==> %s (after %dm %02ds)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60))
}

# --- The adapter --------------------------------------------------------------------------------

# Prints the adapters that wgrad finds, one per line, hardware first: `software llvmpipe (LLVM 15.0.6, 256 bits)`.
adapters() {
    "${CARGO_TARGET_DIR:-target}/release/wgrad" devices --no-self-test --json |
        awk -F'"' '$2 == "name" { name = $4 } $2 == "kind" { print ($4 == "software"), $4, name }' |
        sort -s -n -k 1,1 | cut -d ' ' -f 2-
}

# Exits with an error if wgrad finds no adapter. If CI is set and wgrad finds no hardware adapter, installs
# Mesa's software Vulkan driver first.
ensure_adapter() {
    local found
    found=$(adapters) || true
    if [[ -n ${CI:-} && ($found == software* || -z $found) ]]; then
        step "installing Mesa's software Vulkan driver, unless a recent one is installed"
        scripts/install-vulkan.sh || true # The next check reports a missing driver.
        found=$(adapters) || true
    fi
    if [[ -z $found ]]; then
        echo "GPU tests: wgrad found no adapter; scripts/install-vulkan.sh installs a software Vulkan driver" >&2
        exit 1
    fi
    step "the GPU tests run on: $(head -n 1 <<<"$found")"
}

# --- The checks ---------------------------------------------------------------------------------

need() {
    if ! eval "$1" >/dev/null 2>&1; then
        echo "$2" >&2
        exit 1
    fi
}

# No test uses a network. The variable keeps the runs that tests start from downloading CIFAR-10.
export WGRAD_OFFLINE=1

need "command -v cargo" "cargo: missing; install Rust from https://rustup.rs"
need "command -v cc" "C compiler, the linker of Rust programs: missing; apt install gcc, or xcode-select --install"
need "cargo fmt --version && cargo clippy --version" "rustfmt, clippy: missing; rustup component add rustfmt clippy"

step "format"
cargo fmt --check

step "lints"
cargo clippy --release --all-targets -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps

wasm=wasm32-unknown-unknown
if [[ -n ${CI:-} ]]; then
    rustup target add "$wasm" || true # The next check reports a missing target.
fi
if rustup target list --installed 2>/dev/null | grep -qx "$wasm"; then
    step "the library alone, for a browser"
    cargo check --release --no-default-features --target "$wasm" --lib
    cargo check --release --no-default-features --target "$wasm" --example small_network
else
    echo "(the library is not checked for WebAssembly: rustup target add $wasm)"
fi

step "building"
cargo test --release --no-run

ensure_adapter

command -v chromium >/dev/null || echo "(no chromium: reports and shaders are not tested in a browser)"
command -v spirv-val >/dev/null || echo "(no spirv-val: the shaders' SPIR-V is not validated)"

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release
else
    cargo test --release
fi

# Some of the ignored tests read data that this script does not have; they are measurements.
step "slow tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --run-ignored only \
        -E 'not (binary(full_size) or binary(pictures) or test(learns_from_photographs) or test(study::tests::result))'
else
    cargo test --release --tests -- --ignored --skip a_step_at_full_size_agrees_with_the_cpu --skip a_step_of_127_million \
        --skip learns_from_photographs --skip study::tests::result --skip pictures_are_decoded_and_resized --skip differences_from_pillow
fi

step "PyTorch reads weights of wgrad, and wgrad reads weights of PyTorch"
if python3 -c 'import numpy, safetensors, torch' 2>/dev/null; then
    python3 tests/torch_loads_weights.py cpu
    python3 tests/torch_loads_weights.py gpu
else
    echo "(skipped: python3 lacks torch, numpy or safetensors)"
fi

step "mutated pictures, beside Pillow"
if python3 -c 'import numpy, PIL' 2>/dev/null; then
    cargo test --release --test pictures -- --ignored differences_from_pillow
else
    echo "(skipped: python3 lacks numpy or Pillow)"
fi

step "onnxruntime runs exported networks"
if python3 -c 'import numpy, onnx, onnxruntime' 2>/dev/null; then
    python3 tests/onnxruntime_runs_exports.py
else
    echo "(skipped: python3 lacks onnx, onnxruntime or numpy)"
fi

step "a step of the real size"
cargo test --release --test full_size -- --ignored --nocapture

# Any MPI serves here. A build of wgrad with the feature `mpi` is one more compilation of wgrad, not of its crates, and
# the program in target/release stays that of the build above.
if [[ -n ${CI:-} ]]; then
    scripts/install-mpi.sh openmpi || true # The next check reports a missing MPI.
fi
step "several ranks"
if command -v mpicc.openmpi >/dev/null && command -v mpirun.openmpi >/dev/null; then
    scripts/test-mpi.sh openmpi
elif command -v mpicc >/dev/null && command -v mpirun >/dev/null; then
    scripts/test-mpi.sh
else
    echo "(skipped: no MPI; scripts/install-mpi.sh installs one)"
fi

# Cargo compiles the library again for these tests. Little optimization suffices, because they compute little.
if cargo nextest --version >/dev/null 2>&1; then
    step "examples in the documentation"
    cargo test --release --doc --config 'profile.release.package.wgrad.opt-level=1' \
        --config 'profile.release.package.wgrad.codegen-units=16'
fi

step "all checks passed"
