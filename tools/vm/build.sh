#!/bin/sh
# Makes a small machine from Debian's own packages: a kernel with a Bluetooth controller that a program plays (hci_vhci),
# and a first program that puts this computer's own files under it, so that nothing has to be installed in it.
# Needs apt-get, busybox-static, cpio and kmod, and no rights: the kernel is only unpacked.
set -eu
PATH=$PATH:/usr/sbin:/sbin
machine=${1:?usage: tools/vm/build.sh DIRECTORY}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$machine"
machine=$(cd "$machine" && pwd)
if [ "$(dpkg --print-architecture)" != amd64 ]; then
    echo "*** The machine is made of this computer's own files, and known for amd64 only" >&2
    exit 1
fi
if [ ! -e "$machine/kernel/boot" ]; then
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ {print $2; exit}')
    (cd "$machine" && apt-get download -q "$package" && dpkg-deb -x "$package"_*.deb kernel && rm "$package"_*.deb)
fi
version=$(ls "$machine/kernel/lib/modules")
if [ "$machine/initrd.gz" -nt "$here/build.sh" ] && [ "$machine/initrd.gz" -nt "$here/init" ]; then exit 0; fi
depmod -b "$machine/kernel" "$version"
cp "$machine/kernel/boot/vmlinuz-$version" "$machine/vmlinuz"

first=$(mktemp -d)
trap 'rm -rf "$first"' EXIT
for folder in bin modules proc sys dev below above new; do mkdir "$first/$folder"; done
cp "$(command -v busybox)" "$first/bin/busybox"
cp "$here/init" "$first/init"
chmod 755 "$first/init"
echo "$machine/kernel/lib/modules" >"$first/modules/where"
# What is needed to see this computer's files; they go in by number, each after those it needs.
for module in virtio_pci 9pnet_virtio 9p overlay virtio_rng; do
    modprobe -d "$machine/kernel" -S "$version" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ {printf "%s %03d.ko\n", $2, ++count}' |
    while read -r file number; do cp "$file" "$first/modules/$number"; done
(cd "$first" && find . | cpio -o -H newc --quiet | gzip -1) >"$machine/initrd.gz"
