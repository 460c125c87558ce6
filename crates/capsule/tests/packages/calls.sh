# A user of apt's own.
perl -e '$( = $) = "65534 65534"; ($<, $>) = (42, 42); print "$< $>\n"' | grep -qx '42 42'
# Owners in archives, hard links, attributes, locks, flushing.
mkdir t && touch t/a && chown 33:33 t/a && tar cf t.tar t && rm -r t && tar xf t.tar && test "$(stat -c %u t/a)" = 33
touch one && ln one two && test "$(stat -c %h two)" = 2
mv one /root/one && test -e /root/one
perl -e '@a = ("two", "user.x", "v", 1, 0); exit(syscall(188, @a) == -1)'
flock -x /var/lib/dpkg/lock true
dd if=/dev/zero of=f bs=4k count=10 conv=fsync 2> /dev/null && sync f
# Folders of the image that are renamed and replaced.
mv /usr/share/doc /usr/share/docs && mv /usr/share/docs /usr/share/doc
ln -sfn /usr/share /usr/local/s && rm /usr/local/s
# Memory that is executed, files in memory, watches, a debugger's child.
perl -e 'exit(syscall(9, 0, 4096, 7, 0x22, -1, 0) == -1)'
perl -e '@a = ("x", 0); exit(syscall(319, @a) == -1)'
perl -e 'exit(syscall(253) == -1)'
perl -e 'if (!fork) { exit(syscall(101, 0, 0, 0, 0) != 0) } wait; exit($?)'
# What is missing is missing as on an older kernel or without a right: programs fall back.
perl -e 'exit(syscall(425, 1, 0) != -1 || $! + 0 != 1)'
# Other users.
su user -s /bin/sh -c 'id -u; ! touch /workspace/x 2> /dev/null' | grep -qx 1000
cp /usr/bin/id idroot && chmod 4755 idroot && chmod 755 . && test "$(su user -s /bin/sh -c ./idroot\ -u)" = 1000
