#!/usr/bin/env bash
# Checks everything: driver, format, lints, documentation, tests.
#
# On Debian and Ubuntu, as root or with CI set, it installs Mesa's software Vulkan driver where there
# is no Vulkan driver; elsewhere it says how to. Everything is built with the release profile, so that
# dependencies are built once. The slow tests (those marked `ignored`) come last.
set -euo pipefail
cd "$(dirname "$0")"

# The first version of Mesa whose software driver is fast enough for comfort.
mesa_wanted=25

step() {
    printf '\n==> %s (after %dm %02ds)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60))
}

# --- The Vulkan driver --------------------------------------------------------------------------

# Whether a driver is installed: the loader, and a file that names a driver to it.
has_vulkan() {
    [[ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]] && return 0
    { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -q 'libvulkan\.so\.1' || return 1
    compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null ||
        compgen -G '/usr/local/share/vulkan/icd.d/*.json' >/dev/null ||
        compgen -G '/etc/vulkan/icd.d/*.json' >/dev/null
}

has_gpu() {
    compgen -G '/dev/dri/renderD*' >/dev/null || compgen -G '/dev/nvidia[0-9]*' >/dev/null
}

# Mesa's major version as Debian's package has it; 0 where it is not installed.
mesa_version() {
    local version
    version=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null) || version=0
    version=${version#*:}
    echo "${version%%.*}"
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# Debian's backports hold newer drivers. The system's own list of sources stays as it is: apt is given
# a list, and a place for its indices, that are removed afterwards.
install_mesa_from_backports() {
    local codename=$1 temporary uri suite result=0
    temporary=$(mktemp -d)
    # The mirror that this machine uses.
    uri=$(grep -rhoE 'https?://[^ ]+/debian/?([[:space:]]|$)' \
        /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d '[:space:]') || true
    uri=${uri:-http://deb.debian.org/debian}
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
    has_vulkan && return 0
    as_root apt-get -q update && apt_install mesa-vulkan-drivers libvulkan1
}

say_how_to_install() {
    cat >&2 <<'END'
No Vulkan driver was found, and the GPU tests need one. Mesa has one in software:
  Debian, Ubuntu   sudo apt install mesa-vulkan-drivers
  Fedora           sudo dnf install mesa-vulkan-drivers vulkan-loader
  Arch             sudo pacman -S vulkan-swrast vulkan-icd-loader
  macOS, Windows   nothing: Metal and DirectX 12 come with the system
END
}

ensure_vulkan() {
    [[ $(uname) == Linux ]] || return 0 # Metal and DirectX come with the system.
    local may_install=no
    if command -v apt-get >/dev/null && [[ $(id -u) == 0 || -n "${CI:-}" ]]; then
        may_install=yes
    fi
    if ! has_vulkan; then
        if [[ $may_install == no ]]; then
            say_how_to_install
            exit 1
        fi
        step "installing Mesa's software Vulkan driver"
        install_mesa
    elif [[ $may_install == yes ]] && ! has_gpu &&
        (($(mesa_version) > 0 && $(mesa_version) < mesa_wanted)); then
        step "Mesa $(mesa_version) is slow in our shaders: looking for a newer one"
        install_mesa || echo "there is none; the GPU tests will take longer"
    fi
}

# --- The checks ---------------------------------------------------------------------------------

if ! command -v cargo >/dev/null; then
    echo "cargo is missing: install Rust from https://rustup.rs" >&2
    exit 1
fi

ensure_vulkan

step "format"
cargo fmt --check

step "lints"
cargo clippy --release --all-targets -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps

step "building"
cargo build --release
cargo test --release --no-run

step "the GPU tests run on the first hardware adapter of these, else on the software one"
cargo run --release --quiet -- devices --no-self-test | grep -v '^    '

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release
    cargo test --release --doc
else
    cargo test --release
fi

step "slow tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --run-ignored only
else
    cargo test --release --tests -- --ignored
fi

step "all is well"
