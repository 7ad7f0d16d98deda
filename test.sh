#!/usr/bin/env bash
# Checks everything: format, lints, documentation, tests.
#
# On Debian and Ubuntu, as root or with CI set, it installs Mesa's software Vulkan driver where wgrad
# finds no adapter; elsewhere it says how to. Everything is built with the release profile, so that
# dependencies are built once. The slow tests (those marked `ignored`) come last.
set -euo pipefail
cd "$(dirname "$0")"

# The first version of Mesa whose software driver is fast enough for comfort.
mesa_wanted=25

step() {
    printf '\n==> %s (after %dm %02ds)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60))
}

# --- The Vulkan driver --------------------------------------------------------------------------

# The adapters that wgrad finds, a line each, hardware first: `software llvmpipe (LLVM 15.0.6, 256 bits)`.
adapters() {
    "${CARGO_TARGET_DIR:-target}/release/wgrad" devices --no-self-test --json |
        awk -F'"' '$2 == "name" { name = $4 } $2 == "kind" { print ($4 == "software"), $4, name }' |
        sort -s -n -k 1,1 | cut -d ' ' -f 2-
}

# Mesa's major version as Debian's package has it; 0 where it is not installed.
mesa_version() {
    local package
    package=$(dpkg-query -W -f '${db:Status-Status} ${Version}' mesa-vulkan-drivers 2>/dev/null) || true
    [[ $package == "installed "* ]] || package="none 0"
    package=${package#* }
    package=${package#*:}
    echo "${package%%.*}"
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# The place that this machine gets a release of Debian from, by its own sources: lines
# (`deb [options] URI SUITE ...`, in *.list) or paragraphs (`URIs: ...`, in *.sources). Nothing where they
# name none.
debian_uri() {
    local codename=$1 folder=${2:-/etc/apt} file
    for file in "$folder/sources.list" "$folder"/sources.list.d/*.list; do
        [[ -f $file ]] || continue
        sed -E 's/#.*//; s/\[[^]]*\]//' "$file" |
            awk -v suite="$codename" '$1 == "deb" && $2 !~ /^cdrom:/ && $3 == suite { print $2 }'
    done | head -n 1 | grep . && return
    for file in "$folder"/sources.list.d/*.sources; do
        [[ -f $file ]] || continue
        sed '/^#/d' "$file" | awk -v suite="$codename" '
            BEGIN { RS = "" }
            {
                gsub(/\n[ \t]+/, " "); gsub(/\t/, " ") # A value may go on in the next line.
                n = split($0, lines, "\n")
                delete fields
                for (i = 1; i <= n; i++) {
                    colon = index(lines[i], ":")
                    fields[tolower(substr(lines[i], 1, colon - 1))] = substr(lines[i], colon + 1) " "
                }
                is_on = fields["enabled"] !~ /no|false/
                has_packages = index(" " fields["types"], " deb ")
                if (is_on && has_packages && index(" " fields["suites"], " " suite " ")) {
                    split(fields["uris"], uris, " ")
                    print uris[1]
                }
            }'
    done | head -n 1
}

# Debian's backports hold newer drivers, and lie where the release does. The system's own list of
# sources stays as it is: apt is given a list, and a place for its indices, that are removed afterwards.
install_mesa_from_backports() {
    local codename=$1 temporary uri suite result=0
    uri=$(debian_uri "$codename") || true
    if [[ -z $uri ]]; then
        echo "apt's sources name no place for Debian's $codename: the release's own driver has to do"
        return 1
    fi
    temporary=$(mktemp -d)
    for suite in "$codename" "$codename-updates" "$codename-backports"; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
    done >"$temporary/sources.list"
    mkdir -p "$temporary/lists/partial"
    chmod -R a+rX "$temporary" # apt downloads as a user of its own
    local options=(
        -o "Dir::Etc::sourcelist=$temporary/sources.list"
        -o "Dir::Etc::sourceparts=-"
        -o "Dir::State::lists=$temporary/lists"
    )
    as_root apt-get "${options[@]}" -o APT::Update::Error-Mode=any -q update &&
        apt_install "${options[@]}" -t "$codename-backports" mesa-vulkan-drivers libvulkan1 ||
        result=1
    as_root rm -rf "$temporary"
    return $result
}

install_mesa() {
    local id codename
    id=$(. /etc/os-release && echo "${ID:-}")
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    if [[ $id == debian && -n $codename ]] && install_mesa_from_backports "$codename"; then
        return 0
    fi
    [[ $(mesa_version) != 0 ]] && return 1 # The release has no newer one.
    as_root apt-get -q update && apt_install mesa-vulkan-drivers libvulkan1
}

say_how_to_install() {
    cat >&2 <<'END'
No Vulkan driver was found, and the GPU tests need one. Mesa has one in software:
  Debian 12        sudo apt install -t bookworm-backports mesa-vulkan-drivers   (once backports are
                   among apt's sources; the release's own is ten times slower)
  Debian, Ubuntu   sudo apt install mesa-vulkan-drivers
  Fedora           sudo dnf install mesa-vulkan-drivers vulkan-loader
  Arch             sudo pacman -S vulkan-swrast vulkan-icd-loader
  macOS, Windows   nothing: Metal and DirectX 12 come with the system
END
}

# An adapter for the GPU tests: installs one in software where there is none, or a slow one.
ensure_adapter() {
    local found may_install=no
    if command -v apt-get >/dev/null && [[ $(id -u) == 0 || (-n "${CI:-}" && -n $(command -v sudo)) ]]; then
        may_install=yes
    fi
    found=$(adapters) || true
    if [[ -z $found && $may_install == yes ]]; then
        step "installing Mesa's software Vulkan driver"
        install_mesa || true # What is missing then is said below.
    elif [[ $may_install == yes && $found == software* ]] &&
        (($(mesa_version) > 0 && $(mesa_version) < mesa_wanted)); then
        step "Mesa $(mesa_version) is slow in our shaders: looking for a newer one"
        install_mesa || echo "there is none; the GPU tests will take longer"
    fi
    found=$(adapters) || true
    if [[ -z $found ]]; then
        say_how_to_install
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

# No test needs a network, and no run that a test starts goes looking for one.
export WGRAD_OFFLINE=1

need "command -v cargo" "cargo is missing: install Rust from https://rustup.rs"
need "command -v cc" "a C compiler, which links Rust programs, is missing: apt install gcc, or xcode-select --install"
need "cargo fmt --version && cargo clippy --version" "rustfmt or clippy is missing: rustup component add rustfmt clippy"

step "format"
cargo fmt --check

step "lints"
cargo clippy --release --all-targets -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps

step "building"
cargo test --release --no-run

ensure_adapter

command -v chromium >/dev/null || echo "(no chromium: no browser looks at reports and compiles the shaders)"
command -v spirv-val >/dev/null || echo "(no spirv-val: the shaders' SPIR-V is not validated)"

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release
    cargo test --release --doc
else
    cargo test --release
fi

step "slow tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --run-ignored only -E 'not binary(full_size)'
else
    cargo test --release --tests -- --ignored --skip a_step_of_the_real_size_runs
fi

step "PyTorch reads what wgrad writes, and the other way round"
if python3 -c 'import numpy, safetensors, torch' 2>/dev/null; then
    python3 tests/torch_loads_weights.py cpu
    python3 tests/torch_loads_weights.py gpu
else
    echo "left out: python3 has no torch, numpy and safetensors"
fi

step "a step of the real size"
cargo test --release --test full_size -- --ignored --nocapture

step "all is well"
