"""Metrics: `GET /metrics` for Prometheus.

Counters and histograms come from `relay.measurements`, of all processes of this relay. Gauges come from the
ledger, read at the scrape. `prometheus_client` writes the format; it is imported at the first scrape, since
many relays are never scraped.
"""

from relay.metrics.endpoint import MetricsEndpoint
from relay.metrics.gauges import LedgerReader

__all__ = ["LedgerReader", "MetricsEndpoint"]
