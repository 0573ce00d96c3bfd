#!/bin/bash
# The README's job against the sandbox, then broken on purpose. No root, no AWS account.
#   demo.sh BUILD-DIR
set -euo pipefail
build=$(cd "${1:?usage: demo.sh BUILD-DIR}" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
sandbox_pid='' daemon_pid=''
ctl() { "$build/src/s3ferryctl" --socket "$dir/io.s3ferry" "$@"; }
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
stop() {
    [ -z "$daemon_pid" ] || kill "$daemon_pid" 2>/dev/null || :
    [ -z "$sandbox_pid" ] || kill "$sandbox_pid" 2>/dev/null || :
    wait 2>/dev/null || :
    rm -rf "$dir"
}
trap stop EXIT

start_sandbox() { # LISTEN
    mkfifo "$dir/ready"
    "$build/src/s3ferry-sandbox" --listen "$1" --accounts "$top/etc/sandbox-accounts.json" \
        >"$dir/ready" 2>>"$dir/sandbox.log" &
    sandbox_pid=$!
    read -r _ address <"$dir/ready"
    rm "$dir/ready"
}

boto() { # ACCOUNT PYTHON: s3 is that account's client
    /usr/bin/python3 - "$address" "$1" <<P
import boto3, sys
from botocore.config import Config
a = sys.argv[2]
s3 = boto3.client("s3", endpoint_url="http://" + sys.argv[1], region_name="eu-west-1",
    aws_access_key_id=f"AKIA{a}OWNER0000000001",
    aws_secret_access_key=f"{a.lower()}OwnerSecret+/0000000000000000000000001",
    config=Config(s3={"addressing_style": "path"}))
$2
P
}

seed='s3.put_object(Bucket="account-s-bucket", Key="daily/report.csv", Body=b"day,sales\n2026-11-24,42\n" * 4000, ContentType="text/csv")'

write_conf() { # EXTERNAL-ID
    cat >"$dir/s3ferry.yaml" <<Y
version: 1
profiles:
  partner: { role_arn: "arn:aws:iam::111111111111:role/src-reader", external_id: "$1", region: eu-west-1, endpoint_url: "http://$address" }
  ours:    { role_arn: "arn:aws:iam::222222222222:role/dst-writer", region: eu-central-1, endpoint_url: "http://$address" }
jobs:
  daily-report:
    schedule: "cron(0 7 * * ? *)"
    timezone: Europe/Berlin
    retry: { attempts: 5, backoff: 1s, max_backoff: 2s }
    source:      { profile: partner, url: "s3://account-s-bucket/daily/report.csv" }
    destination: { profile: ours,    url: "s3://account-m-bucket/incoming/" }
  big:
    schedule: "@monthly"
    retry: { attempts: 5, backoff: 1s, max_backoff: 2s }
    source:      { profile: partner, url: "s3://account-s-bucket/virtual/20000000" }
    destination: { profile: ours,    url: "s3://account-m-bucket/incoming/" }
  once-soon:
    schedule: "at($(date -u -d '+4 seconds' +%FT%T))"
    source:      { profile: partner, url: "s3://account-s-bucket/daily/report.csv" }
    destination: { profile: ours,    url: "s3://account-m-bucket/soon/" }
Y
}

say "Three make-believe accounts on loopback; the partner delivers daily/report.csv"
start_sandbox 127.0.0.1:0
boto S "$seed"
write_conf ferry-42
cat "$dir/s3ferry.yaml"
AWS_ACCESS_KEY_ID=AKIAMMOVER0000000001 \
    AWS_SECRET_ACCESS_KEY='mMoverSecret+/0000000000000000000000001' \
    "$build/src/s3ferryd" -c "$dir/s3ferry.yaml" --state-dir "$dir/state" \
    --socket "$dir/io.s3ferry" 2>>"$dir/log" &
daemon_pid=$!
until ctl status >/dev/null 2>&1; do sleep 0.05; done

say "s3ferryctl run daily-report --wait"
ctl run daily-report --wait
say "and by its schedule: once-soon, an at() a few seconds ahead"
until ctl history once-soon --json | grep -q succeeded; do sleep 0.2; done
ctl status
say "what account M has"
boto M 'for o in s3.list_objects_v2(Bucket="account-m-bucket")["Contents"]: print(o["Key"], o["Size"], o["ETag"])'
say "the log so far"
cat "$dir/log"

say "Broken on purpose: the wrong external id"
: >"$dir/log"
write_conf ferry-43
ctl reload
ctl run daily-report --wait || echo "exit $?"
grep ' error ' "$dir/log"

say "Broken on purpose: the server is killed in the middle of a transfer, and comes back"
write_conf ferry-42
ctl reload >/dev/null
: >"$dir/log"
# The first download stops after 4 MB, so that the middle can be seen.
curl -sf -X PUT -d '{"rules":[{"match":{"operation":"GetObject","count":1},"action":{"stall_at":4000000}}]}' \
    "http://$address/_sandbox/faults" >/dev/null
ctl run big --wait &
run_pid=$!
until ctl status --json | grep -Eq '"bytes_done": ?[1-9]'; do sleep 0.05; done
kill -9 "$sandbox_pid"
wait "$sandbox_pid" 2>/dev/null || :
until grep -q 'trying again' "$dir/log"; do sleep 0.05; done
start_sandbox "$address"
wait "$run_pid"
cat "$dir/log"

say "The ledger: one row a slot"
ctl history
