"""Mirrors: what is copied, kept and deleted, and what holds a delete back."""

import gzip
import json
import os
import signal
import time
import zlib

import pytest

from conftest import only, until

SOURCE, TARGET = "account-s-bucket", "account-m-bucket"


def fill(client, bucket, prefix, objects):
    for key, body in objects.items():
        client.put_object(Bucket=bucket, Key=prefix + key, Body=body)


def content(client, bucket, prefix):
    """Key below prefix -> body."""
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for o in page.get("Contents", []):
            body = client.get_object(Bucket=bucket, Key=o["Key"])["Body"].read()
            found[o["Key"][len(prefix):]] = body
    return found


def empty(client, bucket, prefix):
    for key in content(client, bucket, prefix):
        client.delete_object(Bucket=bucket, Key=prefix + key)


@pytest.fixture
def mirror(daemon, server, request):
    """The daemon with an empty pair of prefixes; write() takes keys of the job."""
    prefix = f"sync-{abs(hash(request.node.nodeid))}/"
    for client, bucket in ((server.s, SOURCE), (server.m, TARGET)):
        empty(client, bucket, prefix)
    daemon.prefix = prefix
    daemon.at = (server.s, SOURCE, prefix), (server.m, TARGET, prefix)
    write = daemon.write

    def write_job(extra, source=prefix, destination=prefix, **more):
        write(source=f"s3://{SOURCE}/{source}", destination=f"s3://{TARGET}/{destination}",
              extra="".join(f"    {line}\n" for line in extra), **more)
    daemon.write = write_job
    return daemon


def counts(daemon, target="daily-report"):
    code, lines, err = daemon.ctl("show", target)
    assert code == 0, err
    return {c["reason"]: c["objects"] for c in lines[0]["counts"]}


def test_a_sync_copies_what_is_new_or_changed_and_deletes_what_is_gone(mirror):
    source, target = mirror.at
    fill(*source, {"a": b"1", "b/c": b"2", "d": b"same"})
    mirror.write(["action: sync", "delete: true", "max_delete: 50%"])
    mirror.start()
    assert mirror.run()[0] == 0
    assert content(*target) == {"a": b"1", "b/c": b"2", "d": b"same"}
    assert counts(mirror) == {"copied": 3}

    fill(*source, {"a": b"X", "new": b"3"})  # a: of the same size
    source[0].delete_object(Bucket=SOURCE, Key=source[2] + "b/c")
    code, end = mirror.run()
    assert code == 0, end
    assert content(*target) == {"a": b"X", "d": b"same", "new": b"3"}
    assert counts(mirror) == {"copied": 2, "same": 1, "deleted": 1}

    assert mirror.run()[0] == 0
    assert counts(mirror) == {"same": 3}


def test_what_no_include_names_is_neither_copied_nor_deleted(mirror):
    source, target = mirror.at
    fill(*source, {"in/a.jpg": b"1", "in/a.txt": b"2", "tmp/b.jpg": b"3"})
    fill(*target, {"keep.txt": b"4", "tmp/old.jpg": b"5", "old.jpg": b"6", "o2.jpg": b"7"})
    mirror.write(["action: sync", "delete: true", "max_delete: 100%",
                  'include: ["**/*.jpg"]', 'exclude: ["tmp/**"]'])
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    assert content(*target) == {"in/a.jpg": b"1", "keep.txt": b"4", "tmp/old.jpg": b"5"}


BRAKES = {
    "too many": (["max_delete: 2"], 3, 7, "brake", "max_delete allows 2"),
    "too large a share": (["max_delete: 10%"], 3, 7, "brake", "max_delete allows 1"),
    "an empty source": (["max_delete: 100%"], 10, 0, "source_empty", "no object"),
}


