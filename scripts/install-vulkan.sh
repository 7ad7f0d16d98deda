#!/usr/bin/env bash
# Installs Mesa's software Vulkan driver on Debian and Ubuntu; elsewhere it prints the command for it.
#
# It needs root or sudo. It does nothing where the installed driver is recent, and it takes packages
# only from the sources that apt on this machine names. test.sh calls it with CI set.
set -euo pipefail

# The first version of Mesa whose software driver is not slow in wgrad's shaders (older: ten times).
recent_mesa=25

# Mesa's major version by Debian's package; 0 without the package.
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

# The address of a Debian release's packages in apt's own sources: lines (`deb [options] URI SUITE ...`,
# in *.list) or paragraphs (`URIs: ...`, in *.sources). Prints nothing if the sources lack the release.
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

# Installs from Debian's backports, which hold newer drivers at the same address as the release. The
# machine's list of sources stays unchanged: apt reads a temporary list and keeps its indices beside it.
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
