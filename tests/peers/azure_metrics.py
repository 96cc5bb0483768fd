"""Asks Azure Monitor for one number with Azure's own Python client, and prints it.

usage: python azure_metrics.py ENDPOINT RESOURCE METRIC AGGREGATION TIMESPAN
"""

import sys

from azure.core.credentials import AccessToken
from azure.mgmt.monitor import MonitorManagementClient


class Anybody:
    """Lets the client in with a token that nobody checks."""

    def get_token(self, *scopes, **options):
        return AccessToken("token", 9999999999)


endpoint, resource, metric, aggregation, timespan = sys.argv[1:]
subscription = resource.split("/")[2]
client = MonitorManagementClient(Anybody(), subscription, base_url=endpoint)
answer = client.metrics.list(
    resource,
    timespan=timespan,
    interval="FULL",
    metricnames=metric,
    aggregation=aggregation,
    enforce_https=False,
)
(found,) = answer.value
(series,) = found.timeseries
(point,) = series.data
print(found.name.value, getattr(point, aggregation.lower()))