@pytest.mark.parametrize("case", BRAKES)
def test_a_brake_deletes_nothing_and_says_why(mirror, case):
    extra, gone, kept, reason, words = BRAKES[case]
    source, target = mirror.at
    everything = {f"k{n}": b"x" for n in range(gone + kept)}
    fill(*target, everything)
    fill(*source, dict(list(everything.items())[:kept]))
    mirror.write(["action: sync", "delete: true", *extra])
    mirror.start()
    code, end = mirror.run()
    assert code == 1 and end["reason"] == reason and words in end["message"], end
    assert set(content(*target)) == set(everything)
    assert counts(mirror)["braked"] == gone

    # Once, by hand, and no more than that.
    code, lines, _ = mirror.ctl("run", "daily-report", "--wait", "--allow-deletes",
                                str(gone - 1))
    assert code == 1 and lines[-1]["reason"] == reason
    assert set(content(*target)) == set(everything)
    code, lines, _ = mirror.ctl("run", "daily-report", "--wait", "--allow-deletes", str(gone))
    assert code == 0, lines
    assert len(content(*target)) == kept


def pages(server):
    """Three pages of the same keys on both sides, and one more that is to go."""
    if server.m.list_objects_v2(Bucket=TARGET, Prefix="pages/zz").get("KeyCount"):
        return
    for client, bucket in ((server.s, SOURCE), (server.m, TARGET)):
        fill(client, bucket, "pages/", {f"{n:04}": b"" for n in range(2100)})
    fill(server.m, TARGET, "pages/", {"zz": b"gone"})


@only("sandbox", "RGW has no fault injection")
@pytest.mark.parametrize("bucket", [SOURCE, TARGET])
@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize("action,reason", [
    ({"status": 403, "code": "AccessDenied"}, "denied"),
    ({"status": 500, "code": "InternalError"}, "service"),
    ({"reset_at": 300}, "network")], ids=["denied", "error", "cut"])
def test_nothing_is_deleted_when_a_listing_breaks_off(
        daemon, server, bucket, page, action, reason):
    pages(server)
    daemon.write(source=f"s3://{SOURCE}/pages/", destination=f"s3://{TARGET}/pages/",
                 extra="    action: sync\n    delete: true\n")
    daemon.start()
    server.faults(({"operation": "ListObjectsV2", "path_prefix": "/" + bucket,
                    "skip": page - 1, "count": 99}, action))
    code, end = daemon.run()
    server.faults()
    assert end["verdict"] == "failed" and end["reason"] == reason, end
    assert server.m.list_objects_v2(Bucket=TARGET, Prefix="pages/zz")["KeyCount"] == 1


@only("sandbox", "RGW has no fault injection")
def test_nothing_is_deleted_when_a_range_far_behind_breaks_off(daemon, server):
    """Where ranges are listed at once: behind 128 pages (run_plan.c)."""
    for bucket in (SOURCE, TARGET):
        for n in range(0, 145_000, 5000):
            server.change(*({"bucket": bucket, "key": f"long/{k:07}", "body": ""}
                            for k in range(n, n + 5000)))
    server.change({"bucket": TARGET, "key": "long/!", "body": "gone"})
    daemon.write(source=f"s3://{SOURCE}/long/", destination=f"s3://{TARGET}/long/",
                 extra="    action: sync\n    delete: true\n")
    daemon.start()
    for bucket in (SOURCE, TARGET):
        listed = server.requests("ListObjectsV2")
        server.faults(({"operation": "ListObjectsV2", "path_prefix": "/" + bucket,
                        "skip": 139, "count": 1}, {"status": 403, "code": "AccessDenied"}))
        code, end = daemon.run()
        assert server.fired() == [1] and server.requests("ListObjectsV2") - listed > 260
        server.faults()
        assert end["verdict"] == "failed" and end["reason"] == "denied", end
        assert server.objects(TARGET, "long/!"), "it was deleted"
    code, end = daemon.run()
    assert end["verdict"] == "succeeded" and not server.objects(TARGET, "long/!"), end
    assert len(server.objects(TARGET, "long/")) == 145_000


