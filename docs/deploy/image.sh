#!/bin/sh
# Builds the programs and lays out what the image has beyond its base: image.sh DIRECTORY, from the root of the checkout.
# Each program is found by its name, and at /NAME too, where images of NSQ have it.
set -eu
image=$1

cargo build --locked --profile dist --package sansq
"${CARGO_TARGET_DIR:-target}/dist/sansq" install "$image/usr/local/bin"
mkdir -p "$image/data"
for program in "$image"/usr/local/bin/*; do
    name=$(basename "$program")
    ln -sf "usr/local/bin/$name" "$image/$name"
done
