"""What a run does to two prefixes, written to be simple: dictionaries, no streams.

A side is {key: Entry} with keys below the prefix. predict() changes nothing; it tells what
a plan counts, what the run counts, and how both sides and the trash look afterwards.
"""

import collections
import dataclasses

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

    def lines(self):
        out = [f"action: {self.action}", f"compare: {self.compare}",
               f"overwrite: {self.overwrite}", f"flatten: {str(self.flatten).lower()}"]
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


def predict(job, source, target, trash, record):
    o = Outcome(collections.Counter(), collections.Counter(), dict(source), dict(target),
                dict(trash), dict(record))
    taken, seen = 0, set()
    for key in sorted(source, key=str.encode):
        s = source[key]
        to = key.rsplit("/", 1)[-1] if job.flatten else key
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
        remove(job, o, source, target, taken)
    return o


def remove(job, o, source, target, taken):
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
    if len(gone) > most or (not taken and not job.allow_empty):
        o.run["braked"] += len(gone)
        o.verdict = "failed"
        return
    o.run["trashed" if job.trash else "deleted"] += len(gone)
    for key in gone:
        if job.trash:
            o.trash[key] = o.target[key]
        del o.target[key]
        o.record.pop(key, None)