@only("sandbox", "RGW has no fault injection")
def test_permission_lost_in_the_middle(mirror, server):
    source, target = mirror.at
    fill(*source, {f"k{n:03}": b"x" for n in range(300)})
    fill(*target, {"old": b"y"})
    mirror.write(["action: sync", "delete: true"])
    mirror.start()
    server.faults(({"operation": "GetObject", "skip": 50, "count": 1000},
                   {"status": 403, "code": "AccessDenied"}))
    code, end = mirror.run()
    server.faults()
    assert end["verdict"] == "partial" and end["reason"] == "denied", end
    assert "stopped early" in end["message"]
    assert "old" in content(*target)
    got = counts(mirror)
    assert 100 <= got["denied"] < 200 and got["copied"] == 50  # those under way end


def test_trash_keeps_what_a_sync_removes(mirror):
    source, target = mirror.at
    fill(*source, {"a": b"1", "b": b"2"})
    fill(*target, {"a": b"1", "b": b"2", "gone/c": b"3"})
    mirror.write(["action: sync", "delete: true", "max_delete: 50%",
                  f'trash_prefix: "trash-{mirror.prefix}"'])
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    assert set(content(*target)) == {"a", "b"}
    assert content(target[0], TARGET, "trash-" + mirror.prefix) == {"gone/c": b"3"}
    assert counts(mirror)["trashed"] == 1
    empty(target[0], TARGET, "trash-" + mirror.prefix)


@only("sandbox", "RGW 16.2 empties such a copy with its source, where versions are suspended")
def test_the_trash_takes_what_has_a_namesake_there(mirror):
    source, target = mirror.at
    trash = "trash-" + mirror.prefix
    fill(*source, {"a": b"1", "b": b"2"})
    fill(*target, {"a": b"1", "b": b"2", "gone/c": b"33"})
    fill(target[0], TARGET, trash, {"gone/c": b"3"})
    mirror.write(["action: sync", "delete: true", "max_delete: 50%", "overwrite: never",
                  f'trash_prefix: "{trash}"'])
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    assert set(content(*target)) == {"a", "b"}
    assert content(target[0], TARGET, trash) == {"gone/c": b"33"}
    empty(target[0], TARGET, trash)


@only("sandbox", "RGW cannot be told to damage a copy")
@pytest.mark.parametrize("body", [dict(body=""), {}], ids=["empty", "gone"])
def test_what_is_not_in_the_trash_is_not_deleted(mirror, server, body):
    source, target = mirror.at
    trash = "trash-" + mirror.prefix
    fill(*source, {"a": b"1"})
    fill(*target, {"a": b"1", "gone/c": b"3"})
    mirror.write(["action: sync", "delete: true", "max_delete: 50%",
                  f'trash_prefix: "{trash}"'])
    server.faults((dict(operation="HeadObject", path_prefix=f"/{TARGET}/{trash}"),
                   dict(object=dict(bucket=TARGET, key=trash + "gone/c", **body))))
    mirror.start()
    code, end = mirror.run()
    server.faults()
    assert code == 2 and end["reason"] == "integrity" and "gone/c" in end["message"], end
    assert content(*target) == {"a": b"1", "gone/c": b"3"}
    assert mirror.run()[0] == 0
    assert content(*target) == {"a": b"1"}
    assert content(target[0], TARGET, trash) == {"gone/c": b"3"}
    empty(target[0], TARGET, trash)


def test_a_move_leaves_nothing_behind(mirror):
    source, target = mirror.at
    objects = {f"x/{n}.xml": b"%d" % n for n in range(70)}
    fill(*source, {**objects, "keep.csv": b"-"})
    mirror.write(["action: move", 'include: ["**/*.xml"]'], role="src-mover")
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    assert content(*target) == objects
    assert content(*source) == {"keep.csv": b"-"}
    assert counts(mirror) == {"moved": 70, "filtered": 1}


LOOKS_THE_SAME = [["compare: size"], ["compare: mtime"], ["compare: auto"]]


@pytest.mark.parametrize("extra", LOOKS_THE_SAME)
def test_a_move_takes_no_look_for_a_proof(mirror, extra):
    source, target = mirror.at
    fill(*source, {"a": b"ours", "b": b"same"})
    fill(*target, {"a": b"past", "b": b"same"})  # younger, of the same size
    mirror.write(["action: move", *extra], role="src-mover")
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    assert content(*source) == {}
    assert content(*target) == {"a": b"ours", "b": b"same"}


