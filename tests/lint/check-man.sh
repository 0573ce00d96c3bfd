#!/bin/sh
# Every man page is clean mdoc.
srcdir=${srcdir:-.}
command -v mandoc >/dev/null || { echo "1..0 # SKIP mandoc is not installed"; exit 0; }
set -- "$srcdir"/man/*.[1-8]
echo "1..$#"
n=0 code=0
for page; do
	n=$((n + 1))
	# References to our own pages are unknown to a machine that lacks them.
	out=$(mandoc -T lint -W warning "$page" 2>&1) && [ -z "$out" ] && {
		echo "ok $n - ${page##*/}"
		continue
	}
	echo "not ok $n - ${page##*/}"
	echo "$out" | sed 's/^/# /'
	code=1
done
exit $code
