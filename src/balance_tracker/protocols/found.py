"""Finds the protocols of this room: whatever module says that it is one."""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache

import balance_tracker.protocols as room
from balance_tracker.protocols.spec import GuidesOf, ProtocolSpec, SourcesOf


@dataclass(frozen=True, slots=True)
class FoundProtocol:
    """A protocol of the room: what it says of itself, and its guides, or its sources on Solana."""

    spec: ProtocolSpec
    guides: GuidesOf | None = None
    sources: SourcesOf | None = None


@cache
def found_protocols() -> tuple[FoundProtocol, ...]:
    """All protocols, by slug.

    Raises:
        TypeError: A module has a ``PROTOCOL`` that is none, is not named by its slug, or stands alone.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(room.__path__))
    modules = [importlib.import_module(f"{room.__name__}.{name}") for name in names]
    protocols = []
    for name, module in zip(names, modules, strict=True):
        spec = getattr(module, "PROTOCOL", None)
        if spec is None:
            continue
        if not isinstance(spec, ProtocolSpec) or spec.slug != name:
            raise TypeError(f"protocols/{name} has a PROTOCOL that is not its own")
        guides, sources = getattr(module, "guides", None), getattr(module, "sources", None)
        if (guides if spec.family == "evm" else sources) is None:
            raise TypeError(f"protocols/{name} is of {spec.family} and has nothing that reads it")
        protocols.append(FoundProtocol(spec, guides, sources))
    return tuple(protocols)