def test_a_move_delivers_again_what_its_receiver_took_away(mirror):
    source, target = mirror.at
    mirror.write(["action: move", "flatten: true"], role="src-mover")
    mirror.start()
    for _ in range(2):
        fill(*source, {"drop/a": b"1"})
        code, end = mirror.run()
        assert code == 0, end
        assert content(*source) == {} and content(*target) == {"a": b"1"}
        empty(*target)


@only("sandbox", "RGW knows no session policies of this kind")
@pytest.mark.parametrize("extra", [
    ["action: move"],
    ["action: sync", "delete: true", "max_delete: 100%", "allow_empty: true"],
    ["action: sync", "delete: true", "max_delete: 100%", 'trash_prefix: "trash-auto/"']],
    ids=["move", "delete", "trash"])
def test_a_policy_made_for_the_job_lets_it_remove(mirror, extra):
    source, target = mirror.at
    fill(*source, {"a": b"1"})
    fill(*target, {"old": b"2"})
    mirror.write([*extra, "session_policy: auto"], role="src-mover")
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    is_move = extra[0] == "action: move"
    assert content(*source) == ({} if is_move else {"a": b"1"})
    assert content(*target) == ({"a": b"1", "old": b"2"} if is_move else {"a": b"1"})
    trashed = content(target[0], TARGET, "trash-auto/")
    assert trashed == ({"old": b"2"} if "trash-auto" in extra[-1] else {})
    empty(target[0], TARGET, "trash-auto/")


def test_a_move_of_one_key(mirror, server):
    source, target = mirror.at
    fill(*source, {"one": b"1"})
    mirror.write(["action: move"], source=mirror.prefix + "one", role="src-mover")
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    assert content(*source) == {} and content(*target) == {"one": b"1"}


def test_a_plan_says_what_the_run_then_does(mirror):
    source, target = mirror.at
    fill(*source, {"a": b"1", "b": b"22", "n": b"3"})
    fill(*target, {"a": b"1", "b": b"2", "old": b"4"})
    mirror.write(["action: sync", "delete: true", "max_delete: 50%"])
    mirror.start()
    code, (plan,), err = mirror.ctl("plan", "daily-report")
    assert code == 0, err
    assert {o["key"]: o["reason"] for o in plan["objects"]} == {
        "b": "changed", "n": "new", "old": "gone"}
    assert content(*target) == {"a": b"1", "b": b"2", "old": b"4"}
    assert {c["reason"]: c["objects"] for c in plan["counts"]} == {
        "changed": 1, "new": 1, "gone": 1, "same": 1}
    asked = dict(plan["requests"])
    assert asked.pop("list") == 2 and asked.pop("head", 0) >= 2, plan
    assert asked == {"get": 2, "put": 2, "delete": 1} and "older versions" in plan["losses"]
    assert mirror.run()[0] == 0
    assert counts(mirror) == {"copied": 2, "deleted": 1, "same": 1}
    assert mirror.ctl("explain", "daily-report", "b")[1][0]["objects"][0]["reason"] == "same"


def test_a_plan_of_one_key_looks_at_it(mirror, server):
    (s, _, prefix), (m, _, _) = mirror.at
    key = prefix + "one.csv"
    mirror.write(["if_missing: {wait: 2h, poll: 1m, then: fail}"], source=key)
    mirror.start()

    def plan():
        code, (p,), err = mirror.ctl("plan", "daily-report")
        return code, p["message"], {c["reason"]: c["objects"] for c in p["counts"]}, p["objects"]
    code, message, _, _ = plan()
    assert code == 1 and "404" in message and "waits for it, 2h 0min at most" in message, message
    s.put_object(Bucket=SOURCE, Key=key, Body=b"1")
    code, _, counted, objects = plan()
    assert (code, counted) == (0, {"new": 1})
    assert [(o["key"], o["size"]) for o in objects] == [(key, 1)]
    assert mirror.run()[0] == 0 and plan()[2] == {"same": 1}
    s.put_object(Bucket=SOURCE, Key=key, Body=b"2")
    assert plan()[2] == {"changed": 1}
    assert m.get_object(Bucket=TARGET, Key=key)["Body"].read() == b"1", "a plan wrote"


