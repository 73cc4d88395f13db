"""Trials of the engine of the bus: what it permits, whether it drops data, how fast it replies."""

import time
from collections.abc import Callable, Iterator
from statistics import median

from phpgw.bus.blocking_client import BlockingClient
from phpgw.bus.connection import EngineError
from phpgw.bus.names import BusNames
from phpgw.checks.finding import Finding, Subject
from phpgw.checks.fix_lines import command

PERMISSIONS = Subject("bus-permissions")
# The words of the engine for what a user may not do; the last two are those of a script's commands.
_NOT_PERMITTED = ("NOPERM", "permission", "can't run this command", "can't access")
MEMORY = Subject("bus-memory")
LATENCY = Subject("bus-latency")
REPLICAS = Subject("bus-replicas")

# Each kind of key that gateways write, one after another at the same name.
_WRITE = """
local key = KEYS[1]
redis.call('HSET', key, 'a', 'b') redis.call('HDEL', key, 'a') redis.call('DEL', key)
redis.call('ZADD', key, 1, 'a') redis.call('ZRANGE', key, 0, -1) redis.call('DEL', key)
redis.call('SADD', key, 'a') redis.call('DEL', key)
redis.call('XADD', key, '1-1', 'a', 'b') redis.call('DEL', key)
redis.call('SET', key, '', 'PX', 1000) redis.call('DEL', key) redis.call('TIME')
return 1
"""
_PINGS = 20
# Seconds for a reply. A push to a client of another gateway takes two.
_SLOW, _VERY_SLOW = 0.005, 0.05
_FULL = 0.9
_FEWEST_REPLICAS = 2
_REDIS_CONF = "redis.conf; at once: redis-cli CONFIG SET with the same words"


def check_permissions(
    client: BlockingClient, names: BusNames, user: str, *, is_open: bool
) -> Iterator[Finding]:
    """Yield whether the engine permits all that gateways need.

    :param user: of the engine's access control; empty for its default user.
    :param is_open: whether others reach the engine, too, and there is no password.
    """
    needed, helpful = _refusals(client, names)
    prefix = names.channels.decode()
    rules = (
        f"ACL SETUSER {user or 'phpgw'} on >PASSWORD resetchannels &{prefix}* "
        f"~{names.keys.decode()}* -@all +@read +@write -@dangerous +hello +ping +publish "
        "+subscribe +unsubscribe +pubsub|numsub +eval +evalsha +time +client|list +client|kill "
        "+info"
    )
    where = "redis-cli, as a user that may (then ACL SAVE, or CONFIG REWRITE)"
    if needed:
        yield PERMISSIONS.wrong(
            f"The engine of the bus does not permit what gateways need: {', '.join(needed)}",
            why="Gateways do not reach each other's clients.",
            fix=rules,
            where=where,
            seen="; ".join(needed.values()),
        )
    elif helpful:
        yield PERMISSIONS.warn(
            f"The engine of the bus does not permit {', '.join(helpful)}",
            why="Pushes are slower for a while after a gateway has died, and messages to groups "
            "with a history do not reach other gateways (info).",
            fix=rules,
            where=where,
            seen="; ".join(helpful.values()),
        )
    elif is_open:
        yield PERMISSIONS.warn(
            "The engine of the bus asks for no password, and is on the network",
            why="Whoever reaches it can send anything to your clients, and read their cookies.",
            fix="requirepass PASSWORD",
            where="redis.conf; and the password in --bus-password-file of each gateway",
        )
    else:
        yield PERMISSIONS.ok("The engine of the bus permits all that gateways need")


