#!/usr/bin/env bash
# Installs an MPI for the feature `mpi` on Debian and Ubuntu. On other systems, it prints the commands.
#
#   scripts/install-mpi.sh openmpi    (or mpich; both may be installed)
#
# The script needs root, or sudo if CI is set; otherwise it prints the command. It does nothing if the MPI is
# installed. It takes packages only from the package sources of apt on this machine.
set -euo pipefail

mpi=${1:-openmpi}
case $mpi in
openmpi) packages=(libopenmpi-dev openmpi-bin) ;;
mpich) packages=(libmpich-dev mpich) ;;
*)
    echo "install-mpi.sh $mpi: not an MPI of this script; choose openmpi or mpich" >&2
    exit 2
    ;;
esac

is_installed() {
    command -v "mpicc.$mpi" >/dev/null && command -v "mpirun.$mpi" >/dev/null
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

print_commands() {
    cat >&2 <<END
MPI: this script installs one on Debian and Ubuntu as root; elsewhere:
  Debian, Ubuntu   sudo apt install ${packages[*]}
  Fedora           sudo dnf install $mpi-devel
  Arch             sudo pacman -S $mpi
  macOS            brew install ${mpi/openmpi/open-mpi}
  a cluster        module load $mpi
END
}

# Prints the names of both programs, because mpicc and mpirun belong to one MPI if two are installed.
print_use() {
    cat <<END
$mpi is installed. Build and start wgrad with the programs of the same MPI:
  MPICC=mpicc.$mpi cargo build --release --features mpi
  mpirun.$mpi -n 2 target/release/wgrad ...
END
}

if ! is_installed; then
    if ! command -v apt-get >/dev/null || [[ $(id -u) != 0 && -z ${CI:-} ]]; then
        print_commands
        exit 1
    fi
    as_root apt-get -q update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" pkg-config
fi
print_use