def test_dates_are_those_of_the_slot(mirror, server):
    server.s.put_object(Bucket=SOURCE, Key=mirror.prefix + "2026-02-28/r.csv", Body=b"feb")
    mirror.write([], source=mirror.prefix + "${date-1d}/r.csv",
                 destination=mirror.prefix + "dt=${date-1d:%F}/")
    mirror.start()
    code, lines, err = mirror.ctl("run", "daily-report", "--date", "2026-03-01", "--wait")
    assert code == 0, (lines, err)
    assert content(*mirror.at[1]) == {"dt=2026-02-28/r.csv": b"feb"}


def test_a_glob_in_the_url_and_names_from_it(mirror):
    source, target = mirror.at
    fill(*source, {"in/a.csv": b"1", "in/b.csv": b"2", "in/c.txt": b"3", "in/d/e.csv": b"4"})
    mirror.write([], source=mirror.prefix + "in/*.csv",
                 destination=mirror.prefix + "${match.1}/data.csv")
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    assert content(*target) == {"a/data.csv": b"1", "b/data.csv": b"2"}
    assert mirror.run()[0] == 0
    assert counts(mirror) == {"same": 2}


def test_it_waits_for_the_file_that_has_not_come(mirror, server):
    mirror.write(["if_missing: {wait: 60s, poll: 1s, then: fail}"],
                 source=mirror.prefix + "late.csv")
    mirror.start()
    code, lines, _ = mirror.ctl("run", "daily-report")
    until(lambda: any("nothing yet" in line for line in mirror.log()), "it waits")
    fill(*mirror.at[0], {"late.csv": b"!"})
    until(lambda: content(*mirror.at[1]) == {"late.csv": b"!"}, "it came")
    until(lambda: any("succeeded" in line for line in mirror.log()), "the end")


def test_a_stop_does_not_wait_for_what_waits(mirror):
    mirror.write(["if_missing: {wait: 60s, poll: 50s, then: fail}"],
                 source=mirror.prefix + "late.csv")
    mirror.start()
    mirror.ctl("run", "daily-report")
    until(lambda: any("nothing yet" in line for line in mirror.log()), "it waits")
    began = time.monotonic()
    mirror.stop()
    assert time.monotonic() - began < 15  # the drain would take 30 s
    fill(*mirror.at[0], {"late.csv": b"!"})
    mirror.start()
    until(lambda: any("succeeded" in line for line in mirror.log()), "it went on")


@pytest.mark.parametrize("then,verdict", [("fail", "failed"), ("skip", "skipped")])
def test_what_does_not_come_at_all(mirror, then, verdict):
    mirror.write([f"if_missing: {{wait: 1s, poll: 1s, then: {then}}}"])
    mirror.start()
    end = mirror.run()[1]
    assert (end["verdict"], end["reason"]) == (verdict, "source_missing"), end


def test_each_look_counts_anew(mirror):
    fill(*mirror.at[0], {"a.tmp": b"1"})
    mirror.write(['exclude: ["*.tmp"]', "if_missing: {wait: 3s, poll: 1s, then: fail}"])
    mirror.start()
    end = mirror.run()[1]
    assert (end["verdict"], end["reason"]) == ("failed", "source_missing"), end
    assert sum("nothing yet" in line for line in mirror.log()) > 1
    assert counts(mirror) == {"filtered": 1}


@pytest.mark.parametrize("expect,words", [
    ("min_objects: 3", "2 objects"), ("max_objects: 1", "2 objects"),
    ("min_bytes: 1 kB", "2 bytes"), ("newer_than: 1d", "newer")])
