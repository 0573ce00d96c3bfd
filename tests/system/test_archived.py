"""Objects in an archive: skipped, failed, or restored while the run is parked."""

import gzip
import json

import pytest

from conftest import only, until
from test_sync import content, counts, empty, fill, mirror  # noqa: F401

SANDBOX = only("sandbox", "RGW 16.2 neither restores objects nor tells of it")


def freeze(side, objects, storage_class="GLACIER"):
    client, bucket, prefix = side
    for key, body in objects.items():
        client.put_object(Bucket=bucket, Key=prefix + key, Body=body,
                          StorageClass=storage_class)


AWAKE = {"destination_keys": "storage_class: STANDARD"}  # the source's class is kept else


def states(daemon):
    return daemon.ctl("show", "daily-report")[1][0]["run"]


@SANDBOX
@pytest.mark.parametrize("way,code,verdict", [
    ("fail", 2, "partial"), ("skip", 0, "succeeded")])
def test_what_is_archived_is_left(mirror, way, code, verdict):
    fill(*mirror.at[0], {"a": b"1"})
    freeze(mirror.at[0], {"cold": b"2", "colder": b"3"}, "DEEP_ARCHIVE")
    mirror.write([f"archived: {way}"])
    mirror.start()
    got, end = mirror.run()
    assert (got, end["verdict"]) == (code, verdict), end
    assert content(*mirror.at[1]) == {"a": b"1"}
    assert counts(mirror) == {"archived": 2, "copied": 1}
    if way == "fail":
        assert end["reason"] == "archived" and "archived: skip" in end["message"], end


@SANDBOX
@pytest.mark.parametrize("action", ["copy", "sync", "move"])
def test_a_run_is_parked_until_its_objects_are_restored(mirror, server, action):
    source, target = mirror.at
    fill(*source, {"a": b"1"})
    freeze(source, {"cold/b": b"22", "cold/c": b"33"})
    fill(*target, {"old": b"x"})
    delete = ["delete: true", "max_delete: 100%"] if action == "sync" else []
    mirror.write([f"action: {action}", "archived: restore",
                  "restore: {poll: 1s, days: 2, tier: Bulk}", *delete], role="src-mover",
                 **AWAKE)
    mirror.start()
    plan = mirror.ctl("plan", "daily-report")[1][0]
    assert {c["reason"]: c["objects"] for c in plan["counts"]}["archived"] == 2
    assert plan["requests"]["restore"] == 2 and plan["verdict"] == "succeeded", plan
    code, end = mirror.run()
    assert (code, end["verdict"], end["reason"]) == (75, "parked", "restoring"), end
    assert "2 objects are being restored" in end["message"]
    # The rest did not wait, and nothing is deleted before all is known to be there.
    assert content(*target) == {"a": b"1", "old": b"x"}
    done, seen = ("moved", {}) if action == "move" else ("copied", {"same": 1})
    seen.update({} if action == "sync" else {"extra": 2 if action == "move" else 1})
    asked = server.requests("RestoreObject")
    until(lambda: sum("looks again in" in line for line in mirror.log()) > 1, "another look")
    assert server.requests("RestoreObject") == asked, "it was asked for again"

    mirror.kill()
    mirror.start()
    until(lambda: sum("looks again in" in line for line in mirror.log()) > 2, "it is parked")
    assert counts(mirror)[done] == 1 and counts(mirror)["restoring"] == 2, counts(mirror)
    server.thaw()
    until(lambda: states(mirror)["state"] == "succeeded", "all is there")
    whole = {"a": b"1", "cold/b": b"22", "cold/c": b"33"}
    kept = {} if action == "sync" else {"old": b"x"}
    assert content(*target) == {**whole, **kept}
    run = states(mirror)
    # Looks are no attempts, but for one that the kill may have hit; there were four at least.
    assert run["run"] == end["run"] and run["attempts"] <= 3, run
    # What all passes did, and what the last one found.
    deleted = {"deleted": 1} if action == "sync" else {}
    assert counts(mirror) == {done: 3, **seen, **deleted}
    assert (run["objects"], run["bytes"]) == (3, 5), run
    path = mirror.ctl("show", "daily-report")[1][0]["manifest"]
    told = [json.loads(line) for line in gzip.open(path)]
    rows = [row["key"] for row in told if row.get("reason") == done and "begun" not in row]
    assert sorted(rows) == sorted(whole), rows
    assert told[-1]["counts"][done] == 3 and told[-1]["bytes"] == 5, told[-1]
    if action == "move":
        assert not source[0].list_objects_v2(Bucket=source[1], Prefix=source[2])["KeyCount"]
    code, (_, checked), _ = mirror.ctl("show", "daily-report", "--verify")
    assert code == 0 and checked["is_good"], checked
    empty(*source)


@SANDBOX
@pytest.mark.parametrize("way,verdict", [
    ("fail", "failed"), ("skip", "succeeded"), ("restore", "parked")])
def test_one_key_in_an_archive(mirror, server, way, verdict):
    source, target = mirror.at
    freeze(source, {"one": b"1"})
    poll = ["restore: {poll: 1s}"] if way == "restore" else []
    mirror.write([f"archived: {way}", *poll], source=mirror.prefix + "one", role="src-mover",
                 **AWAKE)
    mirror.start()
    end = mirror.run()[1]
    assert end["verdict"] == verdict, end
    if way == "restore":
        server.thaw()
        until(lambda: states(mirror)["state"] == "succeeded", "it is there")
        assert content(*target) == {"one": b"1"}
    else:
        assert counts(mirror) == {"archived": 1}


@SANDBOX
def test_who_may_not_restore_is_told(mirror):
    freeze(mirror.at[0], {"cold": b"1"})
    mirror.write(["archived: restore"])  # src-reader may read, and no more
    mirror.start()
    end = mirror.run()[1]
    assert (end["verdict"], end["reason"]) == ("failed", "denied"), end
    assert "RestoreObject" in end["message"] and "s3:RestoreObject" in end["message"], end
    assert counts(mirror) == {"denied": 1}


@SANDBOX
def test_a_copy_that_is_readable_is_not_waited_for(mirror, server):
    """A server whose listings tell nothing: the answer to the restore does."""
    source, target = mirror.at
    freeze(source, {"cold": b"1"})
    wish = {"Days": 1, "GlacierJobParameters": {"Tier": "Standard"}}
    source[0].restore_object(Bucket=source[1], Key=source[2] + "cold", RestoreRequest=wish)
    server.thaw()
    mirror.write(["archived: restore"], source=mirror.prefix + "cold",
                 role="src-mover", **AWAKE)
    mirror.start()
    code, end = mirror.run()
    assert code == 0 and content(*target) == {"cold": b"1"}, end
