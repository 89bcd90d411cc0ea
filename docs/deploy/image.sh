#!/bin/sh
# Builds the programs and lays out what the image has beyond its base: image.sh DIRECTORY, from the root of the checkout.
# Each program is found by its name, and at /NAME too, where images of NSQ have it.
set -eu
image=$1

cargo build --locked --release --package sansq --bins
mkdir -p "$image/usr/local/bin" "$image/data"
for source in host-native/src/bin/*.rs; do
    name=$(basename "$source" .rs)
    cp "${CARGO_TARGET_DIR:-target}/release/$name" "$image/usr/local/bin/$name"
    ln -sf "usr/local/bin/$name" "$image/$name"
done