def test_a_successful_nothing_fails(mirror, expect, words):
    fill(*mirror.at[0], {"a": b"1", "b": b"2"})
    mirror.write(["action: sync", f"expect: {{{expect}}}"])
    mirror.start()
    date = ["--date", "2036-01-01"] if "newer" in expect else []
    code, lines, _ = mirror.ctl("run", "daily-report", "--wait", *date)
    assert code == 1 and lines[-1]["reason"] == "expectation", lines
    assert words in lines[-1]["message"]


def test_one_key_has_to_be_what_was_expected(mirror, server):
    """Also when nothing is copied, for it is there already."""
    fill(*mirror.at[0], {"a": b"1234"})
    for _ in range(2):
        mirror.write(["expect: {newer_than: 1d, min_bytes: 4 B}"], source=mirror.prefix + "a")
        mirror.start() if not mirror.proc else mirror.ctl("reload", "--wait")
        assert mirror.run()[1]["verdict"] == "succeeded", mirror.log()
        code, lines, _ = mirror.ctl("run", "daily-report", "--wait", "--date", "2036-01-01")
        assert code == 1 and lines[-1]["reason"] == "expectation", lines
        assert "newer" in lines[-1]["message"]
    mirror.write(["expect: {min_bytes: 5 B}"], source=mirror.prefix + "a")
    mirror.ctl("reload", "--wait")
    end = mirror.run()[1]
    assert end["reason"] == "expectation" and "4 bytes" in end["message"], end


def manifest(daemon, run):
    with gzip.open(daemon.tmp / "state" / "manifests" / "daily-report" / f"{run}.jsonl.gz") as f:
        return [json.loads(line) for line in f]


def test_a_manifest_tells_of_each_object(mirror):
    source, target = mirror.at
    fill(*source, {"a": b"1", "b": b"22", "c": b"3", "d": b"4", "e.tmp": b"5"})
    fill(*target, {"a": b"1", "c": b"3", "d": b"4", "old": b"6"})
    mirror.write(["action: sync", "delete: true", "max_delete: 50%", 'exclude: ["*.tmp"]'])
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    head, *rows, last = manifest(mirror, end["run"])
    assert head["source"] == f"s3://{SOURCE}/{source[2]}" and head["run"] == end["run"]
    (copied,) = [r for r in rows if r["reason"] == "copied"]
    there = target[0].head_object(Bucket=TARGET, Key=target[2] + "b")
    assert copied["key"] == "b" and copied["bytes"] == 2, copied
    assert copied["source"]["etag"] == copied["destination"]["etag"] == there["ETag"]
    assert {(r["from"], r["to"], r["count"]) for r in rows if r["reason"] == "same"} == {
        ("a", "d", 3)}
    assert [(r["key"], r.get("begun")) for r in rows if r["reason"] == "deleted"] == [
        ("old", True), ("old", None)]
    assert last["counts"] == counts(mirror) and last["verdict"] == "succeeded"
    assert end["message"].endswith("; 1 copied, 1 deleted, 3 same, 1 filtered"), end

    for key, reason in (("b", "copied"), ("c", "same"), ("old", "deleted"), ("zz", None)):
        found = mirror.ctl("explain", "daily-report", key)[1][1]
        assert found.get("row", {}).get("reason") == reason and found["run"]["run"] == end["run"]
    code, (shown, checked), err = mirror.ctl("show", end["run"], "--verify")
    assert code == 0 and checked["is_good"] and checked["hash"] == last["hash"], err
    assert shown["manifest"] == checked["manifest"]

    with gzip.open(shown["manifest"]) as f:
        text = f.read()
    with gzip.open(shown["manifest"], "wb") as f:
        f.write(text.replace(b'"bytes":2', b'"bytes":3', 1))
    code, (_, checked), _ = mirror.ctl("show", end["run"], "--verify")
    assert code == 1 and not checked["is_good"] and checked["line"] > 1, checked


