#!/bin/sh
# Boots the machine that build.sh made, runs guest.sh in it with this computer's files (which it cannot change), says
# what is said there, and ends with its exit status. The log stays in DIRECTORY/log.
set -eu
machine=${1:?usage: tools/vm/run.sh DIRECTORY PYTHON}
here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$(dirname "$here")")
python=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
# Always emulated: where a virtual machine runs in another, KVM may be there and hang.
timeout "${VM_SECONDS:-1300}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -smp 2 -m 1024 \
    -nodefaults -no-user-config -display none -serial stdio -no-reboot \
    -kernel "$machine/vmlinuz" -initrd "$machine/initrd.gz" -device virtio-rng-pci \
    -append "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off random.trust_cpu=on \
run=$here/guest.sh python=$python source=$source" \
    -virtfs "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap" </dev/null 2>&1 |
    sed -u 's,\r,,g' | tee "$machine/log"
status=$(sed -n 's/^machine-ended-with //p' "$machine/log" | tail -n 1)
exit "${status:-1}"
