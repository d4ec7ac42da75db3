"""Hosts of a small network of their own: network namespaces on one bridge, each with its own address."""

from __future__ import annotations

import os
import subprocess
from itertools import count

_NETWORKS = count()
NARROW = {"fast": "100mbit", "slow": "1mbit"}


class Network:
    """Hosts by name. The host ``hub`` has the bridge and no address; nothing outside is touched.

    Args:
        ip, tc, iptables: the programs. names: of the hosts.

    Raises:
        OSError: this system lets nobody make network namespaces.
    """

    def __init__(self, ip: str, tc: str, iptables: str, names: list[str]) -> None:
        self._ip, self._tc, self._iptables = ip, tc, iptables
        self._prefix = f"gc{os.getpid()}x{next(_NETWORKS)}"
        self._names: list[str] = []
        self.addresses: dict[str, str] = {}
        try:
            self._build(names)
        except BaseException:
            self.close()
            raise

    def _build(self, names: list[str]) -> None:
        self._add("hub")
        self._run(self._ip, "-n", self.space("hub"), "link", "add", "bridge", "type", "bridge")
        self._run(self._ip, "-n", self.space("hub"), "link", "set", "bridge", "up")
        for number, name in enumerate(names):
            self._add(name)
            own, hub = ("-n", self.space(name)), ("-n", self.space("hub"))
            peer = ("peer", "name", "eth", "netns", self.space(name))
            self._run(self._ip, *hub, "link", "add", f"to-{name}", "type", "veth", *peer)
            self._run(self._ip, *hub, "link", "set", f"to-{name}", "master", "bridge", "up")
            self._run(self._ip, *own, "link", "set", "lo", "up")
            self._run(self._ip, *own, "link", "set", "eth", "up")
            self.give_address(name, f"10.77.0.{number + 1}")
            self.limit(name, NARROW["fast"])

    def close(self) -> None:
        """Remove everything."""
        for name in self._names:
            subprocess.run([self._ip, "netns", "del", self.space(name)], check=False, capture_output=True)

    def space(self, name: str) -> str:
        """The namespace of a host."""
        return f"{self._prefix}-{name}"

    def within(self, name: str) -> list[str]:
        """What goes before a command to run it on a host."""
        return [self._ip, "netns", "exec", self.space(name)]

    def give_address(self, name: str, address: str) -> None:
        """The host has this address and no other."""
        space = ("-n", self.space(name))
        self._run(self._ip, *space, "addr", "flush", "dev", "eth")
        self._run(self._ip, *space, "addr", "add", f"{address}/24", "dev", "eth")
        self.addresses[name] = address

    def limit(self, name: str, rate: str) -> None:
        """The link of the host carries so much in each direction."""
        for space, device in ((self.space(name), "eth"), (self.space("hub"), f"to-{name}")):
            within = [self._ip, "netns", "exec", space]
            shape = ("root", "tbf", "rate", rate, "burst", "16kb", "latency", "400ms")
            self._run(*within, self._tc, "qdisc", "replace", "dev", device, *shape)

    def cut(self, name: str, off: bool) -> None:
        """Whether every packet from and to the host is dropped, without a word to anybody."""
        for chain in ("INPUT", "OUTPUT"):
            rule = ("-A" if off else "-D", chain, "-j", "DROP")
            self._run(*self.within(name), self._iptables, *rule)

    def _add(self, name: str) -> None:
        self._run(self._ip, "netns", "add", self.space(name))
        self._names.append(name)

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