def test_a_manifest_is_put_at_the_destination(mirror, server):
    source, target = mirror.at
    fill(*source, {"a": b"1"})
    below = f"manifests-{mirror.prefix}${{date:%Y}}/"
    # RGW knows no session policies of this kind.
    policy = ["session_policy: auto"] if server.name == "sandbox" else []
    mirror.write([f'manifest_prefix: "{below}"', *policy])
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    key = below.replace("${date:%Y}", time.strftime("%Y")) + end["run"] + ".jsonl.gz"
    body = target[0].get_object(Bucket=TARGET, Key=key)["Body"].read()
    shown = mirror.ctl("show", end["run"], "--verify")[1]
    assert body == open(shown[0]["manifest"], "rb").read() and shown[1]["is_good"]
    assert mirror.log("warning") == []  # and no attempt is wasted, new as the file is
    empty(target[0], TARGET, f"manifests-{mirror.prefix}")


@only("sandbox", "RGW's roles may do all")
def test_a_manifest_that_is_refused_changes_no_verdict(mirror, server):
    fill(*mirror.at[0], {"a": b"1"})
    mirror.write(['manifest_prefix: "manifests/"'])
    server.faults((dict(operation="PutObject", path_prefix=f"/{TARGET}/manifests/", count=99),
                   dict(status=403, code="AccessDenied")))
    mirror.start()
    code, end = mirror.run()
    server.faults()
    assert code == 0 and end["verdict"] == "succeeded", end
    assert "did not get to" in " ".join(mirror.log("warning"))


def test_what_a_brake_kept_has_rows(mirror):
    source, target = mirror.at
    fill(*target, {f"k{n}": b"x" for n in range(5)})
    fill(*source, {"k0": b"x"})
    mirror.write(["action: sync", "delete: true", "max_delete: 1"])
    mirror.start()
    code, end = mirror.run()
    assert code == 1, end
    rows = manifest(mirror, end["run"])
    assert [r["key"] for r in rows if r.get("reason") == "braked"] == ["k1", "k2", "k3", "k4"]
    assert rows[-1]["verdict"] == "failed" and rows[-1]["because"] == "brake"


def rows_so_far(daemon):
    """Of the manifest that is being written."""
    text = b""
    for part in (daemon.tmp / "state" / "manifests").glob("*/*.part"):
        text += zlib.decompressobj(wbits=31).decompress(part.read_bytes())
    return [json.loads(line) for line in text.splitlines()]


@only("sandbox", "RGW delays no answer")
def test_a_manifest_that_a_stop_kept_here_goes_with_the_next_run(mirror, server):
    fill(*mirror.at[0], {"a": b"1"})
    below = f"manifests-{mirror.prefix}"
    mirror.write([f'manifest_prefix: "{below}"'])
    server.faults(({"operation": "PutObject", "path_prefix": f"/{TARGET}/{below}", "count": 99},
                   {"delay_ms": 60_000}))
    mirror.start()
    first = mirror.ctl("run", "daily-report")[1][0]["run"]
    until(lambda: server.fired() != [0], "the manifest is sent")
    mirror.proc.send_signal(signal.SIGTERM)
    until(lambda: "1 run under way" in " ".join(mirror.log()), "it stops")
    mirror.proc.send_signal(signal.SIGTERM)  # at once
    assert mirror.proc.wait(20) == 0
    server.faults()
    empty(*mirror.at[1][:2], below)  # the sandbox delays its answer, not what it does
    mirror.start()
    code, end = mirror.run()
    assert code == 0, end
    folder = mirror.tmp / "state" / "manifests" / "daily-report"
    sent = content(*mirror.at[1][:2], below)
    assert set(sent) == {f"{run}.jsonl.gz" for run in (first, end["run"])}
    assert sent == {name: (folder / name).read_bytes() for name in sent}
    until(lambda: {p.name for p in folder.iterdir()} == set(sent), "no note is left")
    empty(*mirror.at[1][:2], below)