def _refusals(client: BlockingClient, names: BusNames) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the engine does not permit, and its words: what is needed, and what is helpful.

    An error of another kind is not about permissions: then the engine is full, or loads its data.
    """
    channel, key = names.channels + b"check", names.keys + b"check"
    needed: dict[str, Callable[[], object]] = {
        "publish": lambda: client.ask("PUBLISH", channel, ""),
        "pubsub|numsub": lambda: client.ask("PUBSUB", "NUMSUB", channel),
        "eval, and writing": lambda: client.ask("EVAL", _WRITE, 1, key),
        "subscribe": lambda: (client.ask("SUBSCRIBE", channel), client.ask("UNSUBSCRIBE", channel)),
    }
    helpful: dict[str, Callable[[], object]] = {
        "client|list": lambda: client.ask("CLIENT", "LIST", "ID", 1),
        # There is no connection with this number.
        "client|kill": lambda: client.ask("CLIENT", "KILL", "ID", 2**62),
        "info": lambda: client.ask("INFO", "server"),
    }

    def refused(trials: dict[str, Callable[[], object]]) -> dict[str, str]:
        found = {}
        for name, trial in trials.items():
            try:
                trial()
            except EngineError as error:
                if any(words in str(error) for words in _NOT_PERMITTED):
                    found[name] = str(error)
        return found

    return refused(needed), refused(helpful)


def check_memory(client: BlockingClient) -> Finding:
    """Return whether the engine keeps all that gateways write there."""
    try:
        facts = {**_info(client, "memory"), **_info(client, "stats")}
        limit, used = int(facts["maxmemory"]), int(facts["used_memory"])
        policy, evicted = facts["maxmemory_policy"], int(facts.get("evicted_keys", 0))
    except (EngineError, KeyError, ValueError) as error:
        return MEMORY.skipped("The engine's memory was not looked at", why=f"+info ({error}).")
    seen = f"maxmemory {limit}, used_memory {used}, {policy}, evicted_keys {evicted}"
    if limit and policy != "noeviction":
        return MEMORY.wrong(
            f"The engine of the bus drops data when it is full ({policy})",
            why="PHP is not told of disconnects whose records are dropped, and histories get gaps.",
            fix="maxmemory-policy noeviction",
            where=_REDIS_CONF,
            seen=seen,
        )
    if limit and used > _FULL * limit:
        return MEMORY.warn(
            f"The engine of the bus is full to {used / limit:.0%}",
            why="If it is full, nothing can be kept: no records of disconnects, no histories.",
            fix=f"maxmemory {2 * limit}",
            where=_REDIS_CONF,
            seen=seen,
        )
    if evicted:
        return MEMORY.note(
            f"The engine of the bus has dropped {evicted} keys since it started",
            why="It did so under another policy; it does not any more.",
            seen=seen,
        )
    return MEMORY.ok("The engine of the bus keeps what is written there", seen=seen)


def _info(client: BlockingClient, section: str) -> dict[str, str]:
    """Return a section of INFO."""
    lines = client.ask("INFO", section).decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def check_replicas(client: BlockingClient) -> Finding:
    """Return whether a master that Sentinels watch stops to take data once it is cut off."""
    try:
        facts = _info(client, "replication")
        replicas, is_limited = int(facts["connected_slaves"]), "min_slaves_good_slaves" in facts
    except (EngineError, KeyError, ValueError) as error:
        return REPLICAS.skipped("The engine's replicas were not looked at", why=f"+info ({error}).")
    if not is_limited:
        return REPLICAS.warn(
            "The master takes data also when it is cut off from all replicas",
            why="Gateways beside it then take the others for dead, and tell PHP of their clients.",
            fix="min-replicas-to-write 1",
            where="redis.conf of master and replicas, and min-replicas-max-lag 3 with it",
        )
    if replicas < _FEWEST_REPLICAS:
        return REPLICAS.note(
            f"The master has {_counted(replicas)}",
            why="While the other server is away, the only one left takes no data.",
            fix="replicaof MASTER 6379",
            where="redis.conf of one more server",
        )
    return REPLICAS.ok(f"The master has {_counted(replicas)}, and takes no data without them")


def _counted(replicas: int) -> str:
    return f"{replicas} replica" if replicas == 1 else f"{replicas} replicas"


def check_latency(client: BlockingClient) -> Finding:
    """Return how fast the engine replies."""
    durations = []
    for _ in range(_PINGS):
        begun = time.monotonic()
        client.ask("PING")
        durations.append(time.monotonic() - begun)
    usual, longest = median(durations), max(durations)
    text = f"{1000 * usual:.1f} ms, {1000 * longest:.1f} ms at most of {_PINGS}"
    if usual <= _SLOW:
        return LATENCY.ok(f"The engine of the bus replies fast ({text})")
    why = "Each push to a client of another gateway waits for two replies."
    fix, where = command("redis-cli", "--latency"), "a shell, on the gateway's machine"
    if usual > _VERY_SLOW:
        return LATENCY.warn(
            f"The engine of the bus replies slowly ({text})", why=why, fix=fix, where=where
        )
    return LATENCY.note(
        f"The engine of the bus is some way off ({text})", why=why, fix=fix, where=where
    )
