#!/bin/sh
# The root of duto's image, in the folder of the first argument: the program without debugging symbols, each library that it links to with
# its package's name and licence, so that scanners know them, and certificates. Run by the Dockerfile.
set -eu
root="$1"

mkdir -p "$root/usr/local/bin" "$root/tmp" "$root/duto/.duto" "$root/etc" "$root/var/lib/dpkg/status.d"
chmod 1777 "$root/tmp"
chown 65532:65532 "$root/duto/.duto"
echo 'duto:x:65532:65532::/duto:/nonexistent' >"$root/etc/passwd"
echo 'duto:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
strip --strip-all -o "$root/usr/local/bin/duto" /usr/local/bin/duto
chmod 755 "$root/usr/local/bin/duto"

for library in $(ldd /usr/local/bin/duto | grep -o '/[^ ]*'); do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
    # dpkg knows a library by the path that it has without /usr being merged, or by the other one.
    package="$(dpkg-query --search "$library" "$(realpath "$library")" "/lib${library#/lib}" 2>/dev/null | head -n 1 | cut -d: -f1)"
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
    mkdir -p "$root/usr/share/doc/$package"
    cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
done

mkdir -p "$root/etc/ssl" "$root/usr/lib"
cp -rL /etc/ssl/certs "$root/etc/ssl/certs"
cp -a /etc/ssl/openssl.cnf "$root/etc/ssl/"
cp -a /usr/lib/ssl "$root/usr/lib/ssl"
rm -rf "$root/usr/lib/ssl/misc"
