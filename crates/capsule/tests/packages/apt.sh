mkdir -p p/DEBIAN p/usr/bin /srv/archive
printf '#!/bin/sh\necho tool\n' > p/usr/bin/tool && chmod 755 p/usr/bin/tool
printf 'Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n' > p/DEBIAN/control
cd /srv/archive
dpkg-deb --root-owner-group -b /workspace/p tool.deb > /dev/null
cat /workspace/p/DEBIAN/control > Packages
echo "Filename: ./tool.deb" >> Packages
echo "Size: $(stat -c %s tool.deb)" >> Packages
echo "SHA256: $(sha256sum tool.deb | cut -d' ' -f1)" >> Packages
echo 'deb [trusted=yes] copy:/srv/archive ./' > /etc/apt/sources.list
export DEBIAN_FRONTEND=noninteractive
# Whoever fetches for apt runs as its own user; a warning says that it could not.
apt-get update 2>&1 | grep -i -e sandbox -e warn -e '^E:' && exit 1
apt-get install -y tool 2>&1 | grep -i -e sandbox -e warn -e '^E:' && exit 1
tool && apt-get purge -y tool > /dev/null && ! test -e /usr/bin/tool
