"""What a run does to two prefixes, written to be simple: dictionaries, no streams.

A side is {key: Entry} with keys below the prefix. predict() changes nothing; it tells what
a plan counts, what the run counts, and how both sides and the trash look afterwards.
judge() says what is wrong with a run while which others changed keys, each at most once.
"""

import collections
import dataclasses
import itertools

# What may become of a key that others change meanwhile, or that shares its name with another.
FAILURES = ("changed-while-read", "vanished", "destination-changed", "source-kept", "collision")
Entry = collections.namedtuple("Entry", "etag size modified")


@dataclasses.dataclass
class Job:
    action: str = "copy"
    compare: str = "auto"
    overwrite: str = "changed"
    include: str = ""  # a folder "x/**" or an ending "**/*.x"
    exclude: str = ""
    flatten: bool = False
    delete: bool = False
    max_percent: int = 10
    allow_empty: bool = False
    trash: str = ""
    at_once: int = 8

    def lines(self):
        out = [f"action: {self.action}", f"compare: {self.compare}",
               f"limits: {{objects: {self.at_once}}}", f"overwrite: {self.overwrite}", f"flatten: {str(self.flatten).lower()}"]
        for name in ("include", "exclude"):
            if getattr(self, name):
                out.append(f'{name}: ["{getattr(self, name)}"]')
        if self.delete:
            out += ["delete: true", f"max_delete: {self.max_percent}%",
                    f"allow_empty: {str(self.allow_empty).lower()}"]
        if self.delete and self.trash:
            out.append(f'trash_prefix: "{self.trash}"')
        return "".join(f"    {line}\n" for line in out)


@dataclasses.dataclass
class Outcome:
    plan: collections.Counter
    run: collections.Counter
    source: dict
    target: dict
    trash: dict
    record: dict  # destination key -> ETag of the source that was delivered there
    verdict: str = "succeeded"


def matches(pattern, key):
    if pattern.endswith("/**"):
        return key.startswith(pattern[:-2])
    assert pattern.startswith("**/*")
    return key.rsplit("/", 1)[-1].endswith(pattern[4:])


def left_out(job, key, size):
    if size == 0 and (not key or key.endswith("/")):
        return "folder"
    if job.include and not matches(job.include, key):
        return "filtered"
    return "filtered" if job.exclude and matches(job.exclude, key) else ""


def is_same(job, s, d):
    if s.size != d.size:
        return False
    compare = job.compare
    if (job.action == "move" or job.flatten) and compare in ("size", "mtime"):
        compare = "auto"
    if compare == "mtime":
        return int(s.modified) <= int(d.modified)
    return compare == "size" or (compare != "version" and s.etag == d.etag)


def why_copy(job, s, d):
    """The empty text: not at all."""
    if d is None:
        return "new"
    if job.overwrite != "changed":
        return "forced" if job.overwrite == "always" else ""
    return "" if is_same(job, s, d) else "changed"


def there(job, key, s, target, record):
    """What a flattened key is compared with: the memory of the job, not the listing."""
    if job.action == "move" or key not in record:
        return None
    if job.compare == "checksum":
        return target.get(key)
    return s._replace(etag=record[key])


def name_of(job, key):
    return key.rsplit("/", 1)[-1] if job.flatten else key


def predict(job, source, target, trash, record, withholds=False):
    """withholds: something failed, so that nothing is deleted."""
    o = Outcome(collections.Counter(), collections.Counter(), dict(source), dict(target),
                dict(trash), dict(record))
    taken, seen = 0, set()
    for key in sorted(source, key=str.encode):
        s = source[key]
        to = name_of(job, key)
        out = left_out(job, key, s.size)
        if not out and job.flatten and to in seen:
            out, o.verdict = "collision", "partial"
        if out:
            o.plan[out] += 1
            o.run[out] += 1
            continue
        seen.add(to)
        taken += 1
        d = there(job, to, s, target, record) if job.flatten else target.get(to)
        why = why_copy(job, s, d)
        kept = "exists" if job.overwrite == "never" else "same"
        o.plan[why or kept] += 1
        if why:
            o.target[to] = s
            o.record[to] = s.etag
        leaves = job.action == "move" and (why or kept == "same")
        if leaves:
            del o.source[key]
        o.run["moved" if leaves else "copied" if why else kept] += 1
    if not job.flatten:
        remove(job, o, source, target, taken, withholds)
    return o


def remove(job, o, source, target, taken, withholds):
    extra = [k for k in target if k not in source]
    for key in extra:
        out = left_out(job, key, target[key].size) or ("" if job.delete else "extra")
        if out:
            o.plan[out] += 1
            o.run[out] += 1
    gone = [k for k in extra if job.delete and not left_out(job, k, target[k].size)]
    both = [k for k in target if k in source and not left_out(job, k, source[k].size)]
    if not gone:
        return
    o.plan["gone"] += len(gone)
    most = min(1000, -(-(len(both) + len(gone)) * job.max_percent // 100))
    if withholds or len(gone) > most or (not taken and not job.allow_empty):
        o.run["braked"] += len(gone)
        o.verdict = "failed"
        return
    o.run["trashed" if job.trash else "deleted"] += len(gone)
    for key in gone:
        if job.trash:
            o.trash[key] = o.target[key]
        del o.target[key]
        o.record.pop(key, None)


# --- others change keys while it runs ---

# before, after: source, target, trash; changes: of source and target, {key: Entry or None}
Episode = collections.namedtuple("Episode", "job before changes after record")

def snapshots(side, changes):
    """The side with each of its changes made or not."""
    for made in itertools.product([False, True], repeat=len(changes)):
        out = dict(side)
        for (key, entry), is_made in zip(changes.items(), made):
            if is_made:
                out.pop(key, None)
                out.update({key: entry} if entry else {})
        yield out


def states(side, changes, key):
    """What the key was, in order; None: not there."""
    return [side.get(key)] + ([changes[key]] if key in changes else [])


def etags(entries):
    return {e.etag for e in entries if e}


def is_explained(x, touched, withholds):
    """Keys that nobody touched are as after a run on some mix of what was there."""
    job = x.job

    def rest(sides):
        return ([{k: e.etag for k, e in side.items() if n(k) not in touched}
                 for side, n in zip(sides, (lambda k: name_of(job, k), str, str))])

    for source in snapshots(x.before[0], x.changes[0]):
        for target in snapshots(x.before[1], x.changes[1]):
            for held in {False, withholds}:
                o = predict(job, source, target, x.before[2], x.record, held)
                if rest((o.source, o.target, o.trash)) == rest(x.after):
                    return True
    return False


def judge_target(x, name):
    """A key of the destination that was touched at one side or at both."""
    job, before, changes, after, _ = x
    keys = [k for k in {*before[0], *changes[0]} if name_of(job, k) == name]
    had = states(before[1], changes[1], name)
    sources = [states(before[0], changes[0], k) for k in keys]
    taken = [e for k, s in zip(keys, sources) for e in s if e and not left_out(job, k, e.size)]
    end = after[1].get(name)
    may_go = job.delete and had[-1] and not left_out(job, name, had[-1].size) and \
        (not keys or any(None in s for s in sources))
    if end:
        return "" if end.etag in etags(had + taken) else "holds what nobody wrote"
    if had[-1] is None:
        return ""
    if not may_go:
        return "should stay"
    if job.trash and after[2].get(name, end) not in [None] and \
            after[2][name].etag in etags(had):
        return ""
    return "is not in the trash" if job.trash else ""


def judge_source(x, key):
    job, before, changes, after, _ = x
    had, end = states(before[0], changes[0], key), after[0].get(key)
    name = name_of(job, key)
    if end:
        return "" if end.etag == had[-1].etag else "of the source is not what was written"
    if had[-1] is None:
        return ""
    if job.action != "move":
        return "of the source was removed"
    is_shared = job.flatten and sum(
        name_of(job, k) == name for k in {*before[0], *changes[0]}) > 1
    arrived = after[1].get(name)
    if is_shared or name in changes[1] or (arrived and arrived.etag == had[-1].etag):
        return ""
    return "of the source is lost"


def judge_settled(x, key):
    """A run that calls itself succeeded has dealt with each version that it can have seen."""
    job, before, changes, after, _ = x
    had, name = states(before[0], changes[0], key), name_of(job, key)
    if None in had or any(left_out(job, key, e.size) for e in had) or job.flatten or \
            name in changes[1] or job.overwrite == "never" or \
            job.compare not in ("auto", "etag", "checksum"):
        return ""
    end = after[1].get(name)
    return "" if end and end.etag in etags(had) else "was not settled"


def judge(x, failed, verdict):
    """
    failed: {key: reason}, which the run names. Returns what is wrong; empty: all is well.
    """
    job = x.job
    touched = {name_of(job, k) for k in x.changes[0]} | set(x.changes[1])
    wrong = []
    for key, reason in failed.items():
        if name_of(job, key) not in touched and reason != "collision":
            wrong.append(f"{key!r} failed ({reason}), and nobody touched it")
    if failed and verdict == "succeeded":
        wrong.append("succeeded though keys failed")
    if not is_explained(x, touched, bool(failed)):
        wrong.append("keys that nobody touched are not as they should be")
    for name in touched:
        wrong.append((name, judge_target(x, name)))
    for key in {*x.before[0], *x.changes[0]}:
        if name_of(job, key) in touched:
            wrong.append((key, judge_source(x, key)))
            if verdict == "succeeded":
                wrong.append((key, judge_settled(x, key)))
    return [w for w in wrong if isinstance(w, str) or w[1]]
