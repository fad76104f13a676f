"""The last samples and counts as Prometheus metrics, on two paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from inferwatch_agents.host import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric as Family

    from inferwatch_agents.host.event_log import EventLog
    from inferwatch_agents.host.metrics import Metric
    from inferwatch_agents.host.reports import Reports
    from inferwatch_agents.host.snapshots import Snapshots
    from inferwatch_agents.outcomes import Outcomes

T = TypeVar("T")


class SystemMetrics(Collector):
    """The guide's names, and the agent's own."""

    def __init__(
        self,
        snapshots: Snapshots,
        events: EventLog,
        reports: Reports,
        outcomes: Outcomes | None = None,
    ) -> None:
        """Show these; outcomes are None where nothing is sent to Kafka."""
        self._snapshots = snapshots
        self._events = events
        self._reports = reports
        self._outcomes = outcomes

    def collect(self) -> Iterator[Family]:
        """See ``prometheus_client``."""
        machine, programs = self._snapshots.machine()
        samples = [] if machine is None else [((), machine)]
        yield from families(metrics.MACHINE, (), samples)
        named = [((program.name,), program) for program in programs]
        yield from families(metrics.PROGRAM, metrics.PROGRAM_LABELS, named)
        gpus = [((gpu.gpu.uuid,), gpu) for gpu in self._snapshots.gpus()]
        yield from families(metrics.GPU, metrics.GPU_LABELS, gpus)
        xids = self._events.xids().items()
        yield counted(metrics.XID_ERRORS, [((gpu, str(code)), n) for (gpu, code), n in xids])
        yield counted(metrics.DEVICE_EVENTS, self._events.kinds().items())
        yield gauged(metrics.NOT_MEASURED, [(key, 1) for key in self._reports.failing()])
        ages = self._snapshots.ages().items()
        yield gauged(metrics.SAMPLE_AGE, [((sampler,), age) for sampler, age in ages])
        if self._outcomes is not None:
            sent = self._outcomes.sent.copy().items()
            yield counted(metrics.EVENTS_SENT, [((schema,), n) for schema, n in sent])
            lost = self._outcomes.dropped.copy() + self._outcomes.failed.copy()
            yield counted(metrics.EVENTS_LOST, lost.items())


class DcgmMetrics(Collector):
    """dcgm-exporter's names for the fields of GPUs."""

    def __init__(self, snapshots: Snapshots, events: EventLog, host_name: str) -> None:
        """Show these, of the host of this name."""
        self._snapshots = snapshots
        self._events = events
        self._host_name = host_name

    def collect(self) -> Iterator[Family]:
        """See ``prometheus_client``."""
        gpus = [
            (
                (
                    str(sample.gpu.index),
                    sample.gpu.uuid,
                    sample.gpu.pci_bus_id or "",
                    f"nvidia{sample.gpu.index}",
                    sample.gpu.name,
                    self._host_name,
                ),
                sample,
            )
            for sample in self._snapshots.gpus()
        ]
        yield from families(metrics.DCGM, metrics.DCGM_LABELS, gpus)
        xids = [(labels, self._events.last_xid(sample.gpu.uuid)) for labels, sample in gpus]
        yield gauged((*metrics.DCGM_XID, metrics.DCGM_LABELS), xids)


def registry_of(collector: Collector) -> CollectorRegistry:
    """A registry that shows this and nothing else."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def families(
    listed: Iterable[Metric[T]],
    labels: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], T]],
) -> Iterator[Family]:
    """The metrics of a list, of some samples with the values of their labels."""
    kept = list(samples)
    for metric in listed:
        kind = CounterMetricFamily if metric.counts else GaugeMetricFamily
        family = kind(metric.name, metric.about, labels=(*labels, *metric.labels))
        for values, sample in kept:
            for own, value in metric.values(sample):
                if value is not None:
                    family.add_metric((*values, *own), value)
        yield family


Named = tuple[str, str, tuple[str, ...]]
Values = Iterable[tuple[tuple[str, ...], float]]


def counted(named: Named, values: Values) -> Family:
    """A counter of its name, help and labels."""
    name, about, labels = named
    family = CounterMetricFamily(name, about, labels=labels)
    for own, value in values:
        family.add_metric(own, value)
    return family


def gauged(named: Named, values: Values) -> Family:
    """A gauge of its name, help and labels."""
    name, about, labels = named
    family = GaugeMetricFamily(name, about, labels=labels)
    for own, value in values:
        family.add_metric(own, value)
    return family
