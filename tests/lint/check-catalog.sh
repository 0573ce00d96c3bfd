#!/bin/sh
# Each MESSAGE_ID has its entry in the catalog, and each entry its MESSAGE_ID.
srcdir=${srcdir:-.}
echo 1..1
ids=$(sed -n 's/^#define MSG_.*"\([0-9a-f]*\)"$/\1/p' "$srcdir/src/run/message_ids.h" | sort)
entries=$(sed -n 's/^-- \([0-9a-f]*\)$/\1/p' "$srcdir/systemd/s3ferry.catalog" | sort)
if [ -n "$ids" ] && [ "$ids" = "$entries" ]; then
	echo "ok 1 - catalog"
else
	echo "not ok 1 - catalog"
	printf '%s\n%s\n' "$ids" "$entries" | sort | uniq -u | sed 's/^/# on one side only: /'
	exit 1
fi
