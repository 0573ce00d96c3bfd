#!/bin/sh
# The include lines of src/ obey the table of src/README.md: calls go down only, and each
# third-party header has one home.
srcdir=${srcdir:-.}
cd "$srcdir/src" || exit 1
echo 1..2

# layer: what it may include. "dir/name" allows that one header.
allowed='base: base
calendar: base calendar
conf: base calendar conf
net: base net
aws: base net aws
s3: base net aws s3
engine: base net aws s3 engine
store: base store
sched: base calendar conf net/loop sched
run: base calendar net aws s3 engine store conf run
daemon: base calendar net aws s3 engine store conf sched run daemon
main: base calendar net aws s3 engine store conf sched run daemon
ctl: base calendar conf daemon/ctl_proto ctl
sandbox: base net/loop aws/sigv4 sandbox'

# header prefix, then the files (or folders, with a slash) that may include it
homes='event2/ net/loop. sandbox/
curl/ net/http
openssl/ base/crypto. sandbox/http_tls.
expat base/xml.
jansson base/json.
yaml conf/conf_yaml.
zlib base/gzip.
sqlite3 store/
libsmartcols/ ctl/render.
systemd/ base/log. daemon/sdnotify.'

report() { # NUMBER NAME OUTPUT
	if [ -z "$3" ]; then
		echo "ok $1 - $2"
	else
		echo "not ok $1 - $2"
		echo "$3" | sed 's/^/# /'
		return 1
	fi
}

includes=$(grep -rn --include='*.[ch]' '^#include' . | sed 's|^\./||')
[ -n "$includes" ] || { echo "Bail out! no sources in $PWD"; exit 1; }

layers=$(echo "$includes" | awk -v allowed="$allowed" '
	BEGIN {
		n = split(allowed, rows, "\n")
		for (i = 1; i <= n; i++) {
			m = split(rows[i], words, /:? /)
			known[words[1]] = 1
			for (j = 2; j <= m; j++)
				may[words[1], words[j]] = 1
		}
	}
	match($0, /#include "[^"]*"/) {
		header = substr($0, RSTART + 10, RLENGTH - 11)
		if (header == "config.h")
			next
		file = $0
		sub(/:.*/, "", file)
		layer = file ~ /\// ? substr(file, 1, index(file, "/") - 1) : "main"
		target = substr(header, 1, index(header, "/") - 1)
		stem = header
		sub(/\.h$/, "", stem)
		if (!known[layer])
			print file ": folder " layer " is not in the table"
		else if (!((layer, target) in may) && !((layer, stem) in may))
			print file ": " layer " may not include " header
	}')
third=$(echo "$includes" | awk -v homes="$homes" '
	BEGIN { n = split(homes, rows, "\n") }
	match($0, /#include <[^>]*>/) {
		header = substr($0, RSTART + 10, RLENGTH - 11)
		file = $0
		sub(/:.*/, "", file)
		for (i = 1; i <= n; i++) {
			m = split(rows[i], words, " ")
			if (index(header, words[1]) != 1)
				continue
			good = 0
			for (j = 2; j <= m; j++)
				good += index(file, words[j]) == 1
			if (!good)
				print file ": <" header "> is not at home here"
		}
	}')
report 1 "layers include downwards" "$layers"; a=$?
report 2 "third-party headers stay at home" "$third"; b=$?
exit $((a | b))
