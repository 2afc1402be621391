# Runs in the machine: a system bus, then the steps. Everything that is written here is gone with the machine.
python=$1
source=$2
export HOME=/run/home PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH="$source/tests:$source/src" LANG=C.UTF-8
mkdir -p "$HOME" /run/dbus
rm -rf /var/lib/bluetooth/*
cd "$HOME" || exit 1
modprobe -a hci_vhci cmac ecdh_generic || exit 1
dbus-daemon --system --fork --nopidfile || exit 1
exec timeout 1200 "$python" "$source/tools/vm/steps.py"