@only("sandbox", "RGW delays no answer")
def test_a_manifest_that_is_closed_while_its_run_is_cancelled_goes_with_the_next(mirror, server):
    fill(*mirror.at[0], {"a": b"1"})
    below = f"manifests-{mirror.prefix}"
    mirror.write([f'manifest_prefix: "{below}"'])
    mirror.verbose = True
    server.faults(({"operation": "PutObject", "path_prefix": f"/{TARGET}/{mirror.prefix}"},
                   {"delay_ms": 1000}))
    mirror.start()
    first = mirror.ctl("run", "daily-report")[1][0]["run"]
    folder = mirror.tmp / "state" / "manifests" / "daily-report"
    until(folder.exists, "the manifest is opened")
    # The note's first opening waits for a reader; the second one finds a file.
    note, held = folder / f"{first}.jsonl.gz.unsent", mirror.tmp / "held"
    os.mkfifo(held)
    os.link(held, note)
    until(lambda: "run close -> seal" in " ".join(mirror.log()), "it is closed")
    assert mirror.ctl("cancel", first)[0] == 0
    (mirror.tmp / "note").write_text(f"s3://{TARGET}/{below}{first}.jsonl.gz")
    (mirror.tmp / "note").rename(note)
    held.read_bytes()
    until(lambda: "daily-report succeeded" in " ".join(mirror.log("notice")), "it ended")
    assert "with the next run" in " ".join(mirror.log("notice"))
    assert note.exists() and not content(*mirror.at[1][:2], below)
    server.faults()
    code, end = mirror.run()
    assert code == 0, end
    assert set(content(*mirror.at[1][:2], below)) == {
        f"{run}.jsonl.gz" for run in (first, end["run"])}
    empty(*mirror.at[1][:2], below)


def test_a_manifest_of_another_destination_is_told_of_and_not_sent(mirror):
    fill(*mirror.at[0], {"a": b"1"})
    below = f"manifests-{mirror.prefix}"
    mirror.write([f'manifest_prefix: "{below}"'])
    mirror.start()
    first = mirror.run()[1]["run"]
    folder = mirror.tmp / "state" / "manifests" / "daily-report"
    (folder / f"{first}.jsonl.gz.unsent").write_text(f"s3://another-bucket/{first}")
    code, end = mirror.run()
    assert code == 0, end
    assert f"{first}.jsonl.gz did not get to s3://another-bucket/" in \
        " ".join(mirror.log("warning"))
    until(lambda: not list(folder.glob("*.unsent")), "no note is left")
    empty(*mirror.at[1][:2], below)


@only("sandbox", "RGW delays no answer")
def test_a_manifest_goes_on_with_its_run(mirror, server):
    source, target = mirror.at
    fill(*source, {"a": b"1", "b": b"2", "c": b"3", "d": b"4"})
    mirror.write(["method: stream", "limits: {objects: 1}"])
    server.faults((dict(operation="GetObject", skip=2, count=20), dict(delay_ms=20_000)))
    mirror.start()
    run = mirror.ctl("run", "daily-report")[1][0]["run"]
    until(lambda: [r["key"] for r in rows_so_far(mirror) if "key" in r] == ["a", "b"], "two rows")
    mirror.kill()
    server.faults()
    mirror.start()
    until(lambda: mirror.ctl("show", run)[1][0]["run"]["state"] == "succeeded", "the end")
    _, *rows, last = manifest(mirror, run)
    assert [r["key"] for r in rows if r.get("reason") == "copied"] == ["a", "b", "c", "d"]
    assert last["counts"]["copied"] == 4 and last["verdict"] == "succeeded"
    code, (_, checked), _ = mirror.ctl("show", run, "--verify")
    assert code == 0 and checked["is_good"], checked


@pytest.mark.parametrize("keep", [0, 2])
def test_so_many_manifests_are_kept(mirror, keep):
    mirror.write([f"manifest: {{keep: {keep}}}"])
    fill(*mirror.at[0], {"a": b"1"})
    mirror.start()
    runs = [mirror.run()[1]["run"] for _ in range(4)]
    folder = mirror.tmp / "state" / "manifests" / "daily-report"
    found = {p.name.split(".")[0] for p in folder.iterdir()} if keep else set()
    assert found == set(runs[-keep:] if keep else []) and folder.exists() == bool(keep)
