"""The scripts of the cluster, for an engine in memory: in Python, with the same effects."""

from collections.abc import Sequence
from typing import Any

from tests.support.memory_bus import MemoryEngine


def add_scripts(engine: MemoryEngine) -> None:
    """Let an engine run the scripts of the cluster."""
    scripts = _Scripts(engine)
    engine.scripts.update(
        renew=scripts.renew,
        resign=scripts.resign,
        leases=scripts.leases,
        write=scripts.write,
        adopt=scripts.adopt,
        claim=scripts.claim,
        keep=scripts.keep,
        unlock=scripts.unlock,
        hold_upstreams=scripts.hold_upstreams,
        end_upstream=scripts.end_upstream,
        yield_upstreams=scripts.yield_upstreams,
    )


class _Scripts:
    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self._call = engine.call

    def _now(self) -> int:
        return int(self._engine.clock.seconds() * 1000)

    def _scores(self, key: bytes) -> dict[bytes, float]:
        return dict(self._engine.keys.find(key) or {})

    def _add(self, key: bytes, member: bytes) -> int:
        added: int = self._call(b"ZADD", [key, b"%d" % self._now(), member])
        return added

    def renew(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        nodes, dead, connections, versions, orphans, ledgers, adopted = keys
        node, keeps_id = arguments[:2]
        lease, outage, tombstone = map(int, arguments[2:5])
        now = self._now()
        if node in self._scores(dead):
            if keeps_id == b"0":
                return [0]
            self._call(b"ZREM", [dead, node])
        newest = max(self._scores(nodes).values(), default=now)
        if newest > now or newest < now - outage:
            for each in self._scores(nodes):
                self._add(nodes, each)
        is_new = self._add(nodes, node)
        self._call(b"HSET", [connections, node, arguments[5]])
        self._call(b"HSET", [versions, node, arguments[6]])
        left_behind = []
        for each, score in self._scores(nodes).items():
            if score <= now - lease:
                self._call(b"ZREM", [nodes, each])
                self._add(dead, each)
                left_behind.append(self._call(b"HGET", [connections, each]))
                self._call(b"HDEL", [connections, each])
                self._call(b"HDEL", [versions, each])
                if self._call(b"EXISTS", [ledgers + each]) or self._call(
                    b"EXISTS", [adopted + each]
                ):
                    self._call(b"HSET", [orphans, each, b""])
        for each, score in self._scores(dead).items():
            if score <= now - tombstone:
                self._call(b"ZREM", [dead, each])
        ended = [each for each in arguments[7:] if each in self._scores(dead)]
        orphan_count = self._call(b"HLEN", [orphans])
        live = [*self._scores(nodes)]
        spoken = [self._call(b"HGET", [versions, each]) for each in live]
        return [1, is_new, live, ended, orphan_count, left_behind, spoken]

    def resign(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> None:
        nodes, dead, connections, versions, orphans, ledger, adopted = keys
        self._call(b"HDEL", [connections, arguments[0]])
        self._call(b"HDEL", [versions, arguments[0]])
        self._call(b"ZREM", [nodes, arguments[0]])
        self._add(dead, arguments[0])
        if self._call(b"EXISTS", [ledger]) or self._call(b"EXISTS", [adopted]):
            self._call(b"HSET", [orphans, arguments[0], b""])

    def leases(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> list[Any]:
        pairs = self._scores(keys[0]).items()
        return [each for node, at in pairs for each in (node, int(self._now() - at))]

    def write(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> int:
        dead, ledger = keys
        node, *pairs = arguments
        if node in self._scores(dead):
            return 0
        self._call(b"HSET", [ledger, *pairs])
        return 1

    def adopt(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> list[bytes]:
        orphans, ledgers, adopted, own = keys
        left = int(arguments[0])
        found: list[bytes] = []
        for node in [*self._call(b"HGETALL", [orphans])]:
            hashes = [adopted + node, ledgers + node]
            for key in hashes:
                for name, record in [*self._call(b"HGETALL", [key]).items()][:left]:
                    self._call(b"HDEL", [key, name])
                    self._call(b"HSET", [own, name, record])
                    found += name, record
                    left -= 1
            if not any(self._call(b"EXISTS", [key]) for key in hashes):
                self._call(b"HDEL", [orphans, node])
        return found

    def claim(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> bytes:
        claim, lock = keys
        token, claim_ms, lock_ms = arguments
        if not self._call(b"SET", [claim, token, b"NX", b"PX", claim_ms]):
            return b"others"
        if not self._call(b"SET", [lock, token, b"NX", b"PX", lock_ms]):
            return b"under way"
        return b"ours"

    def keep(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> None:
        lock_ms, *tokens = arguments
        for lock, token in zip(keys, tokens, strict=True):
            if self._call(b"GET", [lock]) == token:
                self._call(b"PEXPIRE", [lock, lock_ms])

    def unlock(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> None:
        if self._call(b"GET", [keys[0]]) == arguments[0]:
            self._call(b"DEL", [keys[0]])

    def hold_upstreams(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> list[Any]:
        definitions, fences, leases = keys
        token, lease, nodes, *named = arguments
        texts = dict(self._call(b"HGETALL", [definitions]))
        names = [*texts, *(name for name in named if name not in texts)]
        left = -(-len(names) // int(nodes))
        found: list[Any] = [len(names)]
        for name in names:
            if texts.get(name) == b"":
                continue
            holder = self._call(b"GET", [leases + name])
            if holder == token:
                self._call(b"PEXPIRE", [leases + name, lease])
                fence = int(self._call(b"HGET", [fences, name]) or self._new_fence(fences, name))
            elif holder is None and left:
                left -= 1
                self._call(b"SET", [leases + name, token, b"PX", lease])
                fence = self._new_fence(fences, name)
            else:
                continue
            found.append([name, fence, texts.get(name)])
        return found

    def _new_fence(self, fences: bytes, name: bytes) -> int:
        fence = int(self._call(b"HGET", [fences, b""]) or self._now() / 1000) + 1
        self._call(b"HSET", [fences, b"", b"%d" % fence, name, b"%d" % fence])
        return fence

    def end_upstream(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> None:
        definitions, fences, lease = keys
        name, token, is_named, *text = arguments
        if text and self._call(b"HGET", [definitions, name]) != text[0]:
            return
        if is_named == b"1":
            self._call(b"HSET", [definitions, name, b""])
        else:
            self._call(b"HDEL", [definitions, name])
            self._call(b"HDEL", [fences, name])
        self.yield_upstreams([lease], [token])

    def yield_upstreams(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> None:
        for lease in keys:
            if self._call(b"GET", [lease]) == arguments[0]:
                self._call(b"DEL", [lease])
