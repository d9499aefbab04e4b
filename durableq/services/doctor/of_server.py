"""Decides about the server: what it is, what it keeps, what it forgets."""

from __future__ import annotations

from typing import Final

from durableq.services.doctor import flaws
from durableq.services.doctor.amounts import count
from durableq.services.doctor.facts import ServerFacts
from durableq.services.doctor.finding import Finding, found, in_order, unseen
from durableq.store.checkup import replicas_in

OLDEST: Final = {"Redis": (6, 2), "Valkey": (7, 2)}
INFO_REFUSED: Final = "INFO is refused"
CONFIG_REFUSED: Final = "CONFIG GET is refused"
REPLICA_LATE_S: Final = 10
REPLICA_BEHIND_BYTES: Final = 1 << 20


def version(facts: ServerFacts) -> list[Finding]:
    server = flaws.server_in(facts.info or {})
    if server is None:
        return [unseen("version", INFO_REFUSED, "Ask who runs the server for its version, and compare docs/doctor.md.")]
    findings = []
    if flaws.parsed(server.version) < OLDEST.get(server.name, (0,)):
        findings.append(found("old-server", str(server), "Upgrade to Redis 6.2, Valkey 7.2 or newer."))
    if facts.says("redis_mode") == "cluster":
        findings.append(
            found("cluster-mode", f"{server} in cluster mode", "Use a single server, or one with replicas.")
        )
    known = flaws.flaws_of(server)
    if known:
        seen = f"{server} has {count(len(known), 'known flaw')} by its number: {', '.join(flaw.id for flaw in known)}"
        mend = (
            f"Upgrade to {server.name} {flaws.remedy(server)} or newer. A distribution or a service may have mended them "
            f"without a new number: its own page on these says. The list is as of {flaws.AS_OF}."
        )
        findings.append(found("known-flaws", seen, mend))
    return findings or [in_order("version", f"{server}, no known serious flaws as of {flaws.AS_OF}")]


def persistence(facts: ServerFacts) -> list[Finding]:
    if facts.info is None or "aof_enabled" not in facts.info:
        return [unseen("persistence", INFO_REFUSED, "Ask who runs the server whether an append-only file is kept.")]
    appended = facts.says("aof_enabled") == "1"
    findings = _append_file(facts) if appended else _without_append_file(facts)
    if facts.says("rdb_last_bgsave_status") == "err" and facts.settings.get("save") != "":
        mend = "Make room on the disk and see the server's log; `BGSAVE` tries again at once."
        findings.append(found("snapshot-failing", "the last snapshot failed", mend))
    if findings:
        return findings
    fsync = facts.settings.get("appendfsync")
    return [in_order("persistence", f"append-only file, synced {fsync}" if fsync else "append-only file")]


def _append_file(facts: ServerFacts) -> list[Finding]:
    findings = []
    if facts.says("aof_last_write_status") not in ("ok", ""):
        mend = "Make room on the disk, and see the server's log."
        findings.append(found("append-file-failing", "the last write to the append-only file failed", mend))
    if facts.says("aof_last_bgrewrite_status") not in ("ok", ""):
        mend = "Make room on the disk (twice the data) and see the server's log; `BGREWRITEAOF` tries again at once."
        findings.append(found("rewrite-failing", "the last rewrite of the append-only file failed", mend))
    if facts.settings.get("appendfsync") == "no":
        mend = "CONFIG SET appendfsync everysec, and the same in the server's configuration."
        findings.append(found("fsync-left-to-the-system", "appendfsync no", mend))
    elif facts.settings.get("no-appendfsync-on-rewrite") == "yes":
        mend = "CONFIG SET no-appendfsync-on-rewrite no, unless the disk is too slow for it."
        findings.append(found("fsync-held-back", "no-appendfsync-on-rewrite yes", mend))
    return findings


def _without_append_file(facts: ServerFacts) -> list[Finding]:
    save = facts.settings.get("save")
    mend = (
        "CONFIG SET appendonly yes, and the same in the server's configuration with appendfsync everysec. "
        "At a service choose a plan that keeps data."
    )
    if save == "":
        return [found("no-persistence", "neither an append-only file nor snapshots", mend)]
    snapshots = "whether snapshots are made cannot be seen" if save is None else f"snapshots only (save {save})"
    return [found("no-append-file", f"no append-only file, {snapshots}", mend)]


def eviction(facts: ServerFacts) -> list[Finding]:
    policy = facts.says("maxmemory_policy")
    if not policy:
        return [unseen("eviction", INFO_REFUSED, "Make sure that maxmemory-policy is noeviction.")]
    if policy == "noeviction":
        return [in_order("eviction", "maxmemory-policy noeviction")]
    gone = int(facts.number("evicted_keys") or 0)
    seen = f"maxmemory-policy {policy}" + (f", {count(gone, 'key')} deleted since the server started" if gone else "")
    mend = (
        "CONFIG SET maxmemory-policy noeviction, and the same in the server's configuration or the service's settings."
    )
    return [found("evicts", seen, mend)]


def replication(facts: ServerFacts) -> list[Finding]:
    role = facts.says("role")
    if not role:
        return [unseen("replication", INFO_REFUSED)]
    if role == "slave":
        master = f"{facts.says('master_host')}:{facts.says('master_port')}"
        return [found("replica-addressed", f"this is a replica of {master}", f"Address the primary: {master}.")]
    replicas = replicas_in(facts.info or {})
    findings = []
    wanted = int(facts.settings.get("min-replicas-to-write") or 0)
    good = facts.number("min_slaves_good_slaves")
    if wanted and good is not None and good < wanted:
        seen = f"min-replicas-to-write is {wanted}, and {count(int(good), 'replica')} keep up"
        findings.append(found("too-few-replicas", seen, "Mend the replicas, or lower min-replicas-to-write."))
    offset = int(facts.number("master_repl_offset") or 0)
    late = [_lag(replica, offset) for replica in replicas]
    if any(late):
        mend = "See the replica's log and the way to it; a replica that stays behind is no help in a failover."
        findings.append(found("replicas-behind", "; ".join(filter(None, late)), mend))
    return findings or [
        in_order("replication", f"the primary, {count(len(replicas), 'replica') if replicas else 'no replica'}")
    ]


def _lag(replica: dict[str, str], offset: int) -> str:
    """How far behind this replica is; "" if it keeps up."""
    who = f"{replica.get('ip')}:{replica.get('port')}"
    if replica.get("state") != "online":
        return f"{who} is {replica.get('state')}"
    seconds, behind = int(replica.get("lag") or 0), offset - int(replica.get("offset") or 0)
    if seconds >= REPLICA_LATE_S:
        return f"{who} was last heard {seconds} s ago"
    return f"{who} is {behind:,} bytes behind" if behind > REPLICA_BEHIND_BYTES else ""
