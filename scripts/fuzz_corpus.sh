#!/usr/bin/env bash
# Converts the fuzzers' inputs between two forms: git has one archive per target, and a fuzzer reads one folder
# per target.
#
#     scripts/fuzz_corpus.sh unpack    fuzz/corpus/TARGET.tar.gz -> fuzz/corpus/TARGET/
#     scripts/fuzz_corpus.sh pack      fuzz/corpus/TARGET/ -> fuzz/corpus/TARGET.tar.gz
#
# Equal inputs give equal archives.
set -euo pipefail
cd "$(dirname "$0")/../fuzz/corpus"

case ${1:-} in
unpack)
    for archive in *.tar.gz; do
        tar -xzf "$archive"
    done
    ;;
pack)
    for target in */; do
        target=${target%/}
        tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0644 -c "$target"/* | gzip -9n >"$target.tar.gz"
    done
    ;;
*)
    echo "usage: scripts/fuzz_corpus.sh unpack|pack" >&2
    exit 2
    ;;
esac
