#!/bin/sh
# Has examples/vulkan play under Khronos' validation layer (ffi/tests/vulkan.rs): what the layer says comes between the frames that the test
# compares, so every remark is a failure. The layer is unpacked beside the system, because other programs look for an installed one.
set -eu
cd "$(dirname "$0")/../.."
layer=$PWD/target/hosts/validation
if [ ! -d "$layer/usr" ]; then
    rm -rf "$layer"
    mkdir -p "$layer"
    (cd "$layer" && apt-get -qq download vulkan-validationlayers)
    dpkg -x "$layer"/*.deb "$layer"
fi
test -f "$layer/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json"
# Of the whole workspace, so that what its tests were built with is not built again with fewer features.
VK_LAYER_PATH=$layer/usr/share/vulkan/explicit_layer.d LD_LIBRARY_PATH=$layer/usr/lib/x86_64-linux-gnu \
    VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation cargo test --workspace --test vulkan
