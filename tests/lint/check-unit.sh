#!/bin/sh
# The unit is as closed as it claims: exposure 1.5 at most, offline.
command -v systemd-analyze >/dev/null || {
	echo "1..0 # SKIP systemd-analyze is not installed"
	exit 0
}
echo 1..1
if out=$(systemd-analyze security --no-pager --offline=true --threshold=15 \
	systemd/s3ferryd.service 2>&1); then
	echo "ok 1 - exposure"
else
	echo "not ok 1 - exposure"
	echo "$out" | sed 's/^/# /'
	exit 1
fi
