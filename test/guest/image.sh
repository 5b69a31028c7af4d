#!/bin/sh
# A hook of mmdebstrap: makes the disk image of the tree $1, with the kernel and the initrd beside it, as the
# files disk, vmlinuz and initrd of the directory $2. $3 is the node to bring along, $4 the service's script.
set -eu
tree=$1
out=$2

cp "$3" "$tree/usr/local/bin/node"
chroot "$tree" node --version >/dev/null

# dev has all controllers delegated, plain what systemd delegates by itself, ssh no manager; hpc is of
# the old host.
for user in dev plain ssh hpc; do
  chroot "$tree" useradd -m -s /bin/bash "$user"
done
mkdir -p "$tree/var/lib/systemd/linger"
touch "$tree/var/lib/systemd/linger/dev" "$tree/var/lib/systemd/linger/plain"
units=$tree/etc/systemd/system
mkdir -p "$units/user@1000.service.d" "$units/multi-user.target.wants"
cat >"$units/user@1000.service.d/delegate.conf" <<END
[Service]
Delegate=cpu cpuset io memory pids
END
printf '%s ALL=(ALL) NOPASSWD: ALL\n' dev hpc >"$tree/etc/sudoers.d/tests"

# A link that leads nowhere outside, for helpers that look for one.
cat >"$tree/etc/systemd/network/link.network" <<END
[Match]
Name=e*
[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
DNS=10.0.2.3
END
chroot "$tree" systemctl -q enable systemd-networkd
chroot "$tree" systemctl -q disable systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer
ln -s /dev/null "$units/serial-getty@ttyS0.service"

cp "$4" "$tree/usr/local/sbin/sbx-guest"
cat >"$units/sbx-guest.service" <<END
[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/sh /usr/local/sbin/sbx-guest
StandardInput=tty
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
END
ln -s ../sbx-guest.service "$units/multi-user.target.wants/"

# A bind mount without those below it: no /proc and no /dev.
mount --bind "$tree" "$tree/mnt"
mke2fs -q -F -t ext4 -L root -d "$tree/mnt" "$out/disk" 3G
umount "$tree/mnt"
cat "$tree"/boot/vmlinuz-* >"$out/vmlinuz"
cat "$tree"/boot/initrd.img-* >"$out/initrd"
