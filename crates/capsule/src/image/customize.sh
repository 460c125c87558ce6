#!/bin/sh
# Finishes an image; mmdebstrap runs it as root with /proc, /sys and /dev of the new root file system ($1) mounted.
# Beside this file lie `programs` (a tree to lay over the root) and `checks` (a folder with one shell script a check);
# what the checks print goes to `versions`. Any failure fails the build.
set -eu
root=$1
here=$(dirname "$0")
# The tools inside must not see the caller's settings: an image is the same from whatever shell it was built.
inside() { env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root chroot "$root" "$@"; }

if [ -d "$here/programs" ]; then
  chown -R 0:0 "$here/programs"
  cp -a "$here/programs/." "$root/"
fi

inside useradd --uid 1000 --user-group --create-home --shell /bin/bash user
# Where a session's own files are mounted, and where a sandbox's work lies.
mkdir -p "$root/session" "$root/workspace"

# Nothing of the machine that built it: its name, its resolver, credentials inside its mirrors' addresses.
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/apt/apt.conf.d/99mmdebstrap"
echo 'Acquire::GzipIndexes "true";' > "$root/etc/apt/apt.conf.d/90lists"
touch "$root/etc/resolv.conf"
echo capsule > "$root/etc/hostname"
printf '127.0.0.1 localhost\n' > "$root/etc/hosts"
for list in "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*; do
  if [ -f "$list" ]; then sed -i -E 's/^deb +\[[^]]*\] */deb /; s#://[^/@ ]*@#://#' "$list"; fi
done

# Chromium would otherwise scan every font at its first start in each capsule.
if [ -x "$root/usr/bin/fc-cache" ]; then inside fc-cache --force; fi

for check in "$here"/checks/*; do
  [ -e "$check" ] || continue
  name=$(basename "$check")
  echo "check: $name"
  inside sh -eu -c "$(cat "$check")" > "$here/versions/$name"
done

# Not /tmp: mmdebstrap keeps apt's configuration there, and without it would clean the lists of the machine instead.
rm -rf "$root"/var/log/* "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root"/root/.cache "$root"/root/.npm
