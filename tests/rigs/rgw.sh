#!/bin/bash
# Ceph RADOS Gateway for the tests, as small as it gets: one mon, one osd in memory and one
# radosgw on 127.0.0.1, with everything they write under DIR. No mgr, no cephx.
#
#   rgw.sh up            start; ends when the gateway answers
#   rgw.sh down          end the processes by their pid files and remove DIR
#   rgw.sh set OPT VALUE change an option of the gateway while it runs
#   rgw.sh admin ARGS    radosgw-admin on it
#
# Environment: DIR; for up also MONPORT, RGWPORT and TLSPORT, free ports of the caller's.
# DIR/tls/ca.pem is the CA of the certificate of localhost and 127.0.0.1.
set -Eeuo pipefail
: "${DIR:?}"
mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
conf=$DIR/ceph.conf
export CEPH_ARGS=
trap 'echo "rgw.sh: failed at line $LINENO; logs are in $DIR/log" >&2' ERR

# The options are there for a reason:
# - paxos: a mon alone need not wait for others; the start takes 1 s instead of 11 s
# - ms mon client mode: "secure", radosgw's default, hangs without cephx
# - admin socket of [client]: a command on it crashes radosgw 16.2.15
# - rgw s3 auth order: in this order wrong keys are told apart in the error codes
# - rgw sts min session duration: so that tests see sessions end
write_conf() {
    cat >"$conf" <<E
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = [v2:127.0.0.1:$MONPORT]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
run dir = $DIR/run
admin socket = $DIR/run/\$name.asok
pid file = $DIR/run/\$name.pid
log file = $DIR/log/\$name.log
log to stderr = false
err to stderr = false
mon cluster log to file = false
crash dir = $DIR/crash
keyring = $DIR/keyring
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 1
[mon]
paxos propose interval = 0.02
paxos min wait = 0.01
mon data = $DIR/mon.a
mon initial members = a
[osd]
osd data = $DIR/osd.0
osd objectstore = memstore
memstore device bytes = $((2 << 30))
osd op num shards = 2
osd op num threads per shard = 2
osd fast shutdown = true
[client]
admin socket =
rgw s3 auth use sts = true
rgw sts key = abcdefghijklmnop
rgw s3 auth order = local, sts
rgw sts min session duration = 1
rgw thread pool size = 64
rgw enable usage log = false
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw dynamic resharding = false
rgw data log num shards = 1
rgw md log max shards = 1
rgw usage max shards = 1
rgw gc max objs = 1
rgw lc max objs = 1
rgw objexp hints num shards = 1
E
}

make_certificate() {
    cd "$DIR/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
        -subj /CN=s3ferry-test-ca -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
        -keyout srv.key -out srv.csr
    echo 'subjectAltName=DNS:localhost,IP:127.0.0.1' >ext
    openssl x509 -req -in srv.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
        -extfile ext -out srv.pem
}

start_mon() {
    : >"$DIR/keyring"
    monmaptool --create --clobber --fsid "$(awk '/^fsid/ {print $3}' "$conf")" \
        --addv a "[v2:127.0.0.1:$MONPORT]" "$DIR/monmap"
    ceph-mon -c "$conf" -i a --mkfs --monmap "$DIR/monmap" --keyring "$DIR/keyring"
    ceph-mon -c "$conf" -i a
}

start_osd() {
    local id
    id=$(cat /proc/sys/kernel/random/uuid)
    ceph -c "$conf" --connect-timeout 30 osd new "$id"
    ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$id"
    ceph-osd -c "$conf" -i 0
}

start_rgw() {
    local fe="beast tcp_nodelay=1 endpoint=127.0.0.1:$RGWPORT" end=$((SECONDS + 60))
    fe+=" ssl_endpoint=127.0.0.1:$TLSPORT ssl_certificate=$DIR/tls/srv.pem"
    fe+=" ssl_private_key=$DIR/tls/srv.key"
    radosgw -c "$conf" -n client.rgw.0 --rgw-frontends "$fe"
    until curl -so /dev/null --max-time 2 "http://127.0.0.1:$RGWPORT/"; do
        ((SECONDS < end))
        sleep 0.1
    done
}

up() {
    : "${MONPORT:?}" "${RGWPORT:?}" "${TLSPORT:?}"
    mkdir -p "$DIR"/{run,log,crash,mon.a,osd.0,tls}
    write_conf
    make_certificate 2>"$DIR/log/openssl.out"
    start_mon >"$DIR/log/mon.out" 2>&1
    start_osd >"$DIR/log/osd.out" 2>&1
    start_rgw >"$DIR/log/rgw.out" 2>&1
}

is_alive() { # PID; a zombie has ended
    [ -r "/proc/$1/stat" ] && ! grep -q ') Z ' "/proc/$1/stat" 2>/dev/null
}

# Nothing in memory is worth an orderly end, for which radosgw would take 9 s.
down() {
    local name pid
    for name in client.rgw.0 osd.0 mon.a; do
        pid=$(cat "$DIR/run/$name.pid" 2>/dev/null) || continue
        kill -9 "$pid" 2>/dev/null || continue
        while is_alive "$pid"; do sleep 0.01; done
    done
    rm -rf "$DIR"
}

case ${1:-} in
up | down) "$1" ;;
set) ceph -c "$conf" --connect-timeout 10 config set client "$2" "$3" ;;
admin)
    shift
    exec radosgw-admin -c "$conf" -n client.rgw.0 "$@"
    ;;
*)
    echo "usage: rgw.sh up | down | set OPTION VALUE | admin ARGS..." >&2
    exit 64
    ;;
esac
