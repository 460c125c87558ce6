mkdir -p p/DEBIAN p/usr/bin p/etc
printf '#!/bin/sh\necho tool\n' > p/usr/bin/tool
echo x > p/etc/tool.conf
echo /etc/tool.conf > p/DEBIAN/conffiles
printf '#!/bin/sh\nset -e\nuseradd --system tool\nchown tool:tool /etc/tool.conf\nldconfig\n' > p/DEBIAN/postinst
chmod 755 p/usr/bin/tool p/DEBIAN/postinst
printf 'Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n' > p/DEBIAN/control
dpkg-deb --root-owner-group -b p tool.deb > /dev/null
dpkg -i tool.deb > /dev/null && tool && stat -c %U /etc/tool.conf
dpkg --purge tool > /dev/null && ! test -e /usr/bin/tool && ! test -e /etc/tool.conf
