#!/bin/bash
# Three "AWS accounts" on a gateway that rgw.sh has started, with the names and keys of
# etc/sandbox-accounts.json. A tenant of RGW is an account, so that ARNs look like AWS's.
#
#   S 111111111111   user owner-s; roles src-reader, src-mover (trust M's mover),
#                    src-closed (trusts X only), src-extid (wants an ExternalId)
#   M 222222222222   users owner-m and mover; role dst-writer
#   X 333333333333   user stranger, whom nobody else trusts
#
# Environment: DIR, as for rgw.sh.
set -Eeuo pipefail
: "${DIR:?}"
here=$(cd "$(dirname "$0")" && pwd)
S=111111111111 M=222222222222 X=333333333333
trap 'echo "rgw-accounts.sh: failed; see $DIR/log/accounts.out" >&2' ERR

adm() { "$here/rgw.sh" admin "$@" >>"$DIR/log/accounts.out" 2>&1; }

user() { # TENANT NAME ACCESS-KEY SECRET
    adm user create --tenant "$1" --uid "$2" --display-name "$2" \
        --access-key "$3" --secret-key "$4"
}

policy() { # PRINCIPAL CONDITION
    printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    printf '"Principal":{"AWS":["arn:aws:iam::%s"]},"Action":["sts:AssumeRole"]%s}]}' \
        "$1" "${2:+,\"Condition\":$2}"
}

role() { # TENANT NAME TRUST ACTIONS
    adm role create --tenant "$1" --role-name "$2" --assume-role-policy-doc "$3"
    adm role-policy put --tenant "$1" --role-name "$2" --policy-name p --policy-doc \
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",
          \"Action\":[$4],\"Resource\":[\"arn:aws:s3:::*\"]}]}"
}

user $S owner-s AKIASOWNER0000000001 sOwnerSecret+/0000000000000000000000001
user $M owner-m AKIAMOWNER0000000001 mOwnerSecret+/0000000000000000000000001
user $M mover AKIAMMOVER0000000001 mMoverSecret+/0000000000000000000000001
user $X stranger AKIAXSTRANGER0000001 xStrangerSecret/0000000000000000000001

read='"s3:ListBucket","s3:GetObject","s3:GetObjectTagging","s3:GetBucketLocation"'
mover=$(policy $M:user/mover '')
extid='{"StringEquals":{"sts:ExternalId":"ferry-42"}}'
role $S src-reader "$mover" "$read"
role $S src-mover "$mover" '"s3:*"'
role $S src-extid "$(policy $M:user/mover "$extid")" "$read"
role $S src-closed "$(policy $X:user/stranger '')" "$read"
role $M dst-writer "$mover" '"s3:*"'
