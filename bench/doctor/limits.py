"""Limits of this process and of the network: what a load of many connections runs into."""

import re
from dataclasses import dataclass

from bench.doctor.finding import Finding, finding, graded, graded_least, unread
from bench.doctor.kernel import Kernel

# an open loop keeps up to 512 requests in flight, a closed one has 50 clients by default; beside
# connections a driver has some hundred files open
OPEN_FILES = (700, 200)
FREE_PORTS = (10_000, 2_000)
CONNTRACK_USED = (0.5, 0.9)
LOOPBACK_MTU = 16_384
BRIDGE_MTU = 1_400
CONNTRACK = "proc/sys/net/netfilter/nf_conntrack_"


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """Open files allowed, local ports in all and in TIME_WAIT; None if unknown."""

    open_files: int | None
    ports: int | None
    waiting: int | None


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """MTUs of loopback and of the engine's bridge, connections tracked and the most of them."""

    loopback_mtu: int | None
    bridge_mtu: int | None
    tracked: int | None
    most_tracked: int | None


def read_limits(kernel: Kernel) -> LimitFacts:
    """The soft limit of open files, the range of local ports, and how many wait out their time."""
    ports = re.findall(r"\d+", kernel.text("proc/sys/net/ipv4/ip_local_port_range") or "")
    waiting = re.search(r"^TCP:.* tw (\d+)", kernel.text("proc/net/sockstat") or "", re.MULTILINE)
    return LimitFacts(
        _open_files(),
        int(ports[1]) - int(ports[0]) + 1 if len(ports) == 2 else None,
        int(waiting.group(1)) if waiting else None,
    )


def read_network(kernel: Kernel) -> NetworkFacts:
    """The facts of the interfaces `lo` and `docker0`, and of connection tracking."""
    return NetworkFacts(
        kernel.number("sys/class/net/lo/mtu"),
        kernel.number("sys/class/net/docker0/mtu"),
        kernel.number(f"{CONNTRACK}count"),
        kernel.number(f"{CONNTRACK}max"),
    )


def judge_limits(facts: LimitFacts) -> tuple[Finding, ...]:
    """The findings `open files` and `ports`."""
    return _files(facts.open_files), _ports(facts)


def judge_network(facts: NetworkFacts) -> tuple[Finding, ...]:
    """The findings `loopback`, `bridge` and `conntrack`."""
    remedy = "set it back with `ip link set dev NAME mtu SIZE`"
    loopback = unread("loopback", "its MTU cannot be read")
    if facts.loopback_mtu is not None:
        what = f"MTU {facts.loopback_mtu}"
        grade = graded_least(facts.loopback_mtu, LOOPBACK_MTU, 0)
        loopback = finding("loopback", grade, what, remedy)
    bridge = unread("bridge", "the MTU of the engine's bridge cannot be read")
    if facts.bridge_mtu is not None:
        what = f"MTU {facts.bridge_mtu}"
        bridge = finding("bridge", graded_least(facts.bridge_mtu, BRIDGE_MTU, 0), what, remedy)
    return loopback, bridge, _conntrack(facts)


def _files(limit: int | None) -> Finding:
    if limit is None:
        return unread("open files", "the limit cannot be read")
    what = f"{limit} may be open; a driver needs one for each client and each request in flight (512)"
    return finding("open files", graded_least(limit, *OPEN_FILES), what, "raise it: ulimit -n 4096")


def _ports(facts: LimitFacts) -> Finding:
    if facts.ports is None:
        return unread("ports", "the range of local ports cannot be read")
    free = facts.ports - (facts.waiting or 0)
    waiting = "" if facts.waiting is None else f", {facts.waiting} wait out their time (TIME_WAIT)"
    remedy = "wait a minute, or widen net.ipv4.ip_local_port_range"
    return finding("ports", graded_least(free, *FREE_PORTS), f"{facts.ports} local ports{waiting}", remedy)


def _conntrack(facts: NetworkFacts) -> Finding:
    if facts.tracked is None or not facts.most_tracked:
        return unread("conntrack", "connection tracking cannot be read")
    share = facts.tracked / facts.most_tracked
    what = f"{facts.tracked} of {facts.most_tracked} connections are tracked"
    remedy = "raise net.netfilter.nf_conntrack_max: beyond it connections are dropped"
    return finding("conntrack", graded(share, *CONNTRACK_USED), what, remedy)


def _open_files() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft
