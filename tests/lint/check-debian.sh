#!/bin/sh
# The Debian package is built with the libraries that packages.txt names, and is of this version.
srcdir=${srcdir:-.}
control=$srcdir/contrib/debian/control
echo 1..2
libraries() { grep -oE 'lib[a-z0-9.+-]+-dev|zlib1g-dev' "$1" | grep -v '^libc6-dev$' | sort; }
if [ -n "$(libraries "$control")" ] &&
	[ "$(libraries "$control")" = "$(libraries "$srcdir/packages.txt")" ]; then
	echo "ok 1 - build dependencies"
else
	echo "not ok 1 - build dependencies"
	libraries "$srcdir/packages.txt" | sed 's/^/# packages.txt: /'
	libraries "$control" | sed 's/^/# control:      /'
fi
version=$(sed -n 's/^AC_INIT(\[s3ferry\], \[\([^]]*\)\].*/\1/p' "$srcdir/configure.ac")
if sed 1q "$srcdir/contrib/debian/changelog" | grep -qF "s3ferry ($version)"; then
	echo "ok 2 - version"
else
	echo "not ok 2 - version"
fi
