#!/usr/bin/env bash
# Installs Mesa's software Vulkan driver on Debian and Ubuntu. On other systems, it prints the commands.
#
# The script needs root or sudo. It does nothing if the installed driver is recent. It takes packages
# only from the package sources of apt on this machine. test.sh calls it if CI is set.
set -euo pipefail

# The oldest major version of Mesa that counts as recent. Older software drivers run wgrad's shaders ten
# times slower.
recent_mesa=25

# Prints the major version of the installed Debian package of Mesa; 0 if the package is not installed.
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

# Prints the address of a Debian release's packages, read from apt's sources. These are lines
# (`deb [options] URI SUITE ...`, in *.list) or paragraphs (`URIs: ...`, in *.sources). Prints nothing if
# the sources lack the release.
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
                gsub(/\n[ \t]+/, " "); gsub(/\t/, " ") # A value may continue on the next line.
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

# Installs the driver from Debian's backports: newer packages, at the same address as the release. The
# machine's list of sources stays unchanged, because apt reads a temporary list with its own indices.
install_from_backports() {
    local codename=$1 temporary uri suite result=0
    uri=$(debian_uri "$codename") || true
    if [[ -z $uri ]]; then
        echo "backports: apt's sources name no address for Debian's $codename; trying the release's own driver"
        return 1
    fi
    temporary=$(mktemp -d)
    for suite in "$codename" "$codename-updates" "$codename-backports"; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
    done >"$temporary/sources.list"
    mkdir -p "$temporary/lists/partial"
    chmod -R a+rX "$temporary" # apt downloads as the user _apt
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

print_commands() {
    cat >&2 <<'END'
Vulkan driver: this script installs one on Debian and Ubuntu as root or with sudo; elsewhere:
  Debian 12        sudo apt install -t bookworm-backports mesa-vulkan-drivers   (once backports are
                   among apt's sources; the release's own is ten times slower)
  Debian, Ubuntu   sudo apt install mesa-vulkan-drivers
  Fedora           sudo dnf install mesa-vulkan-drivers vulkan-loader
  Arch             sudo pacman -S vulkan-swrast vulkan-icd-loader
  macOS, Windows   nothing: Metal and DirectX 12 come with the system
END
}

if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 && -z $(command -v sudo) ]]; then
    print_commands
    exit 1
fi
if (($(mesa_version) >= recent_mesa)); then
    echo "Mesa $(mesa_version) is installed: nothing to do"
    exit 0
fi
id=$(. /etc/os-release && echo "${ID:-}")
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
if [[ $id == debian && -n $codename ]] && install_from_backports "$codename"; then
    exit 0
fi
if [[ $(mesa_version) != 0 ]]; then
    echo "Mesa $(mesa_version) stays: no newer version was found; the GPU tests take longer with it"
    exit 0
fi
as_root apt-get -q update && apt_install mesa-vulkan-drivers libvulkan1
