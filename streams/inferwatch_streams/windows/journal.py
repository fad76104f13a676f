"""The store's way to ``inferwatch.totals`` and back; moving the records is up to the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from inferwatch_schemas.wire import Encoder
from inferwatch_streams.windows import checkpoint
from inferwatch_streams.windows.checkpoint import Checkpoint
from inferwatch_streams.windows.frontier import Frontier
from inferwatch_streams.windows.loading import read_totals
from inferwatch_streams.windows.restoring import restore
from inferwatch_streams.windows.saving import Save, save_shard, unsaved_from
from inferwatch_streams.windows.totals import Place, TotalFormat, Written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.windows.checkpoint import Source
    from inferwatch_streams.windows.store import WindowStore
    from inferwatch_streams.windows.totals import Record

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """Where to go on after loading.

    Attributes:
        read_from: By partition of the aggregates, the offset to read from; one that is not there
            is read from its start.
        evaluated_until: Event time of the last evaluation of the rules in microseconds; None
            before the first.
    """

    read_from: Mapping[int, int]
    evaluated_until: int | None


class Journal:
    """What one leader knows of the records of ``inferwatch.totals``."""

    def __init__(self, store: WindowStore, registry: Registry) -> None:
        """Prepare for a store that is new.

        Raises:
            UnknownSchemaError: The registry does not have the schemas.
            RegistryUnavailableError: The registry did not answer.
        """
        self._store = store
        self._registry = registry
        self._formats = {
            name: TotalFormat(contents.labels, registry)
            for name, contents in store.contents.items()
        }
        self._encoder = Encoder(checkpoint.SCHEMA, registry)
        self._epoch = 0
        # By partition of the aggregates: how far they were read by who wrote what was loaded.
        self._written: dict[int, int] = {}
        self._checkpoints: dict[int, bytes] = {}
        self._stale: list[bytes] = []

    def load(self, records: Mapping[bytes, bytes], epoch: int = 0) -> Start:
        """Fill the store with what the topic has.

        Args:
            records: The newest value of each key.
            epoch: See ``lead``, which may also be called later.
        """
        loaded = read_totals(
            list(records.values()), self._store.topic_id, self._store.contents, self._registry
        )
        keys = list(records)
        if loaded.unread:
            log.warning("totals that this version cannot read are left out", n=len(loaded.unread))
        if loaded.others:
            log.warning(
                "inferwatch.aggregates was created again: what was known of the old one is dropped",
                records=len(loaded.others),
            )
        stale = list(loaded.others)
        checkpoints: dict[int, Checkpoint] = {}
        for at, found in sorted(loaded.checkpoints, key=lambda each: each[1].epoch):
            partition = found.aggregates_partition
            if partition in checkpoints:
                self._stale.append(self._checkpoints[partition])
            checkpoints[partition], self._checkpoints[partition] = found, keys[at]
        self._take_checkpoints(checkpoints)
        self._epoch = max([epoch, *(found.epoch + 1 for found in checkpoints.values())])
        now_ms = max([0, *(found.as_of_ms for found in checkpoints.values())])
        for place, parts in loaded.logs.items():
            partition = place.aggregates_partition
            known = checkpoints.get(partition)
            contents = self._store.contents[place.signal]
            stale += restore(
                contents.shard(place), parts, known.read_through if known else 0
            ).tolist()
            for each in parts:
                contents.groups.see(each.table.groups, each.table.newest)
                written = int(each.numbers["read_through"].max())
                self._written[partition] = max(written, self._written.get(partition, 0))
                self._epoch = max(self._epoch, int(each.numbers["epoch"].max()) + 1)
                now_ms = max(now_ms, int(each.numbers["as_of"].max()))
        self._stale += [keys[at] for at in stale]
        self._store.advance(now_ms)
        until = [found.evaluated_until for found in checkpoints.values()]
        return Start(
            dict(self._store.positions), max((u for u in until if u is not None), default=None)
        )

    def lead(self, epoch: int) -> None:
        """Hear of the claim of this leader, higher than that of any before; earlier than ``save``.

        What was loaded must still be all that the topic has.
        """
        self._epoch = max(self._epoch, epoch)

    def _take_checkpoints(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        store = self._store
        for partition, found in checkpoints.items():
            store.times[partition] = found.as_of_ms
            store.positions[partition] = found.read_from
            self._written[partition] = found.read_through
            for (signal, topic_id, source), frontier in found.frontiers.items():
                if signal in store.contents:
                    place = Place(store.topic_id, partition, signal, topic_id)
                    store.contents[signal].shard(place).frontiers[source] = frontier

    @property
    def caught_up(self) -> bool:
        """Whether everything was read again that whoever wrote the totals had read.

        Until then some sums may hold blocks that are still to come, and nothing can be saved.
        """
        positions = self._store.positions
        return all(positions.get(p, 0) >= through for p, through in self._written.items())

    def save(self, evaluated_until: int | None) -> Save | None:
        """What to write now; None before it has ``caught_up``.

        What it returns must be written, again and again where need be, before it is called again.

        Args:
            evaluated_until: Event time of the last evaluation of the rules, in microseconds.
        """
        if not self.caught_up:
            return None
        store = self._store
        totals: list[Record] = []
        removed = {*self._stale}
        froms = dict(store.positions)
        frontiers: dict[int, dict[Source, Frontier]] = {partition: {} for partition in froms}
        for signal, contents in store.contents.items():
            for (partition, topic_id), shard in contents.shards.items():
                shard.ahead.clear()
                written = Written(self._epoch, store.positions[partition], store.now_ms)
                totals += save_shard(
                    shard,
                    contents.groups,
                    self._formats[signal],
                    written,
                    store.times.get(partition, 0),
                )
                if (offset := unsaved_from(shard)) is not None:
                    froms[partition] = min(froms[partition], offset)
                for source, frontier in shard.frontiers.items():
                    copy = Frontier(frontier.limit, tuple(frontier.seen))
                    frontiers[partition][signal, topic_id, source] = copy
                removed.update(shard.gone)
                shard.gone.clear()
        checkpoints: list[Record] = []
        for partition, position in store.positions.items():
            found = Checkpoint(
                store.topic_id, partition, self._epoch, position, froms[partition],
                store.times.get(partition, 0), evaluated_until, frontiers[partition],
            )  # fmt: skip
            checkpoints.append((found.key, self._encoder.encode(found.to_record())))
            if self._checkpoints.get(partition, found.key) != found.key:
                removed.add(self._checkpoints[partition])
            self._checkpoints[partition] = found.key
        self._stale.clear()
        # A key that went and came again is written, and not removed.
        removed -= {key for key, _ in totals}
        return Save((totals, checkpoints, [(key, None) for key in sorted(removed)]), froms)
